"""What ships: the recipes, the examples, the ROM that they name, and where they are found."""

from __future__ import annotations

import hashlib
import pathlib
import re
import struct

import pytest

from transom import errors, resources
from transom.lab import synthetic_rom
from transom.spec import documents, loader, recipe_fields, resolve

Reasoned = recipe_fields.HostLine | recipe_fields.ModuleLine | recipe_fields.ConfigLine | recipe_fields.Requirement
EXAMPLES = sorted(resources.examples_dir().glob("*.yaml"))


def test_the_files_of_recipes_are_called_as_the_recipes() -> None:
    recipes = loader.shipped_recipes()
    assert [item.file for item in recipes] == [f"recipes/{item.name}.yaml" for item in recipes]
    assert all(isinstance(item.document, documents.Recipe) for item in recipes)


def test_every_line_of_a_recipe_has_a_reason_of_its_own() -> None:
    for item in loader.shipped_recipes():
        assert isinstance(item.document, documents.Recipe)
        spec = item.document.spec
        lines: list[Reasoned] = [
            *spec.host.kernel_cmdline,
            *spec.host.modules,
            *spec.host.blacklist,
            *spec.guest.config,
            *spec.guest.require,
        ]
        reasons = [*(line.why for line in lines), *(refusal.why for refusal in spec.refuse)]
        assert all(len(reason) > 20 for reason in reasons)
        assert len(set(reasons)) == len(reasons)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_one_node_that_the_lab_can_be(example: pathlib.Path) -> None:
    (node,) = resolve.resolve(loader.load([example]))
    assert node.pve_node == "pve1"
    assert {device.id for device in node.devices.values()} == {"8086:9bc8"}
    synthetic = hashlib.sha256(synthetic_rom.igd_rom()).hexdigest()
    assert {vm.rom.sha256 for vm in node.guests if vm.rom and vm.rom.ready} <= {synthetic}


def test_the_synthetic_rom_is_headers_around_nothing() -> None:
    """Offsets as EfiRom writes them: the header, PCIR at 1Ch, and a PE that ends with the image."""
    rom = synthetic_rom.igd_rom()
    assert len(rom) == 0x12000
    signature, blocks, efi, subsystem, machine = struct.unpack_from("<2sHIHH", rom)
    assert (signature, blocks * 512, efi, subsystem, machine) == (b"\x55\xaa", 0x12000, 0xEF1, 0xB, 0x8664)
    body, pcir = struct.unpack_from("<HH", rom, 0x16)
    assert (pcir, rom[0x1C:0x20]) == (0x1C, b"PCIR")
    assert struct.unpack_from("<HHHHB", rom, 0x20) == (0x8086, 0x9BC8, 0, 0x1C, 3)
    assert (struct.unpack_from("<H", rom, 0x2C)[0] * 512, rom[0x30], rom[0x31]) == (0x12000, 3, 0x80)
    assert set(rom[0x38:body]) == {0xFF}
    driver = rom[body:]
    assert (driver[:2], len(driver)) == (b"MZ", 0x11E60)
    pe = struct.unpack_from("<I", driver, 0x3C)[0]
    assert driver[pe : pe + 6] == b"PE\0\0\x64\x86"
    assert struct.unpack_from("<H", driver, pe + 24 + 68) == (0xB,)
    section = pe + 24 + struct.unpack_from("<H", driver, pe + 20)[0]
    size, at = struct.unpack_from("<II", driver, section + 16)
    assert at + size == len(driver)
    assert b"SYNTHETIC OPTION ROM, NOT A DRIVER" in driver
    assert "Intel(R) GOP Driver".encode("utf-16-le") not in rom


def test_resources_lie_in_the_package_or_beside_it(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "service" / "transom"
    package.mkdir(parents=True)
    monkeypatch.setattr(resources, "__file__", str(package / "resources.py"))
    with pytest.raises(errors.TransomError, match=re.escape(f"{package / 'config'} is missing")):
        resources.config_dir()
    (tmp_path / "config" / "recipes").mkdir(parents=True)
    assert resources.recipes_dir() == tmp_path / "config" / "recipes"
    (package / "config" / "recipes").mkdir(parents=True)
    assert resources.examples_dir() == package / "config" / "examples"
