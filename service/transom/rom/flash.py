"""Raw SPI images: the flash descriptor names the regions (Intel's SPI programming guides)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from transom.rom import parts, raw, span, tree

if TYPE_CHECKING:
    from transom.rom import reader as readers

_SIGNATURE = (0x0FF0A55A).to_bytes(4, "little")
_SIGNATURE_AT = 0x10
_MAP0, _MAP1 = 0x14, 0x18
_PAGE = 0x1000
_BIOS = 1
_REGIONS = {0: "descriptor", 1: "BIOS", 2: "ME", 3: "GbE", 4: "platform data", 5: "device expansion", 8: "EC", 10: "IE"}
_REGISTERS = 16


def is_image(part: span.Span) -> bool:
    return len(part) >= _PAGE and part.startswith(_SIGNATURE, _SIGNATURE_AT)


def read(reader: readers.Reader, area: parts.Area, part: span.Span, depth: int) -> tuple[tree.Node, ...]:
    """The regions. ME and other processors' regions hold no UEFI volumes and are not searched."""
    regions = _regions(part)
    if not any(kind == _BIOS for kind, _, _ in regions):
        reader.problem(tree.Level.NOTE, "the flash descriptor names no BIOS region", area, part.start)
        return raw.scan(reader, area, part, depth)
    if overlapping := _overlap(regions):
        reader.problem(tree.Level.NOTE, f"{overlapping}: the whole image is searched", area, part.start)
        bios = next(region for region in regions if region[0] == _BIOS)
        _missing(reader, area, part, *bios)
        return raw.scan(reader, area, part, depth)
    nodes: list[tree.Node] = []
    done = 0
    for kind, start, end in regions:
        if start >= min(end, len(part)):
            _missing(reader, area, part, kind, start, end)
            continue
        if end > len(part):
            _missing(reader, area, part, kind, start, end)
        nodes += raw.scan(reader, area, part.sub(done, start - done), depth, quiet=True)
        done = min(end, len(part))
        nodes.append(_region(reader, area, kind, part.sub(start, done - start), depth))
    return (*nodes, *raw.scan(reader, area, part.sub(done), depth, quiet=True))


def _overlap(regions: list[tuple[int, int, int]]) -> str:
    """Which two regions overlap, or nothing. ``regions`` by start."""
    for (kind, _, end), (other, start, _) in itertools.pairwise(regions):
        if start < end:
            return f"the {_REGIONS.get(other, other)} region overlaps the {_REGIONS.get(kind, kind)} region"
    return ""


def _missing(reader: readers.Reader, area: parts.Area, part: span.Span, kind: int, start: int, end: int) -> None:
    if end > len(part):
        level = tree.Level.DAMAGE if kind == _BIOS else tree.Level.NOTE
        text = f"the {_REGIONS.get(kind, kind)} region ends at 0x{end:X}, the image at 0x{len(part):X}"
        reader.problem(level, text, area, part.start + start)


def _region(reader: readers.Reader, area: parts.Area, kind: int, part: span.Span, depth: int) -> tree.Node:
    children = raw.scan(reader, area, part, depth + 1) if kind == _BIOS or kind not in _REGIONS else ()
    return tree.Node("region", _REGIONS.get(kind, str(kind)), part.start, len(part), children)


def _regions(part: span.Span) -> list[tuple[int, int, int]]:
    """Kind, start and end of each region in use, by start. The table ends where the masters' begins."""
    table, masters = ((part.u32(_MAP0) >> 16) & 0xFF) << 4, (part.u32(_MAP1) & 0xFF) << 4
    stop = masters if masters > table else _PAGE
    found = []
    for kind in range(_REGISTERS):
        at = table + 4 * kind
        if at + 4 > min(stop, _PAGE) or part.u32(at) == 0xFFFFFFFF:
            break
        base, limit = part.u16(at) & 0x7FFF, part.u16(at + 2) & 0x7FFF
        if limit >= base and (limit or kind == 0):
            found.append((kind, base * _PAGE, (limit + 1) * _PAGE))
    return sorted(found, key=lambda region: region[1])
