"""Every break does what it says, to a node that is as Transom would leave it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from transom import errors
from transom.lab import breaks, fleet, initrd, synthetic_rom

OURS = {
    "etc/default/grub.d/90-transom.cfg": 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT intel_iommu=on iommu=pt"\n',
    "etc/modules-load.d/transom.conf": "vfio\nvfio_iommu_type1\nvfio_pci\n",
    "etc/modprobe.d/zz-transom.conf": "blacklist i915\nsoftdep i915 pre: vfio-pci\noptions vfio-pci ids=8086:9bc8\n",
}
CONF = "etc/pve/nodes/pve1/qemu-server/112.conf"
GUEST = [
    "--name",
    "x",
    "--memory",
    "64",
    "--machine",
    "pc-i440fx-7.1",
    "--vga",
    "none",
    "--args",
    "-set device.hostpci0.addr=02.0",
]
HOSTPCI = "0000:00:02.0,legacy-igd=1,romfile=igd.rom"
DRIVER = "readlink /sys/bus/pci/devices/0000:00:02.0/driver"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a lab whose node is done, switched off."""
    folder = tmp_path_factory.mktemp("finished") / "lab"
    with fleet.start(folder) as lab:
        node = lab.node("pve1")
        for path, text in OURS.items():
            (node.root / path).write_text(text)
        (node.root / "usr/share/kvm/igd.rom").write_bytes(synthetic_rom.igd_rom())
        node.ssh("update-grub; update-initramfs -u -k all")
        node.run("qm", "create", "112", *GUEST, "--hostpci0", HOSTPCI)
    return folder


@pytest.fixture
def lab(finished: Path, tmp_path: Path) -> Iterator[fleet.Fleet]:
    """A copy of it, running."""
    shutil.copytree(finished, tmp_path / "lab", symlinks=True, ignore=shutil.ignore_patterns("platform"))
    with fleet.start(tmp_path / "lab") as running:
        yield running


def conf(node: fleet.FleetNode) -> str:
    return (node.root / CONF).read_text()


def gone(path: str) -> Callable[[fleet.FleetNode], bool]:
    return lambda node: not (node.root / path).exists()


def cmdline(node: fleet.FleetNode) -> str:
    text = (node.root / "boot/grub/grub.cfg").read_text()
    found = re.search(r"^\s*linux\s(.*)$", text, re.M)
    assert found
    return found.group(1)


def revoked(node: fleet.FleetNode) -> bool:
    return (node.root / "etc/pve/priv/token.cfg").read_text() == ""


def stale(node: fleet.FleetNode) -> bool:
    image = node.root / "boot/initrd.img-5.15.74-1-pve"
    held = "blacklist i915" in "".join(initrd.unpack(image.read_bytes()).modprobe)
    older = image.stat().st_mtime < (node.root / "etc/modprobe.d/zz-transom.conf").stat().st_mtime
    return not held and older and node.ssh(DRIVER).endswith("i915\n")


SEEN: dict[str, Callable[[fleet.FleetNode], bool]] = {
    "vm-edited-in-ui": lambda node: "\nhostpci0: 0000:00:02.0,romfile=igd.rom\n" in conf(node),
    "args-dropped": lambda node: "args:" not in conf(node),
    "vga-changed": lambda node: "\nvga: std\n" in conf(node),
    "vm-locked": lambda node: node.ssh("qm set 112 --cores 2 2>&1 || true").strip() == "VM is locked (backup)",
    "grub-replaced": lambda node: "quiet" not in cmdline(node) and "iommu=pt" in cmdline(node),
    "grub-dropin-removed": lambda node: "quiet" in cmdline(node) and "iommu=pt" not in cmdline(node),
    "modules-edited": lambda node: (node.root / "etc/modules-load.d/transom.conf").read_text() == "vfio\nvfio_iommu_type1\n",
    "modprobe-edited": lambda node: "blacklist" not in (node.root / "etc/modprobe.d/zz-transom.conf").read_text(),
    "second-blacklist": lambda node: node.ssh("modprobe -c | grep ids=").endswith("ids=10de:1bb3\n"),
    "foreign-contradiction": lambda node: 'DEFAULT="quiet intel_iommu=off"' in (node.root / "etc/default/grub").read_text(),
    "initramfs-stale": stale,
    "rom-lost": gone("usr/share/kvm/igd.rom"),
    "rom-corrupted": lambda node: (node.root / "usr/share/kvm/igd.rom").read_bytes() != synthetic_rom.igd_rom(),
    "node-down": lambda node: node.state == "off",
    "token-revoked": revoked,
    "no-quorum": lambda node: (node.root / "etc/pve/.noquorum").exists(),
    "vtd-off": lambda node: not list((node.root / "sys/class/iommu").iterdir()) and gone("sys/firmware/acpi/tables/DMAR")(node),
    "bios-updated": lambda node: node.ssh("cat /sys/class/dmi/id/bios_version") == "P2.30\n" and "02:00.0" in node.ssh("lspci -n"),
    "igpu-hidden": lambda node: "00:02.0" not in node.ssh("lspci -n"),
    "bus-renumbered": lambda node: "02:00.0 0108: 144d:a809" in node.ssh("lspci -n") and node.ssh(DRIVER).endswith("vfio-pci\n"),
    "kernel-upgraded": lambda node: node.ssh("uname -r") == "6.2.16-20-pve\n" and node.ssh(DRIVER).endswith("vfio-pci\n"),
    "kernel-pin-stale": lambda node: "gnulinux-5.13.19-2-pve-advanced" in (node.root / "etc/default/grub").read_text(),
    "qemu-upgraded": lambda node: node.ssh("dpkg-query -W -f='${Version}' pve-qemu-kvm") == "9.2.0-5",
}  # fmt: skip


def test_every_break_is_tried_here() -> None:
    assert set(SEEN) == set(breaks.KINDS)


@pytest.mark.parametrize("kind", sorted(breaks.KINDS))
def test_a_break_breaks(kind: str, lab: fleet.Fleet) -> None:
    node = lab.node("pve1")
    assert not SEEN[kind](node)
    said = breaks.find(kind).apply(lab, node)
    assert said
    assert "\n" not in said
    assert SEEN[kind](node)


def test_where_there_is_nothing_to_break_it_says_so(tmp_path: Path) -> None:
    with fleet.start(tmp_path / "lab") as lab:
        for kind in ("vm-edited-in-ui", "rom-lost", "grub-dropin-removed", "modprobe-edited", "initramfs-stale"):
            with pytest.raises(errors.Rejected, match="apply the documents first"):
                breaks.find(kind).apply(lab, lab.node("pve1"))


def test_an_unknown_break_names_those_that_there_are() -> None:
    with pytest.raises(errors.Rejected, match="one of vm-edited-in-ui, "):
        breaks.find("nonsense")
