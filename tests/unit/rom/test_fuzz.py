"""Thousands of mutated images and ROMs: no error but RomError, no hang, never a wrong "good".

Seeds are made here; ``golden/rom/fuzz`` keeps the inputs that once went wrong, as hex of the mutated bytes. The number of
rounds follows ``TRANSOM_FUZZ_ROUNDS``; the generators' seeds are fixed, so that a failure repeats.
"""

from __future__ import annotations

import os
import pathlib
import random
import struct
import time
import types
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from transom import errors
from transom.rom import assemble, build, choose, contents, layout, tiano, tree, verify

ROUNDS = int(os.environ.get("TRANSOM_FUZZ_ROUNDS", "6000"))
SLOWEST = 3.0  # seconds for one input of some 10 KB; real ones take 1 to 20 ms
COMET = (0x9BC8, 0x9BC5, 0x3E92, 0x1912)
OPTIONS = build.Options(vendor=0x8086, devices=(0x9BC8,))
CORPUS = sorted((pathlib.Path(__file__).parents[2] / "golden" / "rom" / "fuzz").glob("*.hex"))
EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0xFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x1C, 512, 4096]


def mutate(data: bytes, random_: random.Random) -> bytes:
    """One to five changes: a bit, a byte, an edge value of 1 to 4 bytes, a cut, a doubled or moved stretch."""
    out = bytearray(data)
    for _ in range(random_.randint(1, 5)):
        at = random_.choice([random_.randrange(len(out)), random_.randrange(min(256, len(out)))])
        match random_.randrange(7):
            case 0:
                out[at] ^= 1 << random_.randrange(8)
            case 1:
                out[at] = random_.randrange(256)
            case 2 | 3:
                size = random_.choice([1, 2, 3, 4])
                value = random_.choice(EDGES) & ((1 << 8 * size) - 1)
                out[at : at + size] = value.to_bytes(size, "little")
            case 4:
                del out[at : at + random_.choice([1, 4, 512])]
            case 5:
                out[at:at] = out[at : at + random_.choice([8, 64, 512])]
            case _:
                out = out[: max(1, random_.randrange(len(out)))] if random_.random() < 0.2 else out
        if not out:
            out = bytearray(b"\0")
    return bytes(out)


@pytest.fixture(scope="module")
def gop(make: types.ModuleType) -> bytes:
    return make.gop(COMET, fill=random.Random(1).randbytes(3000))


@pytest.fixture(scope="module")
def seeds(make: types.ModuleType, gop: bytes) -> dict[str, bytes]:
    """Small images that reach every parser."""
    body = make.joined(make.section(0x10, gop), make.ui("IntelGopDriver"))
    volume = make.volume(make.file(body))
    nested: dict[str, Callable[[bytes], bytes]] = {
        "lzma": lambda b: make.guided(make.LZMA, make.lzma_alone(b)),
        "f86": lambda b: make.guided(make.LZMA_F86, make.lzma_f86(b)),
        "tiano": lambda b: make.section(1, struct.pack("<IB", len(b), 1) + tiano.compress(b)),
        "gzip": lambda b: make.guided(make.GZIP, make.gz(b)),
        "zstd": lambda b: make.guided(make.uuid.UUID(int=7), zstandard.compress(b)),
        "brotli": lambda b: make.guided(make.BROTLI, make.brotli_section(brotli.compress(b), len(b))),
        "crc": lambda b: make.guided(make.CRC32, b, extra=struct.pack("<I", zlib.crc32(b))),
    }
    ami = make.section(0x18, make.AMI_GOP.bytes_le + gop)
    found = {name: make.volume(make.file(pack(make.section(0x17, volume)), kind=0xB)) for name, pack in nested.items()}
    return found | {
        "plain": volume,
        "ffs3": make.volume(make.file(body, large=True), guid=make.FFS3),
        "ami": make.volume(make.file(make.joined(ami, make.section(0x19, make.vbt())), guid=make.AMI_CSM, kind=2)),
        "flash": make.flash(volume, size=64 << 10),
        "capsule": make.capsule(volume, make.uuid.UUID("3b6686bd-0d76-4030-b70e-b5519e2fc5a0")),
        "te": make.volume(make.file(make.section(0x12, b"VZ\x64\x86\x01\x0b" + bytes(34) + gop))),
    }


def timed(work: Callable[[bytes], object], data: bytes) -> object:
    started = time.process_time()
    try:
        return work(data)
    except errors.RomError as wrong:
        return wrong
    finally:
        assert time.process_time() - started < SLOWEST, data.hex()


def rounds(name: str) -> random.Random:
    return random.Random(name)


