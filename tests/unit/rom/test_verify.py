"""A ROM is good only when everything that firmware relies on holds; each negative control breaks one thing."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import struct
import types

import pytest

from transom.rom import build, fit, roles, span, text, verify, view

OPTIONS = build.Options(vendor=0x8086, devices=(0x9BC8,))
WANTED = ((0x8086, 0x9BC8),)


@pytest.fixture(scope="module")
def driver(make: types.ModuleType) -> bytes:
    return make.gop((0x9BC8, 0x9BC5, 0x3E92, 0x1912), fill=bytes(range(256)) * 40)


@pytest.fixture(scope="module")
def rom(driver: bytes) -> bytes:
    return build.rom((driver,), OPTIONS)


def broken(rom: bytes, at: int, value: bytes) -> bytes:
    return rom[:at] + value + rom[at + len(value) :]


def wrong(data: bytes, wanted: tuple[tuple[int, int], ...] = WANTED) -> str:
    report = verify.verify(data, wanted)
    assert not report.good
    return "; ".join(problem.text for problem in report.problems)


@pytest.mark.parametrize(
    "options", [OPTIONS, dataclasses.replace(OPTIONS, compress=True), dataclasses.replace(OPTIONS, pci23=True)]
)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_is_built_is_good(driver: bytes, make: types.ModuleType, options: build.Options, count: int) -> None:
    for legacy in (None, make.legacy()):
        rom = build.rom((driver,) * count, options, legacy=legacy)
        report = verify.verify(rom, WANTED if legacy is None else ())
        assert report.good, report.problems
        assert len(report.images) == count + (legacy is not None)
        assert not report.warnings


def test_the_articles_facts(golden: pathlib.Path) -> None:
    # rom-parser's words in the article: type 3 (EFI), 8086:9bc8, class 000000, revision 3, signature valid, Boot, X64, last
    rom = build.rom(((golden / "efirom" / "x64-big.efi").read_bytes(),), OPTIONS)
    answer = view.of_report(verify.verify(rom, WANTED))
    shown = text.of_report(answer, None)
    for fact in (
        "image at 0h, 73728 bytes, PCIR offset 1Ch",
        "type 3 (EFI), vendor: 8086, device: 9bc8, class: 000000",
        "revision 3",
        "signature valid, subsystem: boot service driver, machine: X64",
        "last image",
    ):
        assert fact in shown
    assert json.loads(json.dumps(answer)) == answer


def test_every_vector_walks(golden: pathlib.Path) -> None:
    for name, machine in (("x64-odd", "X64"), ("ia32", "IA32"), ("x64-runtime", "X64")):
        rom = build.rom(((golden / "efirom" / f"{name}.efi").read_bytes(),), OPTIONS)
        answer = view.of_report(verify.verify(rom, WANTED))
        assert answer["good"]
        assert answer["images"][0]["machine"] == machine


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (0x00, b"\x55\xab", "no ROM signature"),
        (0x04, b"\xf1\x0f\0\0", "EFI signature"),
        (0x02, b"\x01\0", "initialization size"),
        (0x08, b"\x0c\0", "runtime driver"),
        (0x0A, b"\x4c\x01", "header says IA32"),
        (0x0C, b"\x02\0", "compression type 2"),
        (0x0C, b"\x01\0", "compressed data"),
        (0x16, b"\xff\xff", "EfiImageHeaderOffset"),
        (0x16, b"\x1c\0", "no PE image"),
        (0x18, b"\xff\xff", "PcirOffset"),
        (0x18, b"\x00\0", "PcirOffset"),
        (0x1C, b"PCIX", "PcirOffset"),
        (0x20, b"\x87\x80", "8087:9bc8"),
        (0x22, b"\xc5\x9b", "8086:9bc5"),
        (0x2C, b"\0\0", "ImageLength is 0"),
        (0x2C, b"\xff\xff", "ImageLength says"),
        (0x2C, b"\x01\0", "initialization size"),
        (0x30, b"\x00", "sum to 0"),
        (0x30, b"\x01", "code type 1"),
        (0x31, b"\x00", "not flagged last"),
    ],
)
def test_one_broken_field(rom: bytes, at: int, value: bytes, says: str) -> None:
    assert says in wrong(broken(rom, at, value))


def test_truncated_at_every_block(rom: bytes) -> None:
    for size in range(0, len(rom), 512):
        assert wrong(rom[:size])


def test_a_planted_signature_misleads_nobody(driver: bytes, make: types.ModuleType) -> None:
    planted = make.legacy()
    big = driver + bytes(-len(driver) % 512) + planted + bytes(512)
    report = verify.verify(build.rom((big, driver), OPTIONS), WANTED)
    assert report.good
    assert [one.image.is_efi for one in report.images] == [True, True]


def test_compressed_body_is_unpacked_and_checked(driver: bytes) -> None:
    rom = build.rom((driver,), dataclasses.replace(OPTIONS, compress=True))
    report = verify.verify(rom, WANTED)
    assert report.images[0].driver is not None
    assert report.images[0].driver.gop is not None
    assert report.images[0].driver.gop.version == "9.0.1107"
    assert "compressed data" in wrong(broken(rom, 0x38, struct.pack("<I", 1 << 20)))
    assert "more than the limit" in wrong(broken(rom, 0x3C, struct.pack("<I", 1 << 30)))


def test_legacy_checksum(make: types.ModuleType) -> None:
    rom = build.rom((), OPTIONS, legacy=make.legacy(device=0x9BC8))
    assert verify.verify(rom, WANTED).good
    assert "sum to 0" in wrong(broken(rom, 0x100, b"\x01"))


def test_te_is_never_good(rom: bytes) -> None:
    at = struct.unpack_from("<H", rom, 0x16)[0]
    assert "TE image" in wrong(broken(rom, at, b"VZ\x64\x86" + bytes(60)))


def test_application_is_not_started_from_a_rom(make: types.ModuleType) -> None:
    assert "drivers only" in wrong(build.rom((make.pe(subsystem=10, body=bytes(600)),), OPTIONS))


def test_device_list(driver: bytes) -> None:
    rom = build.rom((driver,), dataclasses.replace(OPTIONS, devices=(0x9BC8, 0x9BC5)))
    assert verify.verify(rom, ((0x8086, 0x9BC5), (0x8086, 0x9BC8))).good
    assert "8086:9bc4" in wrong(rom, ((0x8086, 0x9BC4),))
    endless = broken(rom, 0x38, b"\x11\x11" * ((len(rom) - 0x38) // 2))
    assert "wanted" in wrong(endless)
    assert "runs into the driver" in wrong(broken(rom, 0x24, b"\x00\x03"), ())
    assert "runs into the driver" in wrong(broken(rom, 0x3C, b"\x01\x01"), ())


@pytest.mark.parametrize(("options", "right"), [(OPTIONS, 28), (dataclasses.replace(OPTIONS, pci23=True), 24)])
def test_a_wrong_pcir_length_is_warned_about(driver: bytes, options: build.Options, right: int) -> None:
    rom = build.rom((driver,), options)
    assert rom[0x26] == right
    report = verify.verify(broken(rom, 0x26, b"\0\0"), WANTED)
    assert report.good
    assert f"has 0 bytes, revision {0 if right == 24 else 3} has {right}" in report.warnings[0].text
    assert report.warnings[0].offset == 0x26


def test_driver_of_another_generation_is_doubted(driver: bytes) -> None:
    report = verify.verify(build.rom((driver,), dataclasses.replace(OPTIONS, devices=(0x46A6,))), ((0x8086, 0x46A6),))
    assert report.good
    assert "does not list 8086:46a6" in report.warnings[0].text


def helper(make: types.ModuleType, *marks: bytes) -> bytes:
    return make.pe(body=b"".join(mark.ljust(64, b"\0") for mark in marks) + bytes(12_000))


@pytest.mark.parametrize(
    ("which", "ovmf", "missing"),
    [
        ("agp", fit.Verdict.WORKS, ()),
        ("pga", fit.Verdict.WORKS, ()),
        ("g", fit.Verdict.CANNOT, ("IgdAssignmentDxe", "PlatformGopPolicy")),
        ("ag", fit.Verdict.CANNOT, ("PlatformGopPolicy",)),
        ("pg", fit.Verdict.CANNOT, ("IgdAssignmentDxe",)),
        ("a", fit.Verdict.DARK, ("PlatformGopPolicy", "GOP driver")),
    ],
)
def test_three_driver_rule(
    make: types.ModuleType, driver: bytes, which: str, ovmf: fit.Verdict, missing: tuple[str, ...]
) -> None:
    policy = roles._POLICY
    kinds = {"a": helper(make, b"etc/igd-opregion"), "p": helper(make, policy), "g": driver}
    rom = build.rom(tuple(kinds[one] for one in which), OPTIONS)
    report = verify.verify(rom, WANTED)
    assert report.good
    assert report.fit_for("ovmf").verdict is ovmf
    assert report.fit_for("ovmf").missing == missing
    assert report.fit_for("seabios").verdict is fit.Verdict.DARK


def test_policy_guid_is_the_published_one() -> None:
    assert roles._POLICY.hex() == "1b932eec8132a5488107df8a8bed3c5d"


def test_ia32_does_not_run_in_ovmf(make: types.ModuleType) -> None:
    ia32 = make.gop((0x9BC8, 0x9BC5, 0x3E92, 0x1912), machine=0x14C)
    report = verify.verify(build.rom((ia32,), OPTIONS), WANTED)
    assert report.fit_for("ovmf").verdict is fit.Verdict.CANNOT
    assert "IA32" in report.warnings[0].text


def test_seabios_wants_a_legacy_image(make: types.ModuleType, driver: bytes) -> None:
    rom = build.rom((driver,), OPTIONS, legacy=make.legacy())
    assert verify.verify(rom).fit_for("seabios").verdict is fit.Verdict.WORKS


def test_other_vendors_need_no_three_drivers(make: types.ModuleType) -> None:
    rom = build.rom((make.pe(body=bytes(700)),), build.Options(vendor=0x1B36, devices=(5,)))
    assert verify.verify(rom, ((0x1B36, 5),)).fit_for("ovmf").verdict is fit.Verdict.WORKS


def test_a_stripped_helper_is_doubted(make: types.ModuleType) -> None:
    small = make.pe(body=b"etc/igd-opregion".ljust(9000, b"\0"))
    assert "9.6 KB" in roles.doubt(span.Span.of(small))
    assert not roles.doubt(span.Span.of(helper(make, b"etc/igd-opregion")))
    assert "neither" in roles.doubt(span.Span.of(make.pe(body=bytes(20_000))))
