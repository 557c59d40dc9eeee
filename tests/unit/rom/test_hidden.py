"""A driver is found where firmware hides it, whole to its last byte, and one bad part does not cost the rest."""

from __future__ import annotations

import hashlib
import io
import random
import struct
import time
import types
import uuid
import zipfile

import pytest

from transom import errors
from transom.rom import build, choose, contents, tree

COMET = (0x9BC8, 0x9BC5, 0x3E92, 0x1912)
COMPRESSED = build.Options(vendor=0x8086, devices=(0x9BC8,), compress=True)


@pytest.fixture(scope="module")
def gop(make: types.ModuleType) -> bytes:
    return make.gop(COMET, fill=random.Random(3).randbytes(9000))


def chosen(data: bytes) -> choose.Choice:
    return choose.gop_for(contents.read(data), (0x9BC8,))


def damage(found: contents.Contents) -> str:
    return "; ".join(problem.text for problem in found.at_level(tree.Level.DAMAGE))


def packed(make: types.ModuleType, gop: bytes) -> bytes:
    return make.guided(make.LZMA, make.lzma_alone(make.section(0x10, gop)))


@pytest.mark.parametrize("real", [False, True])
def test_a_section_that_announces_too_much_costs_only_itself(make: types.ModuleType, gop: bytes, real: bool) -> None:
    stream = make.lzma_alone(bytes(80 << 20)) if real else make.lzma_alone(bytes(999), announce=1 << 40)
    bomb = make.file(make.guided(make.LZMA, stream), kind=0xB)
    data = make.volume(bomb, make.file(make.section(0x10, gop)))
    started = time.process_time()
    found = contents.read(data)
    assert time.process_time() - started < 1
    assert "would expand to" in damage(found)
    assert not found.whole
    assert chosen(data).driver.data == gop


@pytest.mark.parametrize("bad_first", [True, False])
def test_a_damaged_copy_does_not_hide_a_sound_one(make: types.ModuleType, gop: bytes, bad_first: bool) -> None:
    good = make.volume(make.file(make.section(0x10, gop)))
    bad = bytearray(good)
    bad[72 + 17] ^= 1  # the content's checksum
    both = bytes(bad) + good if bad_first else good + bytes(bad)
    found = contents.read(both)
    assert "checksum is wrong" in damage(found)
    assert len(found.gops) == 1
    assert chosen(both).driver.data == gop
    with pytest.raises(errors.RomError, match="checksum is wrong"):
        chosen(bytes(bad))


def test_an_announced_copy_goes_before_a_stray_one(make: types.ModuleType, gop: bytes) -> None:
    data = bytes(64) + gop + bytes(-len(gop) % 4096) + make.volume(make.file(make.section(0x10, gop)))
    choice = chosen(data)
    assert choice.driver.form == "PE32"
    assert not choice.warnings


@pytest.mark.parametrize("tail", [bytes(64), b"\xff" * 32, b"\0"])
@pytest.mark.parametrize("kind", ["PE32", "freeform", "raw file"])
def test_a_body_is_the_driver_to_its_last_byte(make: types.ModuleType, gop: bytes, kind: str, tail: bytes) -> None:
    driver = gop + tail
    match kind:
        case "PE32":
            one = make.file(make.section(0x10, driver))
        case "freeform":
            one = make.file(make.section(0x18, make.AMI_GOP.bytes_le + driver), kind=2)
        case _:
            one = make.file(driver, kind=1)
    choice = chosen(make.volume(one))
    assert choice.driver.data == driver
    assert choice.driver.sha256 == hashlib.sha256(driver).hexdigest()
    assert not choice.warnings


def test_stray_bytes_behind_a_sound_program(make: types.ModuleType, gop: bytes) -> None:
    body = make.joined(make.section(0x10, gop), make.ui("G"), b"\0\0\0\0\x12\x34\x56\x78")
    data = make.volume(make.file(body))
    found = contents.read(data)
    assert "a section announces 0 bytes" in damage(found)
    assert not found.whole
    choice = chosen(data)
    assert choice.driver.data == gop
    assert "behind it in its file" in choice.warnings[0]


