"""Makes firmware to read in tests and measurements: PE files, sections, FFS files, volumes, flash images. Written from the PI
specification, on its own: nothing of the product is used, so that a mistake there does not cancel out."""

from __future__ import annotations

import gzip
import lzma
import struct
import uuid

FFS2 = uuid.UUID("8c8ce578-8a3d-4f1c-9935-896185c32dd3")
FFS3 = uuid.UUID("5473c07a-3dcb-4dca-bd6f-1e9689e7349a")
LZMA = uuid.UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf")
LZMA_F86 = uuid.UUID("d42ae6bd-1352-4bfb-909a-ca72a6eae889")
BROTLI = uuid.UUID("3d532050-5cda-4fd0-879e-0f7f630d5afb")
GZIP = uuid.UUID("1d301fe9-be79-4353-91c2-d23bc959ae0c")
TIANO = uuid.UUID("a31280ad-481e-41b6-95e8-127f4c984779")
CRC32 = uuid.UUID("fc1bcdb0-7d31-49aa-936a-a4600d9dd083")
AMI_GOP = uuid.UUID("380b6b4f-1454-41f2-a6d3-61d1333e8cb4")
AMI_CSM = uuid.UUID("a0327fe0-1fda-4e5b-905d-b510c45a61d0")
NAME = "Intel(R) GOP Driver"


def pe(
    *, machine: int = 0x8664, subsystem: int = 11, body: bytes = b"", plus: bool = True, section_end: int | None = None
) -> bytes:
    """A PE file of one section that holds ``body``; ``section_end`` lies about where it ends."""
    optional = 240 if plus else 224
    head = bytearray(512)
    head[0:2] = b"MZ"
    struct.pack_into("<I", head, 0x3C, 0x80)
    struct.pack_into("<4sHH12xHH", head, 0x80, b"PE\0\0", machine, 1, optional, 0x22)
    struct.pack_into("<H", head, 0x98, 0x20B if plus else 0x10B)
    image = max(-(-(512 + len(body)) // 512) * 512, 1024)
    struct.pack_into("<I", head, 0x98 + 16, 512)
    struct.pack_into("<II", head, 0x98 + 32, 512, 512)
    struct.pack_into("<II", head, 0x98 + 56, image, 512)
    struct.pack_into("<H", head, 0x98 + 68, subsystem)
    struct.pack_into("<I", head, 0x98 + (108 if plus else 92), 16)
    size = len(body) if section_end is None else section_end - 512
    struct.pack_into("<8sIIII", head, 0x98 + optional, b".data", len(body), 512, size, 512)
    return bytes(head) + body


def gop(
    devices: tuple[int, ...],
    *,
    build: str = "1107",
    major: str = "9",
    minor: str = "0",
    machine: int = 0x8664,
    fill: bytes = b"",
) -> bytes:
    """A driver that looks like Intel's: the name, the literals of the version and the code that joins them, the table of ids."""
    wide = lambda text: text.encode("utf-16-le") + b"\0\0"  # noqa: E731
    code, data = bytearray(256), bytearray(0x400)
    spots = {" [": 0x200, ".": 0x208, "]": 0x210, major: 0x218, minor: 0x220, build: 0x88, NAME: 0}
    for text, at in spots.items():
        data[at : at + len(wide(text))] = wide(text)
    data[0x130 : 0x130 + 2 * len(devices)] = struct.pack(f"<{len(devices)}H", *devices)
    at = 0
    for text in (NAME, " [", major, ".", minor, ".", build, "]"):
        target = len(code) + spots[text]
        code[at : at + 7] = b"\x48\x8d\x15" + struct.pack("<i", target - (at + 7))
        at += 12
    return pe(machine=machine, body=bytes(code + data) + fill)


def section(kind: int, body: bytes, *, large: bool = False) -> bytes:
    size = len(body) + (8 if large else 4)
    if large:
        return b"\xff\xff\xff" + bytes([kind]) + struct.pack("<I", size) + body
    return size.to_bytes(3, "little") + bytes([kind]) + body


def guided(guid: uuid.UUID, body: bytes, *, attributes: int = 1, extra: bytes = b"") -> bytes:
    offset = 4 + 20 + len(extra)
    large = len(body) + offset >= 0xFFFFFF
    return section(2, guid.bytes_le + struct.pack("<HH", offset + 4 * large, attributes) + extra + body, large=large)


def joined(*sections: bytes) -> bytes:
    out = b""
    for one in sections:
        out += bytes(-len(out) % 4) + one
    return out


def ui(name: str) -> bytes:
    return section(0x15, name.encode("utf-16-le") + b"\0\0")


def file(
    body: bytes, *, guid: uuid.UUID | None = None, kind: int = 7, checked: bool = True, large: bool | None = None
) -> bytes:
    """An FFS file: type 7 is a DXE driver; 24-byte header, 32 when large (FFSv3)."""
    guid = guid or uuid.uuid5(uuid.NAMESPACE_OID, body[:64].hex())
    large = len(body) + 24 >= 0xFFFFFF if large is None else large
    size = len(body) + (32 if large else 24)
    attributes = (0x40 if checked else 0) | large
    head = bytearray(
        guid.bytes_le
        + bytes(2)
        + bytes([kind, attributes])
        + (bytes(3) if large else size.to_bytes(3, "little"))
        + b"\0"
    )
    if large:
        head += struct.pack("<Q", size)
    head[16] = -sum(head) & 0xFF
    head[17] = -sum(body) & 0xFF if checked else 0xAA
    head[23] = 0xF8
    return bytes(head) + body


def volume(*files: bytes, guid: uuid.UUID = FFS2, size: int | None = None) -> bytes:
    body = b""
    for one in files:
        body += b"\xff" * (-len(body) % 8) + one
    total = size or -(-(72 + len(body)) // 4096) * 4096
    head = bytearray(
        struct.pack(
            "<16x16sQ4sIHHHBBIIII", guid.bytes_le, total, b"_FVH", 0x4FEFF, 72, 0, 0, 0, 2, total // 4096, 4096, 0, 0
        )
    )
    struct.pack_into("<H", head, 50, -sum(struct.unpack("<36H", head)) & 0xFFFF)
    return (bytes(head) + body).ljust(total, b"\xff")


def lzma_alone(data: bytes, *, announce: int | None = None) -> bytes:
    packed = lzma.compress(
        data, format=lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "preset": 1, "dict_size": 1 << 20}]
    )
    return packed[:5] + struct.pack("<Q", len(data) if announce is None else announce) + packed[13:]


def lzma_f86(data: bytes) -> bytes:
    """x86 filter, then LZMA: the filter is liblzma's own, taken out of an LZMA2 stream of the same data."""
    chain = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 0}]
    packed = lzma.compress(data, format=lzma.FORMAT_RAW, filters=chain)
    return lzma_alone(lzma.decompress(packed, format=lzma.FORMAT_RAW, filters=chain[1:]))


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def brotli_section(packed: bytes, size: int) -> bytes:
    """EDK2 puts the original size and a scratch size before the stream."""
    return struct.pack("<QQ", size, 1 << 20) + packed


