"""Finds Video BIOS Tables: only those whose header, checksum and data block are right, for ``$VBT`` also stands in code."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator

from transom.rom import span

_MARK = b"$VBT"
_BDB = b"BIOS_DATA_BLOCK "
_HEADER = 32  # bytes up to and with the offset of the data block
_LARGEST = 64 * 1024


@dataclasses.dataclass(frozen=True)
class Vbt:
    """One valid table; ``offset`` counts from the start of the buffer that holds it."""

    platform: str
    version: int
    size: int
    offset: int
    sha256: str


def find(buffer: span.Span) -> Iterator[Vbt]:
    """All valid tables of a buffer, in order; overlapping ones count once."""
    at = buffer.find(_MARK)
    while at >= 0:
        table = _read(buffer, at)
        if table:
            yield table
        at = buffer.find(_MARK, at + (table.size if table else len(_MARK)))


def _read(buffer: span.Span, at: int) -> Vbt | None:
    if at + _HEADER > len(buffer):
        return None
    header, size, bdb = buffer.u16(at + 22), buffer.u16(at + 24), buffer.u32(at + 28)
    platform = buffer.cut(at + 4, 16).strip(b" \0")
    fits = _HEADER <= header <= size <= min(_LARGEST, len(buffer) - at) and header <= bdb <= size - len(_BDB)
    if not fits or not platform.isascii() or not platform.decode("ascii").isprintable():
        return None
    if not buffer.startswith(_BDB, at + bdb) or buffer.sub(at, size).sum8():
        return None
    digest = hashlib.sha256(buffer.sub(at, size).view()).hexdigest()
    return Vbt(platform.decode("ascii"), buffer.u16(at + 20), size, buffer.start + at, digest)
