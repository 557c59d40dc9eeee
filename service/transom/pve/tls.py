"""Whom we talk to: the certificate of each connection, against a pinned fingerprint or a CA file."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import socket
import ssl
import urllib.parse

from cryptography import x509

from transom import errors
from transom.spec import wish


class _Pinned(ssl.SSLContext):
    """Checks the certificate of the very connection that was made, before anything is sent on it."""

    pins: frozenset[str] = frozenset()

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        tls = super().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session
        )
        shown = fingerprint(tls.getpeercert(binary_form=True) or b"")
        if shown not in self.pins:
            tls.close()
            raise errors.Denied(
                f"the API shows certificate {shown}, pinned is {' and '.join(sorted(self.pins))}",
                hint="renewed, or another machine answers: compare with `pvenode cert info` before pinning anew (transom pin)",
            )
        return tls


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a DER certificate as PVE prints it: upper-case hex with colons."""
    return _colons(hashlib.sha256(certificate).hexdigest())


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What a server shows of itself; ``since`` and ``until`` in UTC."""

    fingerprint: str
    subject: str
    issuer: str
    since: datetime.datetime
    until: datetime.datetime


def shown(endpoint: str, timeout: float = 10) -> Certificate:
    """The certificate that ``endpoint`` (``https://host:8006``) shows now, believed by nobody yet. Unreachable, Garbled."""
    url = urllib.parse.urlsplit(endpoint)
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((url.hostname or "", url.port or 443), timeout=timeout) as plain,
            anybody.wrap_socket(plain) as secure,
        ):
            raw = secure.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise errors.Unreachable(f"{endpoint}: {error}") from error
    try:
        found = x509.load_der_x509_certificate(raw)
        names = found.subject.rfc4514_string(), found.issuer.rfc4514_string()
        return Certificate(fingerprint(raw), *names, found.not_valid_before_utc, found.not_valid_after_utc)
    except ValueError as error:
        raise errors.Garbled(f"{endpoint}: its certificate is not understood: {error}") from error


def _colons(digest: str) -> str:
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2)).upper()


def context(access: wish.Access) -> ssl.SSLContext:
    """The check that ``access`` asks for. Denied when it asks for none, or its CA file cannot be used."""
    if access.pins:
        pinned = _Pinned(ssl.PROTOCOL_TLS_CLIENT)
        pinned.pins = frozenset(_colons(one.replace(":", "").lower()) for one in access.pins)
        # PVE's own certificate is signed by its own CA: the pin takes the place of the chain and of the name.
        pinned.check_hostname = False
        pinned.verify_mode = ssl.CERT_NONE
        return pinned
    if not access.ca:
        raise errors.Denied("neither a fingerprint nor a CA says whom to trust as the API")
    try:
        signed = ssl.create_default_context(cafile=access.ca)
    except OSError as error:
        raise errors.Denied(f"cannot use CA file {access.ca}: {error}") from error
    # Python sets it since 3.13; what PVE signs for its nodes has no Authority Key Identifier (PVE::Cluster::Setup) and fails it.
    signed.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return signed
