"""A PE that firmware would refuse, or run into nothing with, is neither wrapped nor called good: EDK2's own checks."""

from __future__ import annotations

import struct
import types

import pytest

from transom import errors
from transom.rom import assemble, build, choose, contents, pe, span, verify

OPTIONS = build.Options(vendor=0x8086, devices=(0x9BC8,))
_OPTIONAL, _SECTION = 0x98, 0x98 + 240
FAULTS = [
    (0x86, 0, "<H", "no sections"),
    (_OPTIONAL + 16, 0, "<I", "entry point 0x0 is not in its code"),
    (_OPTIONAL + 16, 0x7FFFFFFF, "<I", "entry point 0x7FFFFFFF is not in its code"),
    (_OPTIONAL + 32, 0, "<I", "SectionAlignment is 0"),
    (_OPTIONAL + 56, 0, "<I", "SizeOfImage 0"),
    (_OPTIONAL + 56, 0x400, "<I", "ends at"),
    (_OPTIONAL + 60, 0x100, "<I", "SizeOfHeaders is 256"),
    (_OPTIONAL + 108, 5, "<I", "names 5 directories"),
    (_OPTIONAL + 112 + 40, 0x70000000, "<I", "relocations end at"),
    (_SECTION + 12, 0x70000000, "<I", "PE section '.data' ends at"),
]


@pytest.fixture(scope="module")
def driver(make: types.ModuleType) -> bytes:
    whole = bytearray(make.gop((0x9BC8, 0x9BC5, 0x3E92, 0x1912), fill=bytes(5000)))
    struct.pack_into("<II", whole, _OPTIONAL + 112 + 40, 0x400, 0x40)
    return bytes(whole)


def bent(driver: bytes, at: int, value: int, form: str) -> bytes:
    out = bytearray(driver)
    struct.pack_into(form, out, at, value)
    return bytes(out)


def test_a_sound_one_is_loadable(driver: bytes) -> None:
    assert not pe.loadable(pe.parse(span.Span.of(driver)))
    report = verify.verify(build.rom((driver,), OPTIONS))
    assert report.good
    assert not report.warnings


@pytest.mark.parametrize(("at", "value", "form", "says"), FAULTS)
@pytest.mark.parametrize("compress", [False, True])
def test_what_firmware_refuses_is_not_good(
    driver: bytes, at: int, value: int, form: str, says: str, compress: bool
) -> None:
    options = build.Options(vendor=0x8086, devices=(0x9BC8,), compress=compress)
    report = verify.verify(build.rom((bent(driver, at, value, form),), options))
    assert not report.good
    assert says in report.problems[0].text
    assert report.fit_for("seabios").verdict.value == "cannot work"


@pytest.mark.parametrize(("at", "value", "form", "says"), FAULTS)
def test_it_is_never_wrapped(make: types.ModuleType, driver: bytes, at: int, value: int, form: str, says: str) -> None:
    bad = bent(driver, at, value, form)
    with pytest.raises(errors.RomError, match="does not start this driver") as told:
        assemble.assemble(assemble.Request((assemble.Source("x.efi", bad),), OPTIONS))
    assert says in str(told.value)
    data = make.volume(make.file(make.joined(make.section(0x10, bad), make.ui("IntelGopDriver"))))
    found = contents.read(data, wanted="IntelGopDriver")
    for choice in (lambda: choose.gop_for(found, (0x9BC8,)), lambda: choose.named(found, "IntelGopDriver")):
        with pytest.raises(errors.RomError, match="not loadable"):
            choice()


def test_a_stub_without_content_is_doubted(make: types.ModuleType) -> None:
    report = verify.verify(build.rom((make.pe(),), OPTIONS))
    assert report.good
    assert "nothing to start" in report.warnings[0].text
