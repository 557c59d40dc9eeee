"""Second factors: users' TOTP secrets in priv/tfa.cfg as PVE keeps them, and codes that are good once."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from urllib.parse import parse_qs, urlsplit

from transom.lab.pve import files

PERIOD = 30
LOCK = threading.Lock()


def render(secrets: dict[str, str]) -> str:
    """priv/tfa.cfg with a TOTP for each user; `secrets` are base32."""
    users = {name: {"totp": [{"info": {"id": "totp1", "description": "lab", "created": 0, "enable": True},
                              "entry": f"otpauth://totp/{name}?secret={secret}&algorithm=SHA1&digits=6&period=30"}]}
             for name, secret in secrets.items()}  # fmt: skip
    return json.dumps({"users": users})


def secret(place: files.NodeFiles, user: str) -> bytes:
    """The user's TOTP key; empty without one."""
    text = files.read_text(place.path("etc/pve/priv/tfa.cfg"))
    entries = (json.loads(text) if text else {"users": {}})["users"].get(user, {}).get("totp", [])
    if not entries:
        return b""
    written = parse_qs(urlsplit(entries[0]["entry"]).query)["secret"][0]
    return base64.b32decode(written + "=" * (-len(written) % 8))


def fits(place: files.NodeFiles, user: str, code: str) -> bool:
    """Whether the code is the user's of now or of a neighbouring period, and of a later one than the last that was used."""
    # only here: `qm` and `pvesh` come this way too, and must start light
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.twofactor import totp

    codes = totp.TOTP(secret(place, user), 6, hashes.SHA1(), PERIOD, enforce_key_length=False)
    last = place.path(f"etc/pve/priv/tfa/{user}.last")
    with LOCK:
        used = int(files.read_text(last) or 0)
        now = int(time.time() // PERIOD)
        for step in range(max(used + 1, now - 1), now + 2):
            if hmac.compare_digest(codes.generate(step * PERIOD).decode(), code):
                files.write(last, str(step).encode())
                return True
    return False
