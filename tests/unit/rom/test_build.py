"""What is built equals what EfiRom writes, byte for byte."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import types

import pytest

from transom import errors
from transom.rom import build

EFIROM = pathlib.Path(__file__).parents[2] / "golden" / "rom" / "efirom"
VECTORS = json.loads((EFIROM / "vectors.json").read_text())


def replay(vector: dict[str, object]) -> bytes:
    """Build what a vector's EfiRom arguments ask for. EfiRom knows ``-e``/``-ec`` per file; the cases never mix them."""
    arguments = iter([str(a) for a in vector["args"]])  # type: ignore[attr-defined]
    options = build.Options(
        vendor=int(str(vector["vendor"]), 16),
        devices=tuple(int(d, 16) for d in vector["devices"]),  # type: ignore[attr-defined]
    )
    drivers: list[bytes] = []
    legacy: bytes | None = None
    for argument in arguments:
        match argument:
            case "-e" | "-ec":
                options = dataclasses.replace(options, compress=argument == "-ec")
                drivers.append((EFIROM / next(arguments)).read_bytes())
            case "-b":
                legacy = (EFIROM / next(arguments)).read_bytes()
            case "-p":
                options = dataclasses.replace(options, pci23=True)
            case "-n":
                options = dataclasses.replace(options, last=False)
            case "-l":
                options = dataclasses.replace(options, class_code=int(next(arguments), 16))
            case "-r":
                options = dataclasses.replace(options, revision=int(next(arguments), 16))
            case other:
                raise AssertionError(other)
    return build.rom(tuple(drivers), options, legacy=legacy)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_bytes_equal_efirom(vector: dict[str, object]) -> None:
    out = replay(vector)
    assert len(out) == vector["size"]
    assert out[: len(str(vector["header"])) // 2].hex() == vector["header"]
    assert hashlib.sha256(out).hexdigest() == vector["sha256"]


def test_article_size() -> None:
    # the article's driver has 73,312 bytes and its ROM 0x12000
    assert len(replay(next(v for v in VECTORS if v["name"] == "big"))) == 0x12000


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"devices": ()}, "at least one device"),
        ({"devices": (0x10000,)}, "device id"),
        ({"vendor": -1}, "vendor id"),
        ({"class_code": 1 << 24}, "class code"),
        ({"revision": 1 << 16}, "revision"),
        ({"pci23": True, "devices": (1, 2)}, "PCI 2.3"),
    ],
)
def test_wrong_options_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(errors.RomError, match=says):
        dataclasses.replace(build.Options(vendor=0x8086, devices=(0x9BC8,)), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("driver", "says"),
    [
        (b"", "no PE"),
        (b"MZ" + bytes(10), "wanted"),
        (b"MZ" + bytes(200), "PE signature"),
        (b"VZ\x64\x86" + bytes(60), "TE"),
    ],
)
def test_what_is_no_driver_is_refused(driver: bytes, says: str) -> None:
    with pytest.raises(errors.RomError, match=says):
        build.rom((driver,), build.Options(vendor=0x8086, devices=(0x9BC8,)))


def test_truncated_driver_is_refused(make: types.ModuleType) -> None:
    driver = make.pe(body=bytes(5000))
    with pytest.raises(errors.RomError, match="only 5000 are there"):
        build.rom((driver[:5000],), build.Options(vendor=0x8086, devices=(0x9BC8,)))


@pytest.mark.parametrize(
    "image", [b"", b"\x55\xaa", b"\x55\xaa" + bytes(600), b"\x55\xaa" + bytes(22) + b"\xff\xff" + bytes(99)]
)
def test_what_is_no_legacy_image_is_refused(image: bytes) -> None:
    with pytest.raises(errors.RomError):
        build.legacy_image(image, last=True)
