"""A disk that boots by GRUB on a BIOS, made without loop devices, mounts or grub-install.

Sector 0 is GRUB's own boot code with one MBR entry, ``core.img`` stands behind it, an ext4 begins at 1 MiB. From the first boot on
the machine's own update-grub and update-initramfs take over.
"""

from __future__ import annotations

import pathlib
import shutil
import struct
import subprocess
import tempfile

from bed import keys, recipe, root

MIB = 1 << 20
SIZE = 2048 * MIB
LAYOUT = 2
"""Raised when this file changes what stands on the disk."""
PLATFORM = pathlib.Path("/usr/lib/grub/i386-pc")


def build(folder: pathlib.Path) -> None:
    """``disk.qcow2`` in the folder that has ``keys``. Needs root, mke2fs, qemu-img and grub-pc-bin."""
    out = folder / "disk.qcow2"
    with tempfile.TemporaryDirectory(prefix="bed-", dir=folder) as scratch:
        base = pathlib.Path(scratch) / "root"
        root.unpack(base, recipe.FILES)
        keys.install(folder / "keys", base)
        root.inside(base, recipe.PREPARE + recipe.GRUB)
        _grub(base)
        raw = pathlib.Path(scratch) / "disk.raw"
        _disk(raw, base, _core(pathlib.Path(scratch)))
        shutil.rmtree(base)
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(out)], check=True)


def _grub(base: pathlib.Path) -> None:
    modules = base / "boot/grub/i386-pc"
    modules.mkdir(parents=True, exist_ok=True)
    for path in (*PLATFORM.glob("*.mod"), *PLATFORM.glob("*.lst")):
        shutil.copy(path, modules)
    kernel = next((base / "boot").glob("vmlinuz-*")).name
    (base / "boot/grub/grub.cfg").write_text(
        "serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n"
        f"linux /boot/{kernel} root=UUID={recipe.UUID} ro {recipe.CMDLINE} quiet\n"
        f"initrd /boot/{kernel.replace('vmlinuz', 'initrd.img')}\nboot\n"
    )


def _core(scratch: pathlib.Path) -> bytes:
    early, core = scratch / "early.cfg", scratch / "core.img"
    early.write_text(f"search.fs_uuid {recipe.UUID} root\nset prefix=($root)/boot/grub\n")
    argv = [
        "grub-mkimage",
        "-O",
        "i386-pc",
        "-p",
        "/boot/grub",
        "-c",
        str(early),
        "-o",
        str(core),
        *recipe.GRUB_MODULES,
    ]
    subprocess.run(argv, check=True)
    return core.read_bytes()


def _disk(raw: pathlib.Path, base: pathlib.Path, core: bytes) -> None:
    with raw.open("wb") as handle:
        handle.truncate(SIZE)
    # Features that GRUB 2.06 does not read are left out.
    argv = [
        "mke2fs",
        "-q",
        "-F",
        "-t",
        "ext4",
        "-O",
        "^metadata_csum_seed,^orphan_file",
        "-U",
        recipe.UUID,
        "-d",
        str(base),
    ]
    subprocess.run([*argv, "-E", f"offset={MIB}", str(raw), f"{SIZE // 1024 - 1024}k"], check=True)
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\xff\xff\xff", MIB // 512, (SIZE - MIB) // 512)
    with raw.open("r+b") as handle:
        handle.write((PLATFORM / "boot.img").read_bytes()[:440].ljust(446, b"\0") + entry + bytes(48) + b"\x55\xaa")
        handle.write(core)
