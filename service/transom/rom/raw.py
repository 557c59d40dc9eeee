"""Bytes of no announced form: says what they are, opens the wrappings that are known, and finds the volumes in the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from transom import errors
from transom.rom import (
    archive,
    budget,
    capsule,
    codec,
    flash,
    guids,
    layout,
    parts,
    pe,
    section,
    span,
    tree,
    vendor,
    volume,
)

if TYPE_CHECKING:
    from transom.rom import reader as readers

Unpack = Callable[[span.Span, budget.Budget], codec.Buffer]


def is_program(part: span.Span) -> bool:
    """Whether a PE image starts here: MZ alone means nothing."""
    if not part.startswith(b"MZ"):
        return False
    try:
        pe.parse(part)
    except errors.RomError:
        return False
    return True


def is_rom(part: span.Span) -> bool:
    """Whether a PCI option ROM starts here."""
    if not part.startswith(layout.SIGNATURE) or len(part) < layout.HEADER_SIZE:
        return False
    return part.startswith(layout.PCIR, part.u16(layout.PCIR_POINTER))


def blob(reader: readers.Reader, area: parts.Area, part: span.Span, depth: int) -> tuple[tree.Node, ...]:
    """Whatever stands here, outermost wrapping first."""
    reader.budget.structure(depth, part.start)
    if archive.is_zip(part):
        return archive.read(reader, area, part)
    wrapping = capsule.at(part)
    if wrapping:
        return (capsule.read(reader, area, part, wrapping, depth),)
    hidden = vendor.hidden(part)
    if hidden:
        reader.problem(tree.Level.UNREAD, hidden, area, part.start)
        area.hidden = True
        return (tree.Node("unread", hidden.split(":")[0], part.start, len(part)),)
    if flash.is_image(part):
        return flash.read(reader, area, part, depth)
    if is_program(part):
        return _program(reader, area, part, depth)
    return scan(reader, area, part, depth)


def file_body(
    reader: readers.Reader, area: parts.Area, unit: parts.Unit, body: span.Span, depth: int
) -> tuple[tree.Node, ...]:
    """The body of a file without sections."""
    if is_program(body):
        reader.program(body, "raw file", unit, area)
        return ()
    # an FSP starts with its header, as a section inside a raw file
    reader.fsp = reader.fsp or body.startswith(b"FSPH", 4)
    if section.is_stream(body):
        return section.read(reader, area, unit, body, depth)
    return scan(reader, area, body, depth, quiet=True)


def scan(
    reader: readers.Reader, area: parts.Area, part: span.Span, depth: int, *, quiet: bool = False
) -> tuple[tree.Node, ...]:
    """Volumes in a row of bytes, and what lies between them; ``quiet`` leaves the latter out."""
    nodes: list[tree.Node] = []
    done, at = 0, part.find(volume.SIGNATURE)
    while at >= 0:
        reader.budget.structure(depth, part.start + at)
        start = at - volume.SIGNATURE_AT
        header = volume.header_at(part, start) if start >= done else None
        if header and _plausible(header, len(part) - start):
            nodes += _between(part, done, start, quiet=quiet)
            there = part.sub(start, min(header.size, len(part) - start))
            nodes.append(volume.read(reader, area, there, header, depth + 1))
            done = start + len(there)
        at = part.find(volume.SIGNATURE, max(done, at + 1))
    return (*nodes, *_between(part, done, len(part), quiet=quiet))


def _plausible(header: volume.Header, left: int) -> bool:
    """A right checksum proves a header; without it the file system must be known and the size must fit."""
    return header.checksum_ok or (header.system in guids.FILE_SYSTEMS and header.size <= left)


def _between(part: span.Span, start: int, end: int, *, quiet: bool) -> list[tree.Node]:
    if quiet or start >= end:
        return []
    gap = part.sub(start, end - start)
    kind = "padding" if gap.blank() else "raw data"
    return [tree.Node(kind, "", gap.start, len(gap))]


def _program(reader: readers.Reader, area: parts.Area, part: span.Span, depth: int) -> tuple[tree.Node, ...]:
    """An EFI program, or one for Windows: installers often hold the image in plain sight behind their code."""
    if pe.parse(part).subsystem in pe.SUBSYSTEMS:
        unit = parts.Unit()
        reader.program(part, "file", unit, area)
        reader.finish(unit, area)
        return (tree.Node("EFI program", "", part.start, len(part)),)
    nodes = scan(reader, area, part, depth, quiet=True)
    if not nodes:
        reader.problem(tree.Level.UNREAD, vendor.installer(part), area, part.start)
    return (tree.Node("Windows program", "", part.start, len(part), nodes),)
