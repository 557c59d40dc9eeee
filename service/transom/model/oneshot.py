"""What a node could boot something once by: its boot loader, kexec, its firmware."""

from __future__ import annotations

import dataclasses

from transom.model.words import Maybe


@dataclasses.dataclass(frozen=True)
class OneShot:
    """How a node could boot something once."""

    menu: str
    """Where /boot/grub lies: ``ext4 on sda2``; empty when it is on no block device of its own."""
    grubenv: bool
    """GRUB's environment is there."""
    tools: frozenset[str]
    """Of grub-reboot, bootctl, kexec."""


@dataclasses.dataclass(frozen=True)
class EspRoom:
    """An ESP that the firmware could boot from. ``name`` as in ``Esp``; ``disk`` and ``part`` as efibootmgr wants them."""

    name: str
    disk: str
    part: int
    free: int
    """Bytes."""


@dataclasses.dataclass(frozen=True)
class Firmware:
    """What a UEFI firmware could boot once by itself (BootNext)."""

    bits: int
    """Of the firmware: 64, or 32, which starts no 64-bit kernel."""
    variables: str
    """How efivarfs is mounted: ``rw``, ``ro``; empty when it is not."""
    room: Maybe[int]
    """Free bytes for variables."""
    secure_boot: Maybe[bool]
    next: Maybe[str]
    """The entry in BootNext (``0003``); empty when nothing asks for one."""
    manager: bool
    """efibootmgr is installed."""
    stub: bool
    """The running kernel's image in /boot can be started by a firmware."""
    image: int
    """Bytes of it and its initrd together; 0 when one of them is not in /boot."""
    esps: tuple[EspRoom, ...] = ()
    unfit: tuple[str, ...] = ()
    """Why other ESPs do not serve."""
