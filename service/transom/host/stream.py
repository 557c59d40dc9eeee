"""One script for all probes and one framed stream back: every section says where it begins, where it ends and how it went.

A section is the line ``=== <nonce> <name>``, what the probe prints, and ``=== <nonce> end <name> <exit>`` on a line of its own; the
last line is ``=== <nonce> done``. The nonce keeps file contents from looking like frames.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from transom import errors
from transom.host import probe

_NONCE = re.compile(r"[0-9A-Za-z]{8,64}")
_PROLOGUE = "LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin; export PATH\n"


@dataclasses.dataclass(frozen=True)
class Section:
    """What one probe printed, and its exit status."""

    body: bytes
    exit: int


def assemble(probes: Iterable[probe.Probe[Any]], nonce: str) -> str:
    """The POSIX-sh script. ``nonce``: 8 to 64 letters and digits, new for each run. A probe runs in a subshell of its own."""
    if not _NONCE.fullmatch(nonce):
        raise ValueError("a nonce is 8 to 64 letters and digits")
    parts = [
        f"printf '=== {nonce} {one.name}\\n'\n(\n{one.command.strip()}\n) </dev/null 2>/dev/null\n"
        f"printf '\\n=== {nonce} end {one.name} %s\\n' \"$?\"\n"
        for one in probes
    ]
    return f"{_PROLOGUE}{''.join(parts)}printf '=== {nonce} done\\n'\n"


def split(stream: bytes, nonce: str) -> dict[str, Section]:
    """The sections by name. errors.Garbled when the stream was cut short or is out of order: nothing of it is used then."""
    mark = f"=== {nonce} ".encode()
    sections: dict[str, Section] = {}
    at = stream.find(mark)  # a login banner may stand before the first frame
    while at >= 0:
        line, at = _line(stream, at)
        words = line[len(mark) :].split()
        if words == [b"done"]:
            return sections
        if len(words) != 1 or words[0].decode("ascii", "replace") in sections:
            raise errors.Garbled(f"a frame that is none: {line[:80]!r}")
        end = b"\n" + mark + b"end " + words[0] + b" "
        stop = stream.find(end, at)
        if stop < 0:
            raise errors.Garbled(f"section {words[0].decode('ascii', 'replace')} does not end")
        closing, following = _line(stream, stop + 1)
        sections[words[0].decode("ascii", "replace")] = Section(stream[at:stop], _exit(closing))
        at = following if stream.startswith(mark, following) else -1
    raise errors.Garbled("the stream ends before its last frame")


def _line(stream: bytes, at: int) -> tuple[bytes, int]:
    end = stream.find(b"\n", at)
    if end < 0:
        raise errors.Garbled("the stream ends inside a frame")
    return stream[at:end], end + 1


def _exit(closing: bytes) -> int:
    status = closing.rpartition(b" ")[2]
    if not status.isdigit():
        raise errors.Garbled(f"a frame that is none: {closing[:80]!r}")
    return int(status)
