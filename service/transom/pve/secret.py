"""Secrets, from where the documents say they lie; read anew at each use, and kept nowhere."""

from __future__ import annotations

import base64
import binascii
import os
import pathlib

from transom import errors
from transom.spec import wish


def word(ref: wish.SecretRef, what: str, hint: str) -> str:
    """One word of printable ASCII, as of a token. Denied, with the place but never the secret, when it is not there."""
    text = line(ref, what, hint)
    if not text.isascii() or " " in text:
        raise errors.Denied(f"{place(ref)} does not hold {what}", hint=hint)
    return text


def line(ref: wish.SecretRef, what: str, hint: str = "") -> str:
    """One line of printable text without what surrounds it, as of a password. Denied as above."""
    try:
        text = pathlib.Path(ref.file).read_text(encoding="utf-8") if ref.file else os.environ[ref.env]
    except (OSError, UnicodeDecodeError, KeyError) as error:
        fault, way_out = _fault(error)
        # `from None`: what cannot be decoded stands in the error, and may be a part of the secret.
        raise errors.Denied(f"cannot read {what}: {place(ref)} {fault}", hint=way_out) from None
    secret = text.strip()
    if not secret or not secret.isprintable():
        raise errors.Denied(f"{place(ref)} does not hold {what}", hint=hint)
    return secret


def _fault(error: OSError | UnicodeDecodeError | KeyError) -> tuple[str, str]:
    """In words, as ``transom validate`` has them, and the way out."""
    match error:
        case KeyError():
            return "is not set", 'set it where Transom runs, or give "file: PATH"'
        case FileNotFoundError():
            return "does not exist", "put the secret there, or mend the path"
        case IsADirectoryError():
            return "is a folder, not a file", "put the secret there, or mend the path"
        case OSError():
            return f"cannot be read: {error.strerror}", ""
    return "is not text in UTF-8", ""


def base32(ref: wish.SecretRef, what: str) -> bytes:
    """The key that is written in base32, with or without blanks, in either case. Denied as above."""
    hint = "base32: A to Z and 2 to 7, as shown when the second factor was set up (secret= of an otpauth: URL)"
    text = "".join(line(ref, what, hint).replace("-", " ").split()).upper().rstrip("=")
    try:
        key = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise errors.Denied(f"{place(ref)} does not hold {what}", hint=hint)
    return key


def place(ref: wish.SecretRef) -> str:
    """Where the secret is, for messages."""
    return f"file {ref.file}" if ref.file else f"environment variable {ref.env}"
