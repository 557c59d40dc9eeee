"""Machines ready to use: an image baked once in its own guest, and its saved state, kept in the cache; clones in under 3 s."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator

from bed import cache, grub_disk, keys, machine, recipe, root


@contextlib.contextmanager
def grub(folder: pathlib.Path) -> Iterator[machine.Machine]:
    """A running machine that boots by GRUB from a BIOS, in a folder of its own; cut off at the end."""
    yield from _clone(_frozen(), folder)


def _clone(frozen: pathlib.Path, folder: pathlib.Path) -> Iterator[machine.Machine]:
    folder.mkdir(parents=True, exist_ok=True)
    _overlay(frozen / "disk.qcow2", folder / "disk.qcow2")
    one = machine.Machine(folder, keys.read(frozen / "keys"))
    one.power_on(frozen / "state")
    try:
        one.up()
        one.ssh(f"date -s @{int(time.time())} >/dev/null")
        yield one
    finally:
        one.power_cut()


def _frozen() -> pathlib.Path:
    """The GRUB image with a saved state of it, which depends on QEMU's version and arguments."""
    baked = _baked()
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    arguments = machine.arguments(pathlib.Path("/"), 0)
    return cache.folder("grub-state", cache.key(baked.name, qemu, *arguments), lambda folder: _freeze(baked, folder))


def _freeze(baked: pathlib.Path, folder: pathlib.Path) -> None:
    _overlay(baked / "disk.qcow2", folder / "disk.qcow2")
    shutil.copytree(baked / "keys", folder / "keys")
    with _started(folder) as one:
        one.ssh("systemctl is-system-running --wait || true; sync", within=300)
        one.save(folder / "state")


def _baked() -> pathlib.Path:
    """The GRUB image after its own update-initramfs and update-grub, shut down."""
    parts = (recipe.CONTENT, str(grub_disk.LAYOUT), root.tar().parent.name)
    return cache.folder("grub-disk", cache.key(*parts), _bake)


def _bake(folder: pathlib.Path) -> None:
    (folder / "keys").mkdir()
    keys.make(folder / "keys")
    grub_disk.build(folder / "disk.qcow2", folder / "keys")
    with _started(folder) as one:
        one.ssh(recipe.BAKE, within=1500)
        one.power_off()


@contextlib.contextmanager
def _started(folder: pathlib.Path) -> Iterator[machine.Machine]:
    """Cold; when the work on it fails, what it printed is kept beside the cache."""
    one = machine.Machine(folder, keys.read(folder / "keys"))
    one.power_on()
    try:
        one.up()
        yield one
    except BaseException:
        shutil.copy(folder / "serial", cache.ROOT / "failed.serial")
        raise
    finally:
        one.power_cut()


def _overlay(base: pathlib.Path, out: pathlib.Path) -> None:
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(out)]
    subprocess.run(argv, check=True)
