"""A GUID partition table as bytes: no tool that every Debian has writes one into a file without asking for more."""

from __future__ import annotations

import dataclasses
import struct
import uuid
import zlib

SECTOR = 512
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
_ENTRIES, _ENTRY = 128, 128
_TABLE = _ENTRIES * _ENTRY // SECTOR
_SPACE = uuid.UUID("5ca1ab1e-0000-4000-8000-000000000000")


@dataclasses.dataclass(frozen=True)
class Partition:
    """``first`` and ``size`` in sectors."""

    kind: uuid.UUID
    first: int
    size: int
    name: str


def tables(sectors: int, partitions: tuple[Partition, ...]) -> tuple[bytes, bytes]:
    """What stands at the beginning (protective MBR, header, entries) and at the end (entries, header) of a disk."""
    entries = b"".join(_entry(one) for one in partitions).ljust(_ENTRIES * _ENTRY, b"\0")
    last = sectors - 1
    first_header = _header(1, last, 2, sectors, entries)
    last_header = _header(last, 1, last - _TABLE, sectors, entries)
    return _protective(sectors) + first_header + entries, entries + last_header


def _entry(one: Partition) -> bytes:
    own = uuid.uuid5(_SPACE, one.name)
    place = struct.pack("<QQQ", one.first, one.first + one.size - 1, 0)
    return one.kind.bytes_le + own.bytes_le + place + one.name.encode("utf-16-le").ljust(72, b"\0")


def _header(here: int, other: int, table: int, sectors: int, entries: bytes) -> bytes:
    usable = (2 + _TABLE, sectors - 2 - _TABLE)

    def packed(crc: int) -> bytes:
        start = struct.pack("<8sIIIIQQQQ", b"EFI PART", 0x10000, 92, crc, 0, here, other, *usable)
        return start + _SPACE.bytes_le + struct.pack("<QIII", table, _ENTRIES, _ENTRY, zlib.crc32(entries))

    return packed(zlib.crc32(packed(0))).ljust(SECTOR, b"\0")


def _protective(sectors: int) -> bytes:
    size = min(sectors - 1, 0xFFFFFFFF)
    entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, size)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"
