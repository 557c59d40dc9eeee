"""The API token's secret, from where the documents say it lies; it goes into one header and nowhere else."""

from __future__ import annotations

import os
import pathlib

from transom import errors
from transom.spec import wish


def header(access: wish.Access) -> str:
    """The Authorization header. Denied, with the place but never the secret, when it cannot be read."""
    return f"PVEAPIToken={access.token_id}={_secret(access.token_secret)}"


def _secret(ref: wish.SecretRef) -> str:
    place = f"file {ref.file}" if ref.file else f"environment variable {ref.env}"
    try:
        text = pathlib.Path(ref.file).read_text(encoding="ascii") if ref.file else os.environ.get(ref.env, "")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Denied(f"cannot read the API token's secret: {place}: {type(error).__name__}") from error
    secret = text.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise errors.Denied(f"{place} does not hold an API token's secret", hint="one word, as pveum printed it")
    return secret
