"""A host on a real kernel, boot loader and initramfs-tools: its display is given to vfio-pci and comes back, to the byte."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from bed import images, needs, subject

pytestmark = needs.MARKS


@pytest.fixture(
    params=[images.grub, *(pytest.param(kind, marks=pytest.mark.long) for kind in (images.uefi, images.boot_tool))],
    ids=["grub", "uefi", "boot-tool"],
)
def host(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[subject.Subject]:
    start: images.Start = request.param
    with start(tmp_path / "machine") as node, subject.serve(node, tmp_path / "transom") as one:
        yield one


def group_type(host: subject.Subject) -> str:
    return host.node.ssh("cat /sys/bus/pci/devices/0000:00:02.0/iommu_group/type").strip()


def test_the_display_goes_to_vfio_and_comes_back_to_the_byte(host: subject.Subject) -> None:
    before, boot = host.files(), host.node.up()
    assert host.driver() == "bochs-drm"
    assert group_type(host) == "DMA-FQ"

    host.transom("apply", "-f", str(host.declare(**subject.EVERYTHING)), "--yes")

    assert host.node.up() != boot
    assert host.driver() == "vfio-pci"
    assert group_type(host) == "identity"
    given = host.node.ssh("cat /proc/cmdline").split()
    assert set(subject.GIVEN_AWAY["kernel_cmdline"]) <= set(given)
    assert host.node.ssh("cat /sys/module/vfio_pci/parameters/disable_vga") == "Y\n"
    assert host.node.ssh("cat /proc/sys/vm/swappiness") == "10\n"
    host.transom("plan", "--detailed-exitcode")

    host.transom("apply", "-f", str(host.declare()), "--yes")

    assert host.driver() == "bochs-drm"
    assert host.files() == before
