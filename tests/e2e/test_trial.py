"""A change booted once on a real kernel before it is made: one that cannot boot comes back by itself and is never made."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from bed import images, needs, subject

pytestmark = needs.MARKS

BAD = "init=/bin/false"
"""The kernel mounts its root, starts this, and panics."""
GOOD = {**subject.GIVEN_AWAY, "modules": ["vfio_pci"]}
NO_GRUB_REBOOT = "chmod a-x $(command -v grub-reboot)"
"""So that kexec is what is left, as where GRUB cannot write its environment."""


@pytest.fixture
def start() -> images.Start:
    return images.grub


@pytest.fixture
def host(start: images.Start, tmp_path: pathlib.Path) -> Iterator[subject.Subject]:
    with start(tmp_path / "machine") as node, subject.serve(node, tmp_path / "transom") as one:
        yield one


def declared(host: subject.Subject, how: str, *tokens: str) -> str:
    path = host.declare(**{**GOOD, "kernel_cmdline": [*GOOD["kernel_cmdline"], *tokens]})
    path.write_text(path.read_text().replace("host: {", f'host: {{"trial": "{how}", ', 1))
    return str(path)


def told(host: subject.Subject) -> str:
    """The last run."""
    return host.transom("run", "show", host.json("run", "ls")[0]["id"])


def never_made(host: subject.Subject, how: str, means: str) -> None:
    """Tried by these means, back on what it had, and nothing left of it."""
    before, boot, line = host.files(), host.node.up(), host.node.ssh("cat /proc/cmdline")

    host.transom("apply", "-f", declared(host, how, BAD), "--yes", code=1)

    assert f"boot once, by {means}, with" in told(host)
    assert "it did not come up, and went back by itself" in told(host)
    assert host.node.up() != boot
    assert host.node.ssh("cat /proc/cmdline") == line
    assert host.driver() == "bochs-drm"
    assert host.files() == before


def test_a_command_line_that_cannot_boot_is_tried_and_never_made(host: subject.Subject) -> None:
    never_made(host, "auto", "grub-reboot")


@pytest.mark.long
@pytest.mark.parametrize("start", [images.uefi, images.boot_tool], ids=["uefi", "boot-tool"])
def test_so_it_is_by_systemd_boot(host: subject.Subject) -> None:
    never_made(host, "auto", "bootctl set-oneshot")


FIRMWARE = "efibootmgr; find /boot/efi/EFI; ls /sys/firmware/efi/efivars"
"""What the firmware would boot, its variables, and what lies on the ESP."""


@pytest.mark.long
@pytest.mark.parametrize("start", [images.uefi], ids=["uefi"])
def test_so_it_is_by_the_firmware_which_is_left_as_it_was(host: subject.Subject) -> None:
    """One that cannot boot, then one that works."""
    before, firmware = host.files(), host.node.ssh(FIRMWARE)
    never_made(host, "bootnext", "BootNext")
    assert host.node.ssh(FIRMWARE) == firmware

    host.transom("apply", "-f", declared(host, "bootnext"), "--yes")

    said = told(host)
    assert "boot once, by BootNext, with" in said
    assert "0000:00:02.0 has vfio-pci" in said
    assert host.driver() == "vfio-pci"
    assert host.node.ssh(FIRMWARE) == firmware
    assert not any("transom." in line for line in host.node.ssh("cat /proc/cmdline").split())
    host.transom("plan", "--detailed-exitcode")
    host.transom("apply", "-f", str(host.declare()), "--yes")
    assert host.files() == before


@pytest.mark.long
def test_so_it_is_by_kexec(host: subject.Subject) -> None:
    host.node.ssh(NO_GRUB_REBOOT)
    never_made(host, "kexec", "kexec")


@pytest.mark.long
@pytest.mark.parametrize(
    ("start", "how", "means"),
    [(images.uefi, "auto", "bootctl set-oneshot"), (images.grub, "kexec", "kexec")],
    ids=["uefi", "kexec"],
)
def test_one_that_works_is_tried_and_then_made(host: subject.Subject, how: str, means: str) -> None:
    if how == "kexec":
        host.node.ssh(NO_GRUB_REBOOT)
    before = host.files()

    host.transom("apply", "-f", declared(host, how), "--yes")

    assert f"boot once, by {means}, with" in told(host)
    assert "0000:00:02.0 has vfio-pci" in told(host)
    assert host.driver() == "vfio-pci"
    assert not any("transom.trial" in line for line in host.node.ssh("cat /proc/cmdline").split())
    host.transom("plan", "--detailed-exitcode")
    host.transom("apply", "-f", str(host.declare()), "--yes")
    assert host.driver() == "bochs-drm"
    assert host.files() == before
