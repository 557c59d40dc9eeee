"""Keys behind references, and pinned keys, well-formed and not."""

from __future__ import annotations

import io

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from transom import errors
from transom.spec import wish
from transom.ssh import keys


def _pem(passphrase: bytes | None = None) -> str:
    kind = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, kind).decode()


def test_a_key_from_a_file(tmp_path):
    text = _pem()
    (tmp_path / "id").write_text(text)
    key = keys.read_private_key(wish.SecretRef(file=str(tmp_path / "id")))
    assert key == paramiko.Ed25519Key.from_private_key(io.StringIO(text))


def test_what_is_no_usable_key_is_denied_without_its_text(tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("hunter2hunter2")
    (tmp_path / "locked").write_text(_pem(b"passphrase"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    for ref, says in (
        (wish.SecretRef(file=str(tmp_path / "secret")), "holds no SSH private key"),
        (wish.SecretRef(file=str(tmp_path / "locked")), "has a passphrase"),
        (wish.SecretRef(file=str(tmp_path / "binary")), "cannot read"),
        (wish.SecretRef(file=str(tmp_path / "none")), "cannot read"),
        (wish.SecretRef(env="NO_SUCH_KEY"), "NO_SUCH_KEY is not set"),
    ):
        with pytest.raises(errors.Denied, match=says) as caught:
            keys.read_private_key(ref)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        "ssh-nothing AAAAC3NzaC1lZDI1NTE5AAAA",
        "AAAA",
    ],
)
def test_a_pin_that_is_no_key_is_denied(line):
    with pytest.raises(errors.Denied, match="not an SSH host key"):
        keys.parse_host_key(line)


def test_a_pin_with_comment():
    key = paramiko.Ed25519Key.from_private_key(io.StringIO(_pem()))
    assert keys.parse_host_key(f"ssh-ed25519 {key.get_base64()} root@pve1\n").asbytes() == key.asbytes()
    assert keys.host_key_algorithms(key) == ("ssh-ed25519",)


def test_rsa_is_asked_for_with_sha2():
    assert keys.host_key_algorithms(paramiko.RSAKey.generate(2048)) == ("rsa-sha2-512", "rsa-sha2-256")
