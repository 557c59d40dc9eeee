"""Machines ready to use: an image baked once in its own guest, and its saved state, kept in the cache; clones in under 3 s."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

from bed import boot_tool as boot_tools
from bed import cache, grub_disk, keys, machine, recipe, root, uefi_disk

DISK, VARIABLES = "disk.qcow2", "variables.fd"
Start = Callable[[pathlib.Path], contextlib.AbstractContextManager[machine.Machine]]
"""One of the functions below."""


@contextlib.contextmanager
def grub(folder: pathlib.Path, dice: random.Random | None = None) -> Iterator[machine.Machine]:
    """A running machine that boots by GRUB from a BIOS, in a folder of its own; cut off at the end. ``dice``: see ``machine``."""
    yield from _clone(GRUB, folder, dice)


@contextlib.contextmanager
def uefi(folder: pathlib.Path, dice: random.Random | None = None) -> Iterator[machine.Machine]:
    """The same, that boots by systemd-boot on UEFI."""
    yield from _clone(UEFI, folder, dice)


@contextlib.contextmanager
def boot_tool(folder: pathlib.Path, dice: random.Random | None = None) -> Iterator[machine.Machine]:
    """The same with an imitation of proxmox-boot-tool, which keeps an ESP that is not mounted."""
    yield from _clone(BOOT_TOOL, folder, dice)


@dataclasses.dataclass(frozen=True)
class Kind:
    """One sort of machine: ``content`` is all that its image is made of, ``build`` makes the disk in a folder that has the keys,
    ``bake`` is run in its first boot."""

    name: str
    content: str
    build: Callable[[pathlib.Path], None]
    bake: str
    uefi: bool


GRUB = Kind("grub", f"{grub_disk.LAYOUT}{recipe.CONTENT}", grub_disk.build, recipe.BAKE, uefi=False)
UEFI = Kind("uefi", f"{uefi_disk.LAYOUT}{recipe.UEFI_CONTENT}", uefi_disk.build, recipe.UEFI_BAKE, uefi=True)
BOOT_TOOL = Kind(
    "boot-tool",
    f"{uefi_disk.LAYOUT}{boot_tools.CONTENT}",
    functools.partial(uefi_disk.build, files=boot_tools.FILES, script=boot_tools.PREPARE),
    boot_tools.BAKE,
    uefi=True,
)


def _clone(kind: Kind, folder: pathlib.Path, dice: random.Random | None) -> Iterator[machine.Machine]:
    frozen = _frozen(kind)
    folder.mkdir(parents=True, exist_ok=True)
    _overlay(frozen, folder)
    one = machine.Machine(folder, keys.read(frozen / "keys"), _firmware(kind, folder), dice)
    one.power_on(frozen / "state")
    try:
        one.up()
        one.ssh(f"date -s @{int(time.time())} >/dev/null")
        yield one
    finally:
        one.power_cut()


def _frozen(kind: Kind) -> pathlib.Path:
    """The image with a saved state of it, which depends on QEMU's version and arguments."""
    built = _built(kind)
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    root_folder = pathlib.Path("/")
    arguments = machine.arguments(root_folder, 0, _firmware(kind, root_folder))
    digest = cache.key(built.name, qemu, kind.bake, *arguments)
    return cache.folder(f"{kind.name}-state", digest, lambda folder: _freeze(kind, built, folder))


def _freeze(kind: Kind, built: pathlib.Path, folder: pathlib.Path) -> None:
    """The first boot is by the builder's entry and writes the machine's own; the second, by that one, is kept."""
    _overlay(built, folder)
    shutil.copytree(built / "keys", folder / "keys")
    with _started(kind, folder) as one:
        one.ssh(kind.bake, within=600)
        one.reboot()
        one.ssh("systemctl is-system-running --wait || true; sync", within=300)
        one.save(folder / "state")


def _built(kind: Kind) -> pathlib.Path:
    """The image, never started."""
    digest = cache.key(kind.content, root.tar().parent.name)
    return cache.folder(f"{kind.name}-disk", digest, lambda folder: _build(kind, folder))


def _build(kind: Kind, folder: pathlib.Path) -> None:
    (folder / "keys").mkdir()
    keys.make(folder / "keys")
    kind.build(folder)


def _firmware(kind: Kind, folder: pathlib.Path) -> machine.Firmware | None:
    return machine.Firmware(uefi_disk.CODE, folder / VARIABLES) if kind.uefi else None


@contextlib.contextmanager
def _started(kind: Kind, folder: pathlib.Path) -> Iterator[machine.Machine]:
    """Cold; when the work on it fails, what it printed is kept beside the cache."""
    one = machine.Machine(folder, keys.read(folder / "keys"), _firmware(kind, folder))
    one.power_on()
    try:
        one.up()
        yield one
    except BaseException:
        shutil.copy(folder / "serial", cache.ROOT / "failed.serial")
        raise
    finally:
        one.power_cut()


def _overlay(base: pathlib.Path, folder: pathlib.Path) -> None:
    """A disk over that of ``base``, and firmware variables of its own."""
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base / DISK), "-F", "qcow2", str(folder / DISK)]
    subprocess.run(argv, check=True)
    if (base / VARIABLES).exists():
        shutil.copy(base / VARIABLES, folder)