def flash(bios: bytes, *, size: int, me: bytes = b"") -> bytes:
    """A SPI image: descriptor in the first 4 KiB, ME region behind it, BIOS region at the end."""
    at = size - len(bios)
    out = bytearray(b"\xff" * size)
    # bases of component, region and master section, and of the straps, each in units of 16 bytes
    struct.pack_into("<IIII", out, 0x10, 0x0FF0A55A, 0x00040003, 0x12100206, 0x00210120)
    struct.pack_into("<III", out, 0x30, 0x24, 0, 0)  # read clock 20 MHz: a descriptor of version 1
    empty = (0x7FFF, 0)
    used = (1, len(me) // 4096) if me else empty
    for place, (base, limit) in enumerate([(0, 0), (at >> 12, (size - 1) >> 12), used, empty, empty]):
        struct.pack_into("<HH", out, 0x40 + 4 * place, base, limit)
    struct.pack_into("<III", out, 0x60, 0xFFFF0000, 0xFFFF0000, 0xFFFF0000)
    out[4096 : 4096 + len(me)] = me
    out[at:] = bios
    return bytes(out)


def capsule(body: bytes, guid: uuid.UUID, *, header: int = 28) -> bytes:
    return guid.bytes_le + struct.pack("<III", header, 0, header + len(body)).ljust(header - 16, b"\0") + body


def vbt(platform: str = "COMETLAKE") -> bytes:
    """A VBT whose checksum is right and whose BDB stands behind the 48-byte header."""
    bdb = b"BIOS_DATA_BLOCK " + struct.pack("<HHH", 228, 22, 64)
    body = bytearray(
        struct.pack("<20sHHHBBI", f"$VBT {platform}".encode().ljust(20), 100, 48, 48 + len(bdb), 0, 0, 48).ljust(
            48, b"\0"
        )
        + bdb
    )
    body[26] = -sum(body) & 0xFF
    return bytes(body)


def legacy(vendor: int = 0x8086, device: int = 0x0406, *, blocks: int = 4) -> bytes:
    """A type 0 option ROM with a right checksum."""
    out = bytearray(blocks * 512)
    out[0:3] = bytes([0x55, 0xAA, blocks])
    struct.pack_into("<H", out, 0x18, 0x40)
    struct.pack_into("<4sHHHHB3sHHBB", out, 0x40, b"PCIR", vendor, device, 0, 24, 0, b"\0\0\3", blocks, 0, 0, 0x80)
    out[-1] = -sum(out) & 0xFF
    return bytes(out)
