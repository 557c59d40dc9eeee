"""A disk's volatile write cache, and what is left when the power goes.

A killed QEMU alone loses only what the guest still had in memory: whatever has reached the emulated disk stays in the host's page
cache. A real disk may lose or reorder everything since its last flush. So QEMU writes down all writes and flushes of the guest
(its ``blklogwrites`` filter, in the form of Linux' dm-log-writes), each start of QEMU on a layer of its own. Mostly the cache is
empty, for the guest flushes at once what it has written: a cut falls into a flush that is held back. After it the layer is thrown
away and made anew of the log: all that stood before the last flush, and of the rest each 4 KiB that the dice let through.
"""

from __future__ import annotations

import dataclasses
import pathlib
import random
import struct
import subprocess
from collections.abc import Iterator
from typing import BinaryIO

SECTOR = 512
_MAGIC = 0x6A736677736872
_SUPER, _ENTRY = struct.Struct("<QQQI"), struct.Struct("<QQQQ")
_FLUSH, _DISCARD = 1, 4
_PIECE = 4096
_ROOM = 16 << 30
"""Sparse; a log does not grow beyond its file."""


@dataclasses.dataclass(frozen=True)
class Write:
    """``at``: first byte on the disk; ``where``: first byte in the log, None for a discard (zeros)."""

    at: int
    size: int
    where: int | None


class WriteCache:
    """Of the disk ``folder/disk.qcow2``."""

    def __init__(self, folder: pathlib.Path, dice: random.Random) -> None:
        self.disk, self.dice = folder / "disk.qcow2", dice
        self.starts = 0
        self._before = 0
        self._log = Log(folder / "writes.0")

    @property
    def written(self) -> int:
        """How many times the guest has written or flushed, over all starts."""
        return self._before + self._log.entries()

    @property
    def holds(self) -> bool:
        """Whether the guest has written anything since it last flushed."""
        self._log.read()
        return bool(self._log.cached)

    def begin(self) -> pathlib.Path:
        """A new layer and an empty log for a start of QEMU."""
        if self.starts:
            self._before = self.written
            self._log.path.unlink()
        self.starts += 1
        below = self.disk.with_name(f"below.{self.starts}.qcow2")
        self.disk.rename(below)
        _layer(below, "qcow2", self.disk)
        self._log = Log(self.disk.with_name(f"writes.{self.starts}"))
        with self._log.path.open("wb") as handle:
            handle.truncate(_ROOM)
        return self._log.path

    def lose(self) -> str:
        """Makes the disk what it is after the cut; says what was in the cache and what of it is kept. QEMU must have ended."""
        below, left = self.disk.with_name(f"below.{self.starts}.qcow2"), self.disk.with_name(f"cut.{self.starts}.raw")
        subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(below), str(left)], check=True)
        self._log.read()
        with self._log.path.open("rb") as log, left.open("r+b") as disk:
            for write in self._log.safe:
                _put(write, log, disk)
            pieces = [piece for write in self._log.cached for piece in _pieces(write)]
            kept = [piece for piece in pieces if self.dice.random() < 0.5]
            for piece in kept:
                _put(piece, log, disk)
        self.disk.unlink()
        _layer(left, "raw", self.disk)
        return f"{len(kept)} of {len(pieces)} pieces in the write cache were kept"


class Log:
    """What the guest wrote since a start, read as it grows: ``safe`` before its last flush, ``cached`` since, each in its order."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.safe: list[Write] = []
        self.cached: list[Write] = []
        self._read = 0
        self._at = SECTOR

    def entries(self) -> int:
        """How many there are, by its first sector; 0 before the first write. ValueError when it is no log."""
        try:
            with self.path.open("rb") as log:
                head = log.read(_SUPER.size)
        except FileNotFoundError:  # before a start
            return 0
        magic, version, entries, sector = _SUPER.unpack(head.ljust(_SUPER.size, b"\0"))
        if magic == 0:
            return 0
        if magic != _MAGIC or version != 1 or sector != SECTOR:
            raise ValueError(f"not a log of writes: magic {magic:#x}, version {version}, sectors of {sector}")
        return int(entries)

    def read(self) -> None:
        """Takes in what is new."""
        new = self.entries() - self._read
        if not new:
            return
        with self.path.open("rb") as log:
            for _ in range(new):
                log.seek(self._at)
                self._take(*_ENTRY.unpack(log.read(_ENTRY.size)))

    def _take(self, first: int, sectors: int, flags: int, _: int) -> None:
        self._read += 1
        self._at += SECTOR
        if flags & _FLUSH:
            self.safe += self.cached
            self.cached = []
        if sectors:
            discard = bool(flags & _DISCARD)
            self.cached.append(Write(first * SECTOR, sectors * SECTOR, None if discard else self._at))
            self._at += 0 if discard else sectors * SECTOR


def _pieces(write: Write) -> Iterator[Write]:
    for offset in range(0, write.size, _PIECE):
        where = None if write.where is None else write.where + offset
        yield Write(write.at + offset, min(_PIECE, write.size - offset), where)


def _put(write: Write, log: BinaryIO, disk: BinaryIO) -> None:
    disk.seek(write.at)
    if write.where is None:
        disk.write(bytes(write.size))
        return
    log.seek(write.where)
    disk.write(log.read(write.size))


def _layer(base: pathlib.Path, kind: str, out: pathlib.Path) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", kind, str(out)], check=True)
