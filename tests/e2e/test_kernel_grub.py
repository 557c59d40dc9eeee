"""A host on a real kernel, real GRUB and real initramfs-tools: its display is given to vfio-pci and comes back, to the byte."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest

from bed import images, recipe, subject

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(
        not all(map(shutil.which, ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "grub-mkimage"))),
        reason="`make e2e` installs what is missing",
    ),
]

WANTED = {
    "kernel_cmdline": ["intel_iommu=on", "iommu=pt", "initcall_blacklist=sysfb_init"],
    "modules": ["vfio", "vfio_iommu_type1", "vfio_pci"],
    "vfio_ids": [recipe.DISPLAY],
    "blacklist": ["bochs"],
}


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Iterator[subject.Subject]:
    with images.grub(tmp_path / "machine") as node, subject.serve(node, tmp_path / "transom") as one:
        yield one


def group_type(host: subject.Subject) -> str:
    return host.node.ssh("cat /sys/bus/pci/devices/0000:00:02.0/iommu_group/type").strip()


def test_the_display_goes_to_vfio_and_comes_back_to_the_byte(host: subject.Subject) -> None:
    before, boot = host.files(), host.node.up()
    assert host.driver() == "bochs-drm"
    assert group_type(host) == "DMA-FQ"

    host.transom("apply", "-f", str(host.declare(**WANTED)), "--yes")

    assert host.node.up() != boot
    assert host.driver() == "vfio-pci"
    assert group_type(host) == "identity"
    given = host.node.ssh("cat /proc/cmdline").split()
    assert set(WANTED["kernel_cmdline"]) <= set(given)
    host.transom("plan", "--detailed-exitcode")

    host.transom("apply", "-f", str(host.declare()), "--yes")

    assert host.driver() == "bochs-drm"
    assert host.files() == before
