"""What a test of a machine stands on; collected by each test file as its ``pytestmark``."""

from __future__ import annotations

import shutil

import pytest

from bed import grub_disk, uefi_disk

_TOOLS = ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "grub-mkimage", "mkfs.vfat", "mcopy")
_THERE = all(map(shutil.which, _TOOLS)) and grub_disk.PLATFORM.is_dir() and uefi_disk.CODE.exists()

MARKS = [
    pytest.mark.e2e,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not _THERE, reason="`make e2e` installs what is missing"),
]