def test_stray_bytes_before_a_program_still_damage_it(make: types.ModuleType, gop: bytes) -> None:
    data = make.volume(make.file(make.joined(make.ui("G"), b"\0\0\0\0\x12\x34\x56\x78", make.section(0x10, gop))))
    assert not contents.read(data).whole


def forms(make: types.ModuleType, gop: bytes) -> dict[str, bytes]:
    rom = build.rom((gop,), COMPRESSED)
    stream = packed(make, gop)
    return {
        "OEM file with sections": make.file(make.section(0x10, gop), kind=0xC1),
        "OEM file, compressed": make.file(stream, kind=0xC1),
        "raw file, compressed": make.file(stream, kind=1),
        "raw section, compressed": make.file(make.section(0x19, stream), kind=2),
        "freeform section, compressed": make.file(make.section(0x18, make.AMI_GOP.bytes_le + stream), kind=2),
        "compressed ROM in a raw section": make.file(make.section(0x19, rom), kind=2),
        "compressed ROM in a raw file": make.file(rom, kind=1),
        "plain ROM in a raw file": make.file(
            build.rom((gop,), build.Options(vendor=0x8086, devices=(0x9BC8,))), kind=1
        ),
    }


@pytest.mark.parametrize(
    "name",
    [
        "OEM file with sections",
        "OEM file, compressed",
        "raw file, compressed",
        "raw section, compressed",
        "freeform section, compressed",
        "compressed ROM in a raw section",
        "compressed ROM in a raw file",
        "plain ROM in a raw file",
    ],
)
def test_it_is_found_where_it_is_hidden(make: types.ModuleType, gop: bytes, name: str) -> None:
    data = make.volume(make.file(make.section(0x10, make.pe(body=bytes(99)))), forms(make, gop)[name])
    found = contents.read(data)
    assert found.whole, found.problems
    choice = chosen(data)
    assert choice.driver.data == gop
    assert any("no checksum covers it" in text for text in choice.warnings) == ("ROM" in name)


def test_a_compressed_rom_that_does_not_unpack_is_damage(make: types.ModuleType, gop: bytes) -> None:
    rom = bytearray(build.rom((gop,), COMPRESSED))
    rom[0x60:0x400] = b"\x5a" * (0x400 - 0x60)
    found = contents.read(make.volume(make.file(bytes(rom), kind=1)))
    assert "EFI image cannot be read" in damage(found)


@pytest.mark.parametrize("mark", [0x19, 0x01, None])
def test_intels_lzma_with_a_header_in_front(make: types.ModuleType, gop: bytes, mark: int | None) -> None:
    body = make.section(0x10, gop)
    stream = make.lzma_alone(body)
    head = b"\1\2\3\4" if mark is None else struct.pack("<I", (len(stream) + 4) | mark << 24)
    data = make.volume(make.file(make.section(1, struct.pack("<IB", len(body), 2) + head + stream)))
    assert contents.read(data).whole
    assert chosen(data).driver.data == gop


def test_compression_type_0x86(make: types.ModuleType) -> None:
    calls = b"".join(b"\xe8" + struct.pack("<i", 1000 - at) for at in range(0, 20_000, 5))
    driver = make.gop(COMET, fill=calls)
    body = make.section(0x10, driver)
    data = make.volume(make.file(make.section(1, struct.pack("<IB", len(body), 0x86) + make.lzma_f86(body))))
    assert chosen(data).driver.data == driver


