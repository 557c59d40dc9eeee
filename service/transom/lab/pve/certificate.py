"""A self-signed certificate for a lab server, made anew for each root."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from transom.lab.pve import files


def ensure(folder: Path, node: str) -> tuple[Path, Path]:
    """Paths of the certificate and its key, as pveproxy keeps them."""
    certificate, key = folder / "pveproxy-ssl.pem", folder / "pveproxy-ssl.key"
    if not (certificate.exists() and key.exists()):
        made, secret = make(node)
        files.write(key, secret)
        files.write(certificate, made)
    return certificate, key


def make(node: str) -> tuple[bytes, bytes]:
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node),
                      x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Transom lab")])  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(node), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=730))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(secret, hashes.SHA256())
    )
    key = secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                               serialization.NoEncryption())  # fmt: skip
    return built.public_bytes(serialization.Encoding.PEM), key


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the certificate, as `AA:BB:…`."""
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    text = hashlib.sha256(der).hexdigest().upper()
    return ":".join(text[at : at + 2] for at in range(0, len(text), 2))
