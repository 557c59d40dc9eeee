"""Zip archives around a BIOS file. Entries are read in memory and never written, so their names cannot lead anywhere."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

from transom import errors
from transom.rom import budget as budgets
from transom.rom import parts, span, tree

if TYPE_CHECKING:
    import zipfile

    from transom.rom import reader as readers

_ENCRYPTED = 1
_METHODS = (0, 8)  # stored and deflated: Python unpacks bzip2 and LZMA with no bound on what one step gives
_STEP = 1 << 20
_SMALLEST = 512  # nothing shorter holds firmware


def is_zip(part: span.Span) -> bool:
    return part.startswith(b"PK\x03\x04")


def read(reader: readers.Reader, area: parts.Area, part: span.Span) -> tuple[tree.Node, ...]:
    """Every entry, each as whatever it is. What cannot be read is a problem of its own; limits end all."""
    import zipfile  # costs 15 ms, and most inputs are no archives

    nodes = []
    try:
        with zipfile.ZipFile(io.BytesIO(part.cut())) as archive:
            for entry in archive.infolist():
                reader.budget.structure(area.depth, part.start)
                if not entry.is_dir() and entry.file_size >= _SMALLEST:
                    nodes.append(_entry(reader, area, archive, entry))
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError, OSError, ValueError, RuntimeError) as wrong:
        reader.problem(tree.Level.DAMAGE, f"the zip archive cannot be read: {wrong}", area, part.start)
    return tuple(nodes)


def _entry(reader: readers.Reader, area: parts.Area, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tree.Node:
    name = entry.filename.encode("unicode_escape").decode("ascii")
    if entry.flag_bits & _ENCRYPTED:
        text = f"zip entry {name} is encrypted: unpack it with its password, then give the BIOS file"
        reader.problem(tree.Level.UNREAD, text, area, entry.header_offset)
        return tree.Node("encrypted entry", name, entry.header_offset, entry.file_size)
    if name.startswith(("/", "\\")) or ".." in name:
        reader.problem(tree.Level.NOTE, f"zip entry {name} has a path that leads outside", area, entry.header_offset)
    if entry.compress_type not in _METHODS:
        text = f"zip entry {name} is packed by method {entry.compress_type}: unpack it first, then give the BIOS file"
        reader.problem(tree.Level.UNREAD, text, area, entry.header_offset)
        return tree.Node("unread entry", name, entry.header_offset, entry.file_size)
    try:
        data = _contents(reader.budget, archive, entry)
    except budgets.LimitError:
        raise
    except errors.RomError as wrong:
        reader.problem(tree.Level.DAMAGE, f"zip entry {name}: {span.reason(wrong)}", area, entry.header_offset)
        return tree.Node("unread entry", name, entry.header_offset, entry.file_size)
    return tree.Node("entry", name, entry.header_offset, len(data), reader.buffer(data, area, name))


def _contents(budget: budgets.Budget, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytearray:
    """The entry's bytes: what the directory announces is taken from the budget first, and never exceeded."""
    size = budget.expand(entry.file_size, entry.header_offset)
    out = bytearray()
    with archive.open(entry) as stream:
        while step := stream.read(_STEP):
            out += step
            if len(out) > size:
                raise budgets.LimitError(
                    f"zip entry is larger than the {size} bytes announced", offset=entry.header_offset
                )
    return out
