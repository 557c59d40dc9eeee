"""Request bodies as pveproxy reads them: forms, JSON and uploads, each with its own way to refuse."""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import parse_qsl

from transom.lab.pve import perljson
from transom.lab.pve.formats import Value

Params = dict[str, Value]
Upload = dict[str, tuple[str, bytes]]


class Unreadable(Exception):
    """Refused before any handler: status, reason phrase and plain body."""

    def __init__(self, status: int, reason: str, body: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.body = status, reason, body


def merge(pairs: list[tuple[str, str]]) -> Params:
    """A name that comes several times is a list."""
    found: Params = {}
    for name, value in pairs:
        old = found.get(name)
        found[name] = value if old is None else [*old, value] if isinstance(old, list) else [old, value]
    return found


def form(text: str) -> Params:
    return merge(parse_qsl(text, keep_blank_values=True))


def parse(content_type: str, body: bytes) -> Params:
    """The parameters of a body that is no upload."""
    if not body:
        return {}
    kind = content_type.split(";")[0].strip().lower()
    text = body.decode("utf-8", "replace")
    if kind in ("", "application/x-www-form-urlencoded"):
        return form(text)
    if kind != "application/json":
        wrong = f"upload 'Content-Type '{content_type}' not implemented"
        raise Unreadable(506, wrong, wrong)
    try:
        values = json.loads(text)
    except ValueError as error:
        wrong = f"{perljson.complaint(text, error)} at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 934."
        raise Unreadable(500, wrong, f"{wrong}\n") from error
    return values if isinstance(values, dict) else {}


def multipart(content_type: str, body: bytes) -> tuple[Params, Upload]:
    """The fields and the file of an upload."""
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if not found:
        raise Unreadable(400, "Bad Request")
    pairs: list[tuple[str, str]] = []
    uploads: Upload = {}
    for part in body.split(b"--" + found[1].encode())[1:-1]:
        head, _, content = part.strip(b"\r\n").partition(b"\r\n\r\n") if b"\r\n\r\n" in part else (part, b"", b"")
        content = part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") if b"\r\n\r\n" in part else content
        words = head.decode("utf-8", "replace")
        name = re.search(r'[ ;]name="([^"]*)"', words)
        file = re.search(r'filename="([^"]*)"', words)
        if name and file:
            uploads[name[1]] = (file[1], content)
        elif name:
            pairs.append((name[1], content.decode("utf-8", "replace")))
    return merge(pairs), uploads


def check_sum(params: Params, content: bytes) -> None:
    """400 without a word when the checksum that was sent along is not that of the file."""
    wanted, how = str(params.get("checksum") or ""), str(params.get("checksum-algorithm") or "")
    if wanted and how in hashlib.algorithms_guaranteed and hashlib.new(how, content).hexdigest() != wanted.lower():
        raise Unreadable(400, "Bad Request")
