"""What a GOP driver tells of itself: version out of code, device ids out of tables."""

from __future__ import annotations

import itertools
import struct
import types

import pytest

from transom.rom import gop, graphics, pe, span

COMET = (0x9BC8, 0x9BC5, 0x3E92, 0x1912)


def read(image: bytes) -> gop.Gop:
    part = span.Span.of(image)
    found = gop.read(part, pe.parse(part))
    assert found is not None
    return found


def table(ids: tuple[int, ...]) -> bytes:
    return bytes(64) + struct.pack(f"<{len(ids)}H", *ids) + bytes(64)


def test_version_and_ids(make: types.ModuleType) -> None:
    found = read(make.gop(COMET))
    assert (found.version, found.major, found.devices) == ("9.0.1107", 9, COMET)
    assert read(make.gop(COMET, major="21", minor="1", build="1066")).version == "21.1.1066"


@pytest.mark.parametrize("bend", ["no code", "no bracket", "two numbers", "IA32"])
def test_version_that_cannot_be_read_is_unknown(make: types.ModuleType, bend: str) -> None:
    image = bytearray(make.gop(COMET))
    match bend:
        case "no code":
            image[512:768] = bytes(256)
        case "no bracket":
            image[512 + 7 * 12 : 512 + 8 * 12] = bytes(12)
        case "two numbers":
            image[512 + 4 * 12 : 512 + 5 * 12] = bytes(12)
        case _:
            image = bytearray(make.gop(COMET, machine=0x14C))
    found = read(bytes(image))
    assert found.version == ("9.0.1107" if bend == "no bracket" else "unknown")
    assert found.devices == COMET


def test_simulators_ids_do_not_split_a_table(make: types.ModuleType) -> None:
    ids = (0x9A40, 0x9A49, 0x9A59, 0xFF20, 0x9940, 0xCAFE, 0x4C8A, 0x4C8B, 0x4C90)
    assert read(make.gop(ids, major="17")).devices == (0x9A40, 0x9A49, 0x9A59, 0x4C8A, 0x4C8B, 0x4C90)


def test_a_stray_word_behind_the_table_is_no_id(make: types.ModuleType) -> None:
    assert read(make.gop((*COMET, 0xAD33, 0x456D))).devices == COMET


def test_table_far_from_the_name(make: types.ModuleType) -> None:
    ids = (*range(0x1902, 0x1902 + 30, 3), 0x3E90, 0x9BC8)
    assert read(make.gop((), fill=table(ids))).devices == ids


def test_other_platforms_table_does_not_win_over_the_own(make: types.ModuleType) -> None:
    others = (0x46A0, 0x46A1, 0x46A3, 0x46A6, 0x46B0, 0x46B1, 0x46B3, 0x46A8, 0x9A40, 0x9A49, 0x7D40, 0x7D45, 0x7D55)
    assert read(make.gop(COMET, fill=table(others))).devices == COMET
    longer = (0x1902, 0x1906, 0x190B, 0x1912, 0x1916, 0x191B, 0x5912, 0x5916, 0x591B, 0x3E92, 0x3E9B, 0x9BC5, 0x9BC8)
    assert read(make.gop(COMET, fill=table(longer))).devices == longer


def test_curves_and_addresses_are_no_tables(make: types.ModuleType) -> None:
    assert (
        read(make.gop((), fill=table(tuple(range(0xA780, 0xA78C, 2)) + tuple(range(0x4680, 0x4690, 2))))).devices != ()
    )
    assert read(make.gop((), fill=table(tuple(range(0x1902, 0x1930, 4))))).devices == ()


def test_no_name_no_gop(make: types.ModuleType) -> None:
    part = span.Span.of(make.pe(body=bytes(900)))
    assert gop.read(part, pe.parse(part)) is None


@pytest.mark.parametrize(
    ("device", "major"),
    [(0x0102, 2), (0x0162, 3), (0x0412, 5), (0x1616, 5), (0x1912, 9), (0x5912, 9), (0x3E92, 9), (0x9BC8, 9), (0x3185, 13),
     (0x8A52, 14), (0x9A49, 17), (0x4C8A, 17), (0x4680, 17), (0xA780, 17), (0x4E61, 18), (0x4555, 18), (0x46A6, 21),
     (0xA7A0, 21), (0x46D1, 21), (0x7D55, 22)],
)  # fmt: skip
def test_generations_by_major_version(device: int, major: int) -> None:
    generation = graphics.generation_of(device)
    assert generation is not None
    assert major in generation.majors


def test_generations_do_not_overlap() -> None:
    ranges = sorted(pair for one in graphics.GENERATIONS for pair in one.ids)
    assert all(last < first for (_, last), (first, _) in itertools.pairwise(ranges))
    assert graphics.generation_of(0x10DE) is None
