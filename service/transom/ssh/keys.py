"""Keys as documents name them: the private key behind a reference, and the pinned public key of a host."""

from __future__ import annotations

import base64
import binascii
import io
import os
import pathlib

import paramiko
from paramiko import pkey

from transom import errors
from transom.spec import wish

_KINDS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


def read_private_key(ref: wish.SecretRef) -> paramiko.PKey:
    """The private key (OpenSSH or PEM, without a passphrase) that ``ref`` points to; Denied names the place, never the text."""
    place = f"file {ref.file}" if ref.file else f"environment variable {ref.env}"
    text = _read(ref, place)
    for kind in _KINDS:
        try:
            return kind.from_private_key(io.StringIO(text))
        except paramiko.PasswordRequiredException as error:
            hint = "a daemon cannot type it: use a key without one"
            raise errors.Denied(f"the SSH key in {place} has a passphrase", hint=hint) from error
        except (paramiko.SSHException, ValueError, IndexError):
            # Each class refuses the others' keys, in its own way; the last word is below.
            continue
    raise errors.Denied(f"{place} holds no SSH private key", hint="ed25519, ECDSA and RSA are understood")


def _read(ref: wish.SecretRef, place: str) -> str:
    if ref.env:
        text = os.environ.get(ref.env, "")
        if not text:
            raise errors.Denied(f"{place} is not set", hint="it should hold the SSH private key")
        return text
    try:
        return pathlib.Path(ref.file).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Denied(f"cannot read the SSH private key: {place}: {error}") from error


def parse_host_key(line: str) -> paramiko.PKey:
    """The public key of ``ssh-ed25519 AAAA… comment``; Denied when it is none, for then nothing is pinned."""
    kind, _, rest = line.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
        return paramiko.PKey.from_type_string(kind, blob)
    except (binascii.Error, paramiko.SSHException, pkey.UnknownKeyType, ValueError, IndexError) as error:
        hint = "take it from `ssh-keyscan HOST` and compare it with the host's own"
        raise errors.Denied(f"not an SSH host key: {line[:40]!r}", hint=hint) from error


def host_key_algorithms(key: paramiko.PKey) -> tuple[str, ...]:
    """How a server may sign with ``key``; RSA keys no longer sign as ``ssh-rsa`` (SHA-1)."""
    name = key.get_name()
    return ("rsa-sha2-512", "rsa-sha2-256") if name == "ssh-rsa" else (name,)
