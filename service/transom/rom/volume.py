"""Firmware volumes and the files in them (PI 1.8, volume 3, 2 and 3.2): FFSv1 to v3, with large files."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from transom.rom import guids, parts, raw, section, span, tree

if TYPE_CHECKING:
    from transom.rom import reader as readers

SIGNATURE = b"_FVH"
SIGNATURE_AT = 40

_ERASED_TO_ONES = 0x800
_FILE_HEADER, _LARGE_HEADER = 24, 32
_LARGE, _CHECKED = 0x01, 0x40
_RAW, _PAD = 0x01, 0xF0
_DELETED = 0x10  # in the state byte, once its polarity is undone
_DXE = (0x05, 0x07, 0x0C)
_TYPES = {
    0x01: "raw",
    0x02: "freeform",
    0x03: "SEC core",
    0x04: "PEI core",
    0x05: "DXE core",
    0x06: "PEI module",
    0x07: "DXE driver",
    0x08: "PEI/DXE driver",
    0x09: "application",
    0x0A: "SMM driver",
    0x0B: "volume image",
    0x0C: "DXE/SMM driver",
    0x0D: "SMM core",
    0x0E: "MM driver",
    0x0F: "MM core",
    _PAD: "padding",
}


@dataclasses.dataclass(frozen=True)
class Header:
    """``size`` and ``header`` in bytes; ``first`` is where the first file stands."""

    system: str
    size: int
    header: int
    first: int
    polarity: bool
    checksum_ok: bool


def header_at(part: span.Span, at: int) -> Header | None:
    """The volume header at ``at``, or None when what stands there cannot be one. ``size`` may exceed the span."""
    if at < 0 or at + 56 > len(part) or not part.startswith(SIGNATURE, at + SIGNATURE_AT):
        return None
    size, header = part.uint(at + 32, 8), part.u16(at + 48)
    if not 56 <= header <= size or header & 1 or at + header > len(part) or part.u8(at + 55) not in (1, 2):
        return None
    extended = part.u16(at + 52)
    first = header
    if extended and header <= extended and at + extended + 20 <= len(part):
        first = extended + part.u32(at + extended + 16)
    return Header(
        system=guids.text(part.cut(at + 16, 16)),
        size=size,
        header=header,
        first=-(-first // 8) * 8,
        polarity=bool(part.u32(at + 44) & _ERASED_TO_ONES),
        checksum_ok=not part.sub(at, header).sum16(),
    )


def read(reader: readers.Reader, area: parts.Area, part: span.Span, header: Header, depth: int) -> tree.Node:
    """One volume. ``part`` is what is there of it; shorter than its header says means truncated."""
    if len(part) < header.size:
        text = f"a volume announces {header.size} bytes, {len(part)} are there: the image is truncated"
        reader.problem(tree.Level.DAMAGE, text, area, part.start)
    if not header.checksum_ok:
        reader.problem(tree.Level.NOTE, "a volume header's checksum is wrong", area, part.start)
    name = guids.FILE_SYSTEMS.get(header.system)
    children: tuple[tree.Node, ...] = ()
    if name:
        children = _files(reader, area, part, header, depth)
    return tree.Node("volume", name or guids.NAMES.get(header.system, header.system), part.start, len(part), children)


def _files(
    reader: readers.Reader, area: parts.Area, part: span.Span, header: Header, depth: int
) -> tuple[tree.Node, ...]:
    nodes: list[tree.Node] = []
    at = header.first
    while at + _FILE_HEADER <= len(part):
        if part.sub(at, _FILE_HEADER).blank():
            if not part.sub(at).blank():
                nodes.append(tree.Node("data behind files", "", part.start + at, len(part) - at))
                nodes.extend(raw.scan(reader, area, part.sub(at), depth + 1, quiet=True))
            break
        reader.budget.structure(depth, part.start + at)
        size, start = _extent(part, at, header)
        if size < start or at + size > len(part):
            text = f"a file announces {size} bytes, {len(part) - at} are left in its volume"
            reader.problem(tree.Level.DAMAGE, text, area, part.start + at)
            break
        nodes.append(_file(reader, area, part.sub(at, size), start, header, depth))
        at += -(-size // 8) * 8
    return tuple(nodes)


def _extent(part: span.Span, at: int, header: Header) -> tuple[int, int]:
    """Size and header size of a file. The large-file flag means something else in FFSv1, so there it is not read."""
    size = part.uint(at + 20, 3)
    large = part.u8(at + 19) & _LARGE and header.system != guids.FFS_1
    if large and (header.system == guids.FFS_3 or size in (0, 0xFFFFFF)) and at + _LARGE_HEADER <= len(part):
        return part.uint(at + 24, 8), _LARGE_HEADER
    return size, _FILE_HEADER


def _file(
    reader: readers.Reader, area: parts.Area, whole: span.Span, start: int, header: Header, depth: int
) -> tree.Node:
    kind, body = whole.u8(18), whole.sub(start)
    unit = parts.Unit(guid=guids.text(whole.cut(0, 16)))
    state = whole.u8(23) ^ (0xFF if header.polarity else 0)
    if state & _DELETED:
        area.programs.append((whole.start, whole.end))  # nothing in it is to be found as stray
        return tree.Node("deleted file", unit.guid, whole.start, len(whole))
    unit.damaged = _wrong_checksum(whole, start, header)
    if unit.damaged and kind != _PAD:
        reader.problem(tree.Level.DAMAGE, f"file {unit.guid}: {unit.damaged}", area, whole.start)
    if kind == _PAD:
        children = () if body.blank() else raw.scan(reader, area, body, depth + 1, quiet=True)
    elif kind == _RAW or (kind not in _TYPES and not section.is_stream(body)):
        children = raw.file_body(reader, area, unit, body, depth + 1)
    else:
        children = section.read(reader, area, unit, body, depth + 1)
    reader.dxe = reader.dxe or (kind in _DXE and bool(unit.programs))
    reader.finish(unit, area)
    label = unit.name or guids.NAMES.get(unit.guid, "")
    return tree.Node(
        f"{_TYPES.get(kind, f'type 0x{kind:02X}')} file",
        f"{unit.guid} {label}".strip(),
        whole.start,
        len(whole),
        children,
    )


def _wrong_checksum(whole: span.Span, start: int, header: Header) -> str:
    """Why the file's checksums are wrong, or nothing. The header's leaves out state and the body's own checksum."""
    head = whole.cut(0, start)
    if sum(head) - head[17] - head[23] & 0xFF:
        return "its header's checksum is wrong"
    body = whole.sub(start)
    if head[19] & _CHECKED and header.system != guids.FFS_1 and (body.sum8() + head[17]) & 0xFF:
        return "its content's checksum is wrong"
    return ""
