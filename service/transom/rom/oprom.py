"""Finds option ROMs that lie anywhere in a buffer: legacy vBIOS and network ROMs are stored as plain files in firmware."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from transom import errors
from transom.rom import layout, rominfo, span

_CANDIDATES = 16


def find(buffer: span.Span) -> Iterator[rominfo.Image]:
    """Every image that a 55 AA header and its PCIR agree on, in order; the PCIR is looked for first, as the rarer mark."""
    end, at = 0, buffer.find(layout.PCIR)
    while at >= 0:
        image = _around(buffer, at, end)
        if image:
            yield image
            end = image.offset + image.size
        at = buffer.find(layout.PCIR, max(end, at + 1))


def _around(buffer: span.Span, pcir: int, floor: int) -> rominfo.Image | None:
    """The image whose pointer leads to ``pcir`` and that starts at or after ``floor``."""
    low = buffer.start + max(floor, pcir - 0xFFFF)
    place = buffer.start + pcir
    for _ in range(_CANDIDATES):
        place = buffer.data.rfind(layout.SIGNATURE, low, place)
        if place < 0:
            return None
        start = place - buffer.start
        if start + layout.HEADER_SIZE <= pcir and buffer.u16(start + layout.PCIR_POINTER) == pcir - start:
            try:
                return dataclasses.replace(rominfo.image_at(buffer, start), offset=place)
            except errors.RomError:
                return None
    return None
