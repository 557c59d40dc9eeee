"""Where the firmware can boot a change once, why not elsewhere, and what its scripts do to a firmware that keeps its state."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from transom import model
from transom.host import loader
from transom.plan import bootnext, once

KERNEL = "6.8.12-4-pve"
LINE = ("root=/dev/mapper/pve-root", "ro", "iommu=pt")
FIRMWARE = model.Firmware(
    bits=64,
    variables="rw",
    room=model.Unknown("this kernel does not tell the room for EFI variables"),
    secure_boot=False,
    next="",
    manager=True,
    stub=True,
    image=80 << 20,
    esps=(model.EspRoom("AAAA-0001", "/dev/sda", 2, 90 << 20), model.EspRoom("AAAA-0002", "/dev/sdb", 2, 400 << 20)),
)


@pytest.fixture
def facts(node) -> model.Facts:
    seen = node.facts()
    return dataclasses.replace(seen, firmware=FIRMWARE, boot=dataclasses.replace(seen.boot, loader=loader.GRUB))


def test_the_first_esp_with_room_and_a_line_that_the_stub_understands(facts) -> None:
    assert bootnext.possible(facts, KERNEL, LINE) == (
        FIRMWARE.esps[1],
        (*LINE, "transom.loader=grub", r"initrd=\EFI\transom-trial\initrd.img"),
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"secure_boot": True}, "Secure Boot is enabled"),
        ({"secure_boot": model.Unknown("the variable SecureBoot cannot be read")}, "the variable SecureBoot cannot be read"),
        ({"bits": 32}, "32 bits"),
        ({"manager": False}, "efibootmgr is not installed"),
        ({"variables": "ro"}, "efivarfs is mounted read-only"),
        ({"variables": ""}, "efivarfs is not mounted"),
        ({"room": 5700}, "the firmware has 5700 bytes free for variables, "),
        ({"next": "0003"}, "BootNext is set already, to Boot0003"),
        ({"next": model.Unknown("the variable BootNext cannot be read")}, "the variable BootNext cannot be read"),
        ({"stub": False}, "no kernel 6.8.12-4-pve with an EFI stub"),
        ({"image": 0}, "or no initrd of it"),
        ({"image": 400 << 20}, "ESP AAAA-0001 has 90 MiB free, 416 are needed; ESP AAAA-0002 has 400 MiB free"),
        ({"esps": ()}, "no ESP is mounted on /boot/efi or /efi"),
        ({"esps": (), "unfit": ("ESP /efi: /dev/md0 is no partition",)}, "ESP /efi: /dev/md0 is no partition"),
    ],
)  # fmt: skip
def test_what_stands_against_it(facts, change: Mapping[str, Any], why: str) -> None:
    seen = dataclasses.replace(facts, firmware=dataclasses.replace(FIRMWARE, **change))
    assert why in str(bootnext.possible(seen, KERNEL, LINE))


def test_what_else_stands_against_it(facts) -> None:
    assert bootnext.possible(dataclasses.replace(facts, firmware=None), KERNEL, LINE) == "the node did not boot by UEFI"
    unread = dataclasses.replace(facts, firmware=model.Unknown("probe firmware failed"))
    assert bootnext.possible(unread, KERNEL, LINE) == "probe firmware failed"
    assert "kernel 5.4.203-1-pve does not take" in str(bootnext.possible(facts, "5.4.203-1-pve", LINE))
    assert "an initrd= of its own" in str(bootnext.possible(facts, KERNEL, (*LINE, "initrd=/x")))
    assert "longer than the 2047 characters" in str(bootnext.possible(facts, KERNEL, (*LINE, "x" * 2000)))


# --- the scripts -----------------------------------------------------------------------------------------------------

EFIBOOTMGR = """\
import json, pathlib, sys

store = pathlib.Path({store!r})
have = json.loads(store.read_text())
words = sys.argv[1:]
value = lambda name: words[words.index(name) + 1]
if "--create-only" in words:
    number = next(f"{{n:04X}}" for n in range(99) if f"{{n:04X}}" not in have["entries"])
    have["entries"][number] = [value("--label"), value("--disk"), value("--part"), value("--loader"), words[-1]]
    if have["meddles"]:
        have["order"].append(number)
if "--bootnext" in words:
    have["next"] = value("--bootnext")
    if have["next"] not in have["entries"]:
        sys.exit(f"Boot entry {{have['next']}} does not exist")
if "--delete-bootnext" in words:
    have["next"] = ""
if "--delete-bootnum" in words:
    del have["entries"][value("--bootnum")]
    have["order"] = [one for one in have["order"] if one != value("--bootnum")]
store.write_text(json.dumps(have))
if "--quiet" in words:
    sys.exit()
if have["next"]:
    print("BootNext:", have["next"])
