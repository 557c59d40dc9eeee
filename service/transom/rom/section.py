"""The sections of FFS files (PI 1.8, volume 3, 3.2.4): leaves are recorded, encapsulations opened."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from transom import errors
from transom.rom import budget as budgets
from transom.rom import codec, guids, parts, raw, span, tree

if TYPE_CHECKING:
    from transom.rom import reader as readers

_COMPRESSION, _GUIDED, _DISPOSABLE = 0x01, 0x02, 0x03
_PE32, _PIC, _TE, _UI, _VOLUME, _FREEFORM, _RAW = 0x10, 0x11, 0x12, 0x15, 0x17, 0x18, 0x19
_NAMES = {
    _COMPRESSION: "compressed section",
    _GUIDED: "GUIDed section",
    _DISPOSABLE: "disposable section",
    _PE32: "PE32",
    _PIC: "PIC",
    _TE: "TE",
    0x13: "DXE dependency",
    0x14: "version",
    _UI: "name",
    0x16: "16-bit program",
    _VOLUME: "volume image",
    _FREEFORM: "freeform section",
    _RAW: "raw section",
    0x1B: "PEI dependency",
    0x1C: "MM dependency",
}
_VENDORS = (0x20, 0xF0)  # Insyde's and Phoenix's sections for power-on codes
_WHOLE = 1 << 20
_PROCESSING_REQUIRED = 1
_MAGIC = (
    (b"\x28\xb5\x2f\xfd", "zstd", codec.zstd),
    (b"\x1f\x8b\x08", "GZip", codec.gzip),
)


def read(
    reader: readers.Reader, area: parts.Area, unit: parts.Unit, part: span.Span, depth: int
) -> tuple[tree.Node, ...]:
    """All sections of a file's body or of an expanded part; each starts at a multiple of four bytes."""
    nodes: list[tree.Node] = []
    at = 0
    while at + 4 <= len(part):
        reader.budget.structure(depth, part.start + at)
        size, header = _extent(part, at)
        if size < header or at + size > len(part):
            if not part.sub(at).blank():
                text = f"a section announces {size} bytes, {len(part) - at} are left"
                reader.problem(tree.Level.DAMAGE, text, area, part.start + at)
                if unit.programs:  # those stand complete in front of it
                    unit.warnings.append(f"behind it in its file {text}")
                else:
                    unit.damaged = unit.damaged or text
            break
        nodes.append(_one(reader, area, unit, part.sub(at, size), header, depth))
        at += -(-size // 4) * 4
    return tuple(nodes)


def rate(data: bytes | bytearray) -> int:
    """How far bytes look like sections: the number of sections in a row, more when they end with the bytes. Tells EFI 1.1
    from Tiano, whose streams look alike."""
    return rate_of(span.Span.of(data))


def rate_of(part: span.Span) -> int:
    """As ``rate``, without a copy."""
    at, count = 0, 0
    while at + 4 <= len(part):
        size, header = _extent(part, at)
        if size < header or at + size > len(part) or not (part.u8(at + 3) in _NAMES or part.u8(at + 3) in _VENDORS):
            return count + _WHOLE if count and part.sub(at).blank() else count
        count += 1
        at += -(-size // 4) * 4
    return count + _WHOLE if count else 0


def is_stream(part: span.Span) -> bool:
    """Whether bytes are sections from the first to the last: OEM and raw files, and raw sections, hold them too."""
    return rate_of(part) >= _WHOLE


def _extent(part: span.Span, at: int) -> tuple[int, int]:
    """Size and header size of a section; 0xFFFFFF stands for an extended size."""
    size = part.uint(at, 3)
    if size == 0xFFFFFF and at + 8 <= len(part):
        return part.u32(at + 4), 8
    return size, 4


def _one(
    reader: readers.Reader, area: parts.Area, unit: parts.Unit, whole: span.Span, header: int, depth: int
) -> tree.Node:
    kind, body = whole.u8(3), whole.sub(header)
    label = ""
    children: tuple[tree.Node, ...] = ()
    match kind:
        case 0x01:
            label, children = _compressed(reader, area, unit, body, depth)
        case 0x02:
            label, children = _guided(reader, area, unit, whole, header, depth)
        case 0x03:
            children = read(reader, area, unit, body, depth + 1)
        case 0x10 | 0x11 | 0x12:
            reader.program(body, _NAMES[kind], unit, area)
        case 0x15:
            unit.name = label = _text(body)
        case 0x17:
            children = raw.scan(reader, area, body, depth + 1)
        case 0x18 | 0x19:
            label, children = _data(reader, area, unit, body, kind, depth)
    return tree.Node(_NAMES.get(kind, f"section 0x{kind:02X}"), label, whole.start, len(whole), children)


def _data(
    reader: readers.Reader, area: parts.Area, unit: parts.Unit, body: span.Span, kind: int, depth: int
) -> tuple[str, tuple[tree.Node, ...]]:
    """Raw bytes, with a GUID in front in freeform sections: AMI keeps the GOP driver this way."""
    label = ""
    if kind == _FREEFORM and len(body) >= 16:
        guid = guids.text(body.cut(0, 16))
        label, body = guids.NAMES.get(guid, guid), body.sub(16)
    if raw.is_program(body):
        reader.program(body, _NAMES[kind], unit, area)
        return label, ()
    if is_stream(body):
        return label, read(reader, area, unit, body, depth + 1)
    return label, raw.scan(reader, area, body, depth + 1, quiet=True)


def _compressed(
    reader: readers.Reader, area: parts.Area, unit: parts.Unit, body: span.Span, depth: int
) -> tuple[str, tuple[tree.Node, ...]]:
    """EFI_SECTION_COMPRESSION: u32 original size, u8 type (0 stored, 1 EFI or Tiano, 2 LZMA; 0x86, LZMA with the
    x86 filter, is a vendor's), data."""
    if len(body) < 5:
        return "empty", ()
    kind, packed = body.u8(4), body.sub(5)
    if kind == 0:
        return "stored", read(reader, area, unit, packed, depth + 1)
    if kind == 1:
        return "EFI 1.1 or Tiano", _open(
            reader, area, unit, packed, "EFI 1.1", lambda p, b: codec.efi_or_tiano(p, b, rate)
        )
    if kind == 2:
        return "LZMA", _open(reader, area, unit, packed, "LZMA", codec.lzma_or_intel)
    if kind == 0x86:
        return "LZMA with x86 filter", _open(reader, area, unit, packed, "LZMA with x86 filter", codec.lzma_f86)
    reader.problem(tree.Level.UNREAD, f"compression type {kind} is unknown", area, body.start)
    return f"type {kind}", ()


def _guided(
    reader: readers.Reader, area: parts.Area, unit: parts.Unit, whole: span.Span, header: int, depth: int
) -> tuple[str, tuple[tree.Node, ...]]:
    """EFI_SECTION_GUID_DEFINED: GUID, u16 offset of the data from the section's start, u16 attributes."""
    if len(whole) < header + 20:
        reader.problem(tree.Level.DAMAGE, "a GUIDed section is shorter than its header", area, whole.start)
        return "", ()
    guid, offset = guids.text(whole.cut(header, 16)), whole.u16(header + 16)
    if not header + 20 <= offset <= len(whole):
        reader.problem(tree.Level.DAMAGE, f"a GUIDed section's data offset is {offset}", area, whole.start)
        return guid, ()
    packed, name = whole.sub(offset), guids.NAMES.get(guid, guid)
    unpack = _decoder(guid, packed)
    if unpack:
        return name, _open(reader, area, unit, packed, unpack[0], unpack[1])
    if guid == guids.CRC32:
        _check_crc(reader, area, unit, whole, header, packed)
    elif whole.u16(header + 18) & _PROCESSING_REQUIRED and not is_stream(packed):
        reader.problem(tree.Level.UNREAD, f"a section in the form {guid} is not unpacked here", area, whole.start)
        return name, ()
    return name, read(reader, area, unit, packed, depth + 1)


def _decoder(guid: str, packed: span.Span) -> tuple[str, raw.Unpack] | None:
    if guid in guids.LZMA:
        return "LZMA", codec.lzma_alone
    if guid == guids.TIANO:
        return "Tiano", lambda p, b: codec.efi_or_tiano(p, b, rate)
    known = {
        guids.LZMA_F86: ("LZMA with x86 filter", codec.lzma_f86),
        guids.BROTLI: ("Brotli", codec.brotli),
        guids.GZIP: ("GZip", codec.gzip),
    }
    # no GUID for zstd has settled: the frame's own mark tells
    sniffed = ((name, unpack) for magic, name, unpack in _MAGIC if packed.startswith(magic))
    return known.get(guid) or next(sniffed, None)


def _open(
    reader: readers.Reader,
    area: parts.Area,
    unit: parts.Unit,
    packed: span.Span,
    name: str,
    unpack: raw.Unpack,
) -> tuple[tree.Node, ...]:
    try:
        data = unpack(packed, reader.budget)
    except budgets.LimitError:
        raise
    except errors.RomError as wrong:
        reader.problem(tree.Level.DAMAGE, span.reason(wrong), area, packed.start)
        return ()
    return reader.expanded(data, area, f"{name} at 0x{packed.start:X}", unit)


def _check_crc(
    reader: readers.Reader,
    area: parts.Area,
    unit: parts.Unit,
    whole: span.Span,
    header: int,
    packed: span.Span,
) -> None:
    if len(whole) >= header + 24 and zlib.crc32(packed.view()) != whole.u32(header + 20):
        unit.damaged = unit.damaged or "a section's CRC32 is wrong"
        reader.problem(tree.Level.DAMAGE, "a section's CRC32 is wrong", area, whole.start)


def _text(body: span.Span) -> str:
    even = body.cut(0, min(len(body) & ~1, 512))
    return even.decode("utf-16-le", "replace").split("\0")[0].strip()
