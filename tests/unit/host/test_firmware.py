"""What is read for a boot by the firmware's BootNext, by what it must not get wrong."""

from __future__ import annotations

import pytest

from transom import model
from transom.host import loader
from transom.host.probes import firmware

ANSWER = """\
bits 64
variables rw
room 65536 40000 1
secure 0
next absent
efibootmgr
stub
image 8000000
image 60000000
esp /boot/efi /dev/nvme0n1 2 1000 4096
unfit /efi /dev/md0 is no partition
"""


def test_all_of_it() -> None:
    assert firmware.parse(ANSWER.encode()) == model.Firmware(
        bits=64,
        variables="rw",
        room=40000,
        secure_boot=False,
        next="",
        manager=True,
        stub=True,
        image=68_000_000,
        esps=(model.EspRoom("/boot/efi", "/dev/nvme0n1", 2, 4_096_000),),
        unfit=("ESP /efi: /dev/md0 is no partition",),
    )


@pytest.mark.parametrize(
    ("line", "instead", "name", "value"),
    [
        ("secure 0", "secure 1", "secure_boot", True),
        ("secure 0", "secure absent", "secure_boot", False),
        ("secure 0", "secure ", "secure_boot", model.Unknown("the variable SecureBoot cannot be read")),
        ("next absent", "next 0300", "next", "0003"),
        ("next absent", "next ", "next", model.Unknown("the variable BootNext cannot be read")),
        ("room 65536 40000 1", "room 0 0 4096", "room", model.Unknown("this kernel does not tell the room for EFI variables")),
        ("image 60000000\n", "", "image", 0),
        ("variables rw\n", "", "variables", ""),
        ("efibootmgr\n", "", "manager", False),
    ],
)  # fmt: skip
def test_each_that_is_otherwise(line: str, instead: str, name: str, value: object) -> None:
    found = firmware.parse(ANSWER.replace(line, instead).encode())
    assert found is not None
    assert getattr(found, name) == value


def test_a_bios_and_an_answer_that_is_none() -> None:
    assert firmware.parse(b"bios\n") is None
    for body in (b"", b"mount: permission denied\n", ANSWER.replace("bits 64\n", "").encode()):
        with pytest.raises(ValueError):
            firmware.parse(body)


def test_a_trial_by_the_firmware_says_what_the_node_boots_by_otherwise() -> None:
    """So that one that was cut off in it can be planned for, and led back."""
    tokens = ("root=/dev/sda2", f"{loader.STANDS_FOR}=grub", r"initrd=\EFI\transom-trial\initrd.img")
    started = r"Boot0009* transom-trial HD(2,GPT,5ca1ab1e)/File(\EFI\transom-trial\vmlinuz)"
    assert loader.booted(loader.signs(tokens, info="", started=started, bios=False)) == loader.GRUB
