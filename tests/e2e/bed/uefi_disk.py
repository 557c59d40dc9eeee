"""A disk that boots by systemd-boot on UEFI, made without loop devices and mounts: GPT, an ESP, and an ext4 of the root.

On the ESP stands one entry of the builder's, by which the machine starts once; its own ``bootctl install`` and ``kernel-install``
then write what it starts by from there on.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping

from bed import gpt, keys, recipe, root

MIB = 1 << 20
SIZE, ESP_AT, ESP_SIZE = 2048 * MIB, MIB, 128 * MIB
ROOT_AT = ESP_AT + ESP_SIZE
LAYOUT = 1
"""Raised when this file changes what stands on the disk."""
FIRMWARE = pathlib.Path("/usr/share/OVMF")
CODE, VARIABLES = FIRMWARE / "OVMF_CODE_4M.fd", FIRMWARE / "OVMF_VARS_4M.fd"
_STUB = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"


def build(folder: pathlib.Path, files: Mapping[str, str] = recipe.UEFI_FILES, script: str = "") -> None:
    """``disk.qcow2`` and ``variables.fd`` in the folder that has ``keys``. ``script`` is run by chroot, last. Needs root, mke2fs,
    qemu-img, mtools and dosfstools."""
    with tempfile.TemporaryDirectory(prefix="bed-", dir=folder) as name:
        scratch = pathlib.Path(name)
        base = scratch / "root"
        root.unpack(base, files)
        keys.install(folder / "keys", base)
        root.inside(base, recipe.UEFI + recipe.PREPARE + script)
        esp, raw = scratch / "esp.img", scratch / "disk.raw"
        _esp(esp, base)
        _disk(raw, esp, base)
        shutil.rmtree(base)
        subprocess.run(
            ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(folder / "disk.qcow2")], check=True
        )
    shutil.copy(VARIABLES, folder / "variables.fd")


def _esp(out: pathlib.Path, base: pathlib.Path) -> None:
    """The file system with the loader where every firmware looks for it, and the one entry."""
    serial = recipe.ESP_UUID.replace("-", "")
    subprocess.run(["mkfs.vfat", "-C", "-F", "32", "-i", serial, str(out), str(ESP_SIZE // 1024)], check=True)
    kernel = next((base / "boot").glob("vmlinuz-*"))
    entry = out.with_name("first.conf")
    entry.write_text(f"title first\nlinux /first/linux\ninitrd /first/initrd\noptions {recipe.UEFI_CMDLINE}\n")
    for folder in ("EFI", "EFI/BOOT", "loader", "loader/entries", "first"):
        subprocess.run(["mmd", "-i", str(out), f"::{folder}"], check=True)
    for source, name in (
        (base / _STUB, "EFI/BOOT/BOOTX64.EFI"),
        (entry, "loader/entries/first.conf"),
        (kernel, "first/linux"),
        (kernel.with_name(kernel.name.replace("vmlinuz", "initrd.img")), "first/initrd"),
    ):
        subprocess.run(["mcopy", "-i", str(out), str(source), f"::{name}"], check=True)


def _disk(raw: pathlib.Path, esp: pathlib.Path, base: pathlib.Path) -> None:
    end = (SIZE - MIB) // gpt.SECTOR
    parts = (
        gpt.Partition(gpt.ESP, ESP_AT // gpt.SECTOR, ESP_SIZE // gpt.SECTOR, "esp"),
        gpt.Partition(gpt.LINUX, ROOT_AT // gpt.SECTOR, end - ROOT_AT // gpt.SECTOR, "root"),
    )
    head, tail = gpt.tables(SIZE // gpt.SECTOR, parts)
    with raw.open("wb") as handle:
        handle.truncate(SIZE)
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-U", recipe.UUID, "-d", str(base), "-E", f"offset={ROOT_AT}"]
    subprocess.run([*argv, str(raw), f"{(SIZE - MIB - ROOT_AT) // 1024}k"], check=True)
    with raw.open("r+b") as handle:
        handle.write(head)
        handle.seek(SIZE - len(tail))
        handle.write(tail)
        handle.seek(ESP_AT)
        with esp.open("rb") as source:
            shutil.copyfileobj(source, handle)
