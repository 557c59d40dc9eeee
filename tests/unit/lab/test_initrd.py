"""The initramfs image: what goes in comes out, and a broken one is told from a good one."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transom.lab import initrd

KERNEL = "5.15.74-1-pve"
names = st.text("abcz-._", min_size=1, max_size=9).filter(lambda name: name not in (".", ".."))


@given(st.dictionaries(st.builds(lambda a, b: f"{a}/{b}", names, names), st.binary(max_size=300), max_size=5))
def test_packing_and_unpacking_gives_the_files_back(files: dict[str, bytes]) -> None:
    assert initrd.unpack(initrd.pack(initrd.Image(files))).files == files


def test_it_holds_the_modprobe_files_and_the_chosen_modules() -> None:
    image = initrd.build(KERNEL, {"/etc/modprobe.d/x.conf": b"blacklist i915\n"}, "# comment\nvfio-pci ids=1\n")
    back = initrd.unpack(initrd.pack(image))
    assert back.modprobe == ("blacklist i915\n",)
    assert back.listed == ("vfio_pci",)
    assert {"i915", "nvme", "vfio_pci", "vfio_pci_core", "vfio_virqfd"} <= back.modules
    assert "snd_hda_intel" not in back.modules


def test_vfio_comes_along_for_a_softdep_only() -> None:
    assert "vfio_pci" not in initrd.build(KERNEL, {}, "").modules
    assert "vfio_pci" in initrd.build(KERNEL, {"/etc/modprobe.d/x.conf": b"softdep i915 pre: vfio-pci\n"}, "").modules


@pytest.mark.parametrize("cut", [0, 1, 20, -1, -40])
def test_a_truncated_image_is_refused(cut: int) -> None:
    with pytest.raises(initrd.BadImage):
        initrd.unpack(initrd.pack(initrd.build(KERNEL, {}, ""))[:cut])


def test_another_kind_of_archive_is_refused() -> None:
    with pytest.raises(initrd.BadImage, match="member at byte 0"):
        initrd.unpack(gzip.compress(b"x" * 600))