@pytest.mark.parametrize(
    ("place", "base", "limit", "says"),
    [
        (2, 1, 0x104, "BIOS region overlaps the ME region"),
        (3, 0xFF, 0x1FF, "BIOS region overlaps the GbE region"),
        (4, 0x100, 0x1FF, "overlaps"),
    ],
)
def test_overlapping_regions_hide_nothing(
    make: types.ModuleType, gop: bytes, place: int, base: int, limit: int, says: str
) -> None:
    bios = make.volume(make.file(make.section(0x10, gop))).ljust(1 << 20, b"\xff")
    data = bytearray(make.flash(bios, size=2 << 20))
    struct.pack_into("<HH", data, 0x40 + 4 * place, base, limit)
    found = contents.read(bytes(data))
    assert any(says in problem.text for problem in found.problems)
    assert chosen(bytes(data)).driver.data == gop


def test_the_masters_are_no_regions(make: types.ModuleType, gop: bytes) -> None:
    bios = make.volume(make.file(make.section(0x10, gop))).ljust(1 << 20, b"\xff")
    data = bytearray(make.flash(bios, size=2 << 20))
    data[0x54:0x60] = bytes(12)
    data[0x60:0x6C] = bytes.fromhex("00000b0a00000d0c18010808")
    found = contents.read(bytes(data))
    assert [node.name for node in found.nodes if node.kind == "region"] == ["descriptor", "BIOS"]
    assert not found.problems


def test_a_deleted_file_gives_no_driver(make: types.ModuleType, gop: bytes) -> None:
    one = bytearray(make.file(make.section(0x10, gop)))
    one[23] = 0xE8
    data = make.volume(bytes(one))
    assert not contents.read(data).gops
    with pytest.raises(errors.RomError, match="no Intel GOP driver here"):
        chosen(data)
    both = make.volume(bytes(one), make.file(make.section(0x10, gop)))
    assert chosen(both).driver.form == "PE32"


def test_two_copies_of_one_file_are_told_by_their_digests(make: types.ModuleType) -> None:
    guid = uuid.UUID(int=0xAAAA)
    first, second = make.pe(body=b"one" * 99), make.pe(body=b"two" * 99)
    data = b"".join(
        make.volume(make.file(make.joined(make.section(0x10, one), make.ui("AmdGop")), guid=guid))
        for one in (first, second)
    )
    for name in ("AmdGop", str(guid)):
        with pytest.raises(errors.RomError, match="beginning of its SHA-256") as told:
            choose.named(contents.read(data, wanted=name), name)
    for one in (first, second):
        short = hashlib.sha256(one).hexdigest()[:12]
        assert short in told.value.hint
        for name in (short, short.upper()):
            assert choose.named(contents.read(data, wanted=name), name).driver.data == one
    with pytest.raises(errors.RomError, match="no driver"):
        choose.named(contents.read(data, wanted="0"), "0")


def test_a_bios_file_that_embeds_an_fsp_is_none(make: types.ModuleType) -> None:
    fsp = make.file(make.section(0x19, b"FSPH" + bytes(68)), kind=1)
    found = contents.read(make.volume(fsp, make.file(make.section(0x10, make.pe(body=bytes(99))))))
    assert not found.fsp
    with pytest.raises(errors.RomError, match="no Intel GOP") as told:
        choose.gop_for(found, (0x9BC8,))
    assert "FSP" not in str(told.value)
    alone = contents.read(make.volume(fsp, make.file(make.section(0x10, make.pe(body=bytes(99))), kind=6)))
    assert alone.fsp


def zipped(method: int, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("BIOS.CAP", data)
    return out.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_methods_without_a_bound_are_not_unpacked(method: int) -> None:
    data = zipped(method, bytes(60 << 20))
    started = time.process_time()
    found = contents.read(data)
    assert time.process_time() - started < 0.5
    assert "unpack it first" in found.at_level(tree.Level.UNREAD)[0].text
    with pytest.raises(errors.RomError, match="unpack it first"):
        choose.gop_for(found, (0x9BC8,))


def test_a_zip_entry_that_is_too_large_leaves_the_others(make: types.ModuleType, gop: bytes) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(80 << 20))
        archive.writestr("B460M.30", make.volume(make.file(make.section(0x10, gop))))
    found = contents.read(out.getvalue())
    assert "zip entry zeros" in damage(found)
    assert chosen(out.getvalue()).driver.data == gop