print("BootCurrent: 0001\\nTimeout: 1 seconds\\nBootOrder:", ",".join(have["order"]))
for number, entry in have["entries"].items():
    print(f"Boot{{number}}* {{entry[0]}}" + have["tail"])
"""
"""Of its switches those that the scripts use; what it prints is efibootmgr's, ``tail`` what version 18 puts behind a label."""


@dataclasses.dataclass
class Board:
    """A node as far as the scripts see it: a firmware's variables, ``/boot``, an ESP."""

    folder: pathlib.Path
    action: once.TryBoot

    @property
    def variables(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "variables").read_text())
        return found

    def set(self, **change: Any) -> None:
        (self.folder / "variables").write_text(json.dumps({**self.variables, **change}))

    def esp(self) -> set[str]:
        return {str(one.relative_to(self.folder / "esp")) for one in (self.folder / "esp").rglob("*") if one.is_file()}

    def run(self, lines: str) -> subprocess.CompletedProcess[str]:
        script = re.sub(r"(/boot/|/var/lib/|/etc/)", rf"{self.folder}\1", lines)
        env = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        return subprocess.run(["sh"], input=script, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(params=["", "\tHD(2,GPT,5ca1ab1e)/File(x)"], ids=["efibootmgr-17", "efibootmgr-18"])
def board(tmp_path, request) -> Board:
    for name in ("bin", "esp/EFI/debian", "boot", "var/lib", "etc/systemd/system"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "esp/EFI/debian/grubx64.efi").touch()
    (tmp_path / f"boot/vmlinuz-{KERNEL}").write_text("kernel")
    (tmp_path / f"boot/initrd.img-{KERNEL}").write_text("initrd")
    programs = {"efibootmgr": f"#!{sys.executable}\n{EFIBOOTMGR.format(store=str(tmp_path / 'variables'))}"}
    programs |= {"stat": "#!/bin/sh\necho msdos\n", "systemctl": "#!/bin/sh\n"}
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    have = {"entries": {"0001": ["debian"]}, "order": ["0001"], "next": "", "meddles": False, "tail": request.param}
    (tmp_path / "variables").write_text(json.dumps(have))
    line = (*LINE, f"{once.MARK}0123", r"initrd=\EFI\transom-trial\initrd.img")
    action = once.TryBoot("bootnext", "b", KERNEL, line, {}, "", (str(tmp_path / "esp"),), "/dev/sda", 2)
    return Board(tmp_path, action)


def test_begun_and_ended_it_is_as_before(board) -> None:
    before, lay = board.variables, board.esp()
    done = board.run(board.action.begin)
    assert done.returncode == 0, done.stderr
    begun = board.variables
    assert begun["next"] == "0000"
    assert begun["order"] == ["0001"]
    loads = ["transom-trial", "/dev/sda", "2", r"\EFI\transom-trial\vmlinuz", " ".join(board.action.line)]
    assert begun["entries"]["0000"] == loads
    assert (board.folder / "esp/EFI/transom-trial/vmlinuz").read_text() == "kernel"
    assert (board.folder / "esp/EFI/transom-trial/initrd.img").read_text() == "initrd"
    for _ in range(2):  # the second time there is nothing to take away
        done = board.run(board.action.end)
        assert done.returncode == 0, done.stderr
        assert (board.variables, board.esp()) == (before, lay)


def test_what_somebody_else_asks_for_meanwhile_stays(board) -> None:
    board.run(board.action.begin)
    board.set(next="0001")
    assert board.run(board.action.end).returncode == 0
    assert board.variables["next"] == "0001"


def test_a_firmware_that_changes_its_order_is_not_booted_by(board) -> None:
    before = board.variables
    board.set(meddles=True)
    done = board.run(board.action.begin)
    assert done.returncode != 0
    assert "put the entry into its BootOrder" in done.stderr
    assert board.variables["next"] == ""
    assert board.run(board.action.end).returncode == 0
    assert board.variables == {**before, "meddles": True}


def test_nothing_is_written_where_no_esp_is_mounted(board) -> None:
    (board.folder / "bin/stat").write_text("#!/bin/sh\necho ext2/ext3\n")
    before, lay = board.variables, board.esp()
    done = board.run(board.action.begin)
    assert "no ESP is mounted on" in done.stderr
    assert (board.variables, board.esp()) == (before, lay)
    assert board.run(board.action.end).returncode == 0, "there is nothing on it to take away"


def test_what_lies_on_an_esp_that_is_gone_is_not_said_to_be_away(board) -> None:
    board.run(board.action.begin)
    (board.folder / "bin/stat").write_text("#!/bin/sh\necho ext2/ext3\n")
    assert "no ESP is mounted on" in board.run(board.action.end).stderr
    assert (board.folder / "var/lib/transom/trial/end").exists()