def test_mutated_firmware_never_gives_wrong_bytes(seeds: dict[str, bytes], gop: bytes) -> None:
    """Every program lies in a file with a checksum: what is chosen is the original, or it is told that no structure led there.

    The checksum has 8 bits, so one change in 256 slips through it unseen, in firmware as here.
    """
    chosen = slipped = 0
    for name, seed in seeds.items():
        dice = rounds(name)
        for _ in range(ROUNDS // len(seeds)):
            data = mutate(seed, dice)
            found = timed(contents.read, data)
            if not isinstance(found, contents.Contents):
                continue
            try:
                driver = choose.gop_for(found, (0x9BC8,)).driver
            except errors.RomError:
                continue
            chosen += 1
            slipped += driver.data != gop and driver.form != "PE in raw data"
    assert chosen > ROUNDS // 20
    assert slipped <= ROUNDS // 100


def test_mutated_roms_are_never_wrongly_good(make: types.ModuleType, gop: bytes) -> None:
    ok = 0
    packed = build.Options(vendor=0x8086, devices=(0x9BC8, 0x9BC5), compress=True)
    for place, seed in enumerate(
        (
            build.rom((gop,), OPTIONS),
            build.rom((gop, gop), OPTIONS, legacy=make.legacy(device=0x9BC8)),
            build.rom((gop,), packed),
        )
    ):
        dice = rounds(f"rom {place}")
        for _ in range(ROUNDS // 3):
            data = mutate(seed, dice)
            report = timed(lambda d: verify.verify(d, ((0x8086, 0x9BC8),)), data)
            assert isinstance(report, verify.Report), data.hex()
            if report.good:
                ok += 1
                assert holds(data), data.hex()
    assert ok > ROUNDS // 50


def holds(data: bytes) -> bool:
    """The rules again, written anew: chain of images, ids, flags, bodies inside their image."""
    at = 0
    while True:
        if data[at : at + 2] != b"\x55\xaa":
            return False
        pcir = at + struct.unpack_from("<H", data, at + 0x18)[0]
        vendor, first = struct.unpack_from("<HH", data, pcir + 4)
        size = struct.unpack_from("<H", data, pcir + 0x10)[0] * 512
        code, last = data[pcir + 0x14], data[pcir + 0x15] & 0x80
        listed = struct.unpack_from("<H", data, pcir + 8)[0] if data[pcir + 12] >= 3 else 0
        ids = [first, *struct.unpack_from("<2H", data, pcir + listed)] if listed else [first]
        if (
            data[pcir : pcir + 4] != b"PCIR"
            or not size
            or at + size > len(data)
            or vendor != 0x8086
            or 0x9BC8 not in ids
        ):
            return False
        if code == 3:
            body = at + struct.unpack_from("<H", data, at + 0x16)[0]
            plain = struct.unpack_from("<H", data, at + 0x0C)[0] == 0
            if plain and (not at < body < at + size or data[body : body + 2] != b"MZ"):
                return False
        elif code != 0 or sum(data[at : at + data[at + 2] * 512]) & 0xFF:
            return False
        at += size
        if last:
            return True


def test_mutated_drivers_are_wrapped_or_refused(gop: bytes) -> None:
    dice = rounds("drivers")
    for _ in range(ROUNDS // 4):
        data = mutate(gop, dice)
        request = assemble.Request((assemble.Source("x.efi", data),), OPTIONS)
        built = timed(lambda _, request=request: assemble.assemble(request), data)
        if isinstance(built, assemble.Built):
            # a PE that no longer starts the file is still found, as raw data
            assert built.rom.endswith(data) or built.parts[0].kind == "firmware", data.hex()
            assert len(built.rom) % layout.BLOCK == 0


def test_mutated_compressed_streams(gop: bytes) -> None:
    dice, stream = rounds("tiano"), tiano.compress(gop)
    for _ in range(ROUNDS):
        for wide in (False, True):
            timed(lambda d, wide=wide: tiano.decompress(d, limit=1 << 20, wide=wide), mutate(stream, dice))


def test_random_bytes() -> None:
    dice = rounds("noise")
    for _ in range(ROUNDS // 4):
        noise = dice.randbytes(dice.choice([1, 20, 100, 5000]))
        start = dice.choice(
            [b"", b"MZ", b"VZ", b"\x55\xaa", b"PK\x03\x04", b"_FVH", b"$VBT", bytes(16) + b"\x5a\xa5\xf0\x0f"]
        )
        timed(contents.read, start + noise)
        timed(verify.verify, start + noise)


@pytest.mark.parametrize("kept", CORPUS, ids=lambda path: path.stem)
def test_kept_corpus(kept: pathlib.Path, gop: bytes) -> None:
    data = bytes.fromhex("".join(line for line in kept.read_text().splitlines() if not line.startswith("#")))
    found = timed(contents.read, data)
    if isinstance(found, contents.Contents):
        assert all(one.data == gop or one.damaged or one.form in ("PE in raw data", "ROM image") for one in found.gops)
        assert not (found.whole and found.at_level(tree.Level.DAMAGE))
    report = timed(verify.verify, data)
    assert isinstance(report, verify.Report)
    assert not report.good or holds(data)
