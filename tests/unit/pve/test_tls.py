"""Certificates on real connections: pinned, renewed, signed by a CA, foreign."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.server
import ipaddress
import pathlib
import ssl
import threading
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from transom import errors, pve
from transom.pve import tls


@dataclasses.dataclass
class Site:
    """An HTTPS server: its certificate can be changed while it runs; ``heads`` are the Authorization headers that arrived."""

    port: int
    folder: pathlib.Path
    context: ssl.SSLContext
    heads: list[str]
    ports: set[int]
    closing: threading.Event

    def show(self, name: str) -> str:
        """Use another certificate from the next connection on; its fingerprint."""
        certificate = _certificate(self.folder, name)
        self.context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return tls.fingerprint(certificate)


def _certificate(folder: pathlib.Path, name: str, *, by: str = "") -> bytes:
    """Signed by itself, or by the CA of that name; without key identifiers."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer, signer = subject, key
    if by:
        issuer = x509.load_pem_x509_certificate((folder / f"{by}.pem").read_bytes()).subject
        loaded = serialization.load_pem_private_key((folder / f"{by}.key").read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=not by, path_length=None if by else 0), critical=True)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    kind = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(private)
    return certificate.public_bytes(serialization.Encoding.DER)


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Iterator[Site]:
    heads: list[str] = []
    ports: set[int] = set()
    closing = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            heads.append(self.headers["Authorization"])
            ports.add(self.client_address[1])
            body = b'{"data": {"version": "9.2.11"}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            if closing.is_set():
                # Both at once, as pveproxy sends them for what pvedaemon answers.
                self.send_header("Connection", "close")
                self.send_header("Keep-Alive", "timeout=5")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    class Server(http.server.ThreadingHTTPServer):
        def finish_request(self, request, client_address):
            # The handshake in the connection's own thread; a client may well hang up in the middle of it.
            with contextlib.suppress(OSError), context.wrap_socket(request, server_side=True) as secure:
                super().finish_request(secure, client_address)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield Site(server.server_port, tmp_path, context, heads, ports, closing)
    server.shutdown()
    thread.join()
    server.server_close()


def _reach(access, site, **changes):
    return dataclasses.replace(access, endpoints=(f"https://127.0.0.1:{site.port}",), **changes)


def test_the_pinned_certificate(access, site):
    print_ = site.show("one")
    for form in (print_, print_.lower(), print_.replace(":", "")):
        with pve.connect(_reach(access, site, fingerprint=form)) as api:
            assert api.version() == "9.2.11"


def test_connections_are_kept(access, site):
    with pve.connect(_reach(access, site, fingerprint=site.show("one"))) as api:
        for _ in range(5):
            api.version()
    assert len(site.ports) == 1


def test_another_certificate_is_denied_before_the_token_is_sent(access, site):
    pinned, shown = site.show("one"), site.show("two")
    with (
        pve.connect(_reach(access, site, fingerprint=pinned)) as api,
        pytest.raises(errors.Denied) as caught,
    ):
        api.version()
    assert pinned in str(caught.value)
    assert shown in str(caught.value)
    assert site.heads == []


def test_every_new_connection_is_checked(access, site):
    with pve.connect(_reach(access, site, fingerprint=site.show("one"))) as api:
        site.closing.set()
        api.version()
        site.show("two")
        with pytest.raises(errors.Denied):
            api.version()
    assert len(site.heads) == 1


def test_a_certificate_of_the_ca(access, site):
    site.show("one")
    with pve.connect(_reach(access, site, ca=str(site.folder / "one.pem"))) as api:
        assert api.version() == "9.2.11"


def test_what_pve_signs_is_taken_though_it_lacks_a_key_identifier(access, site, monkeypatch):
    _certificate(site.folder, "ca")
    _certificate(site.folder, "node", by="ca")
    site.context.load_cert_chain(site.folder / "node.pem", site.folder / "node.key")
    make = ssl.create_default_context

    def strict(**files):  # as Python does it since 3.13
        made = make(**files)
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        return made

    monkeypatch.setattr(ssl, "create_default_context", strict)
    with pve.connect(_reach(access, site, ca=str(site.folder / "ca.pem"))) as api:
        assert api.version() == "9.2.11"


def test_a_certificate_of_nobody_is_denied_not_unreachable(access, site):
    site.show("two")
    _certificate(site.folder, "one")
    with (
        pve.connect(_reach(access, site, ca=str(site.folder / "one.pem"))) as api,
        pytest.raises(errors.Denied, match="certificate refused"),
    ):
        api.version()
    assert site.heads == []


def test_a_wrong_certificate_is_not_passed_by_to_the_next_endpoint(access, site):
    site.show("two")
    reach = dataclasses.replace(
        access, fingerprint="AA:" * 31 + "AA", endpoints=(f"https://127.0.0.1:{site.port}", "https://127.0.0.1:1")
    )
    with pve.connect(reach) as api, pytest.raises(errors.Denied):
        api.version()


def test_nobody_listens(access, site):
    fingerprint = site.show("one")
    reach = dataclasses.replace(access, fingerprint=fingerprint, endpoints=("https://127.0.0.1:1",))
    with pve.connect(reach) as api, pytest.raises(errors.Unreachable):
        api.version()


def test_the_first_endpoint_is_down(access, site):
    reach = dataclasses.replace(
        access,
        fingerprint=site.show("one"),
        endpoints=("https://127.0.0.1:1", f"https://127.0.0.1:{site.port}"),
    )
    with pve.connect(reach) as api:
        assert api.version() == "9.2.11"


def test_each_endpoint_may_have_a_certificate_of_its_own(access, site):
    pins = ("AA:" * 31 + "AA", site.show("one"))
    endpoints = ("https://127.0.0.1:1", f"https://127.0.0.1:{site.port}")
    with pve.connect(dataclasses.replace(access, fingerprints=pins, endpoints=endpoints)) as api:
        assert api.version() == "9.2.11"
    site.show("two")
    with (
        pve.connect(dataclasses.replace(access, fingerprints=pins, endpoints=endpoints)) as api,
        pytest.raises(errors.Denied, match=r"pinned is \S+ and \S+"),
    ):
        api.version()
