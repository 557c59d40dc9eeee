"""Update capsules: EFI, AMI Aptio (ASUS .CAP is one) and vendors' own, all with the EFI header in front."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from transom.rom import guids, parts, raw, span, tree

if TYPE_CHECKING:
    from transom.rom import reader as readers

_HEADER = 28


@dataclasses.dataclass(frozen=True)
class Wrapping:
    """``start`` is where the image stands, ``size`` what the header says of the whole, in bytes."""

    name: str
    start: int
    size: int


def at(part: span.Span) -> Wrapping | None:
    """The capsule that starts the span, or None."""
    if len(part) < _HEADER + 4:
        return None
    guid, header, size = guids.text(part.cut(0, 16)), part.u32(16), part.u32(24)
    if guid in guids.APTIO_CAPSULES:
        # Aptio: u16 offset of the image behind the EFI header, for the signature stands between them
        start = part.u16(_HEADER)
        return Wrapping(guids.APTIO_CAPSULES[guid], start if _HEADER < start < len(part) else header, size)
    if guid in guids.CAPSULES:
        return Wrapping(guids.CAPSULES[guid], header, size)
    return None


def read(reader: readers.Reader, area: parts.Area, part: span.Span, wrapping: Wrapping, depth: int) -> tree.Node:
    if wrapping.size > len(part):
        text = f"the capsule announces {wrapping.size} bytes, {len(part)} are there: the file is truncated"
        reader.problem(tree.Level.DAMAGE, text, area, part.start)
    if not _HEADER <= wrapping.start < len(part):
        reader.problem(tree.Level.DAMAGE, f"the capsule's header announces {wrapping.start} bytes", area, part.start)
        return tree.Node("capsule", wrapping.name, part.start, len(part))
    children = raw.blob(reader, area, part.sub(wrapping.start), depth + 1)
    return tree.Node("capsule", wrapping.name, part.start, len(part), children)
