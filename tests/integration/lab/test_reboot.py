"""What a reboot does, and what it does not: everything follows from the files."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from patience import PATIENCE, until
from transom import errors
from transom.lab import fleet

DRIVER = "basename $(readlink /sys/bus/pci/devices/0000:00:02.0/driver)"
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[fleet.FleetNode]:
    """A node of the test's own."""
    with fleet.start(tmp_path / "lab") as lab:
        yield lab.node("pve1")


def article(node: fleet.FleetNode, *, initramfs: bool = True) -> None:
    """What the article types, as files, and the two commands."""
    etc = node.root / "etc"
    grub = (
        (etc / "default/grub")
        .read_text()
        .replace('"quiet"', '"quiet intel_iommu=on iommu=pt initcall_blacklist=sysfb_init"')
    )
    (etc / "default/grub").write_text(grub)
    (etc / "modules").write_text("vfio\nvfio_iommu_type1\nvfio_pci\nvfio_virqfd\n")
    (etc / "modprobe.d/vfio.conf").write_text("options vfio-pci ids=8086:9bc8\n")
    (etc / "modprobe.d/blacklist.conf").write_text(
        "blacklist snd_hda_intel \n blacklist snd_hda_codec_hdmi \n blacklist i915\n"
    )
    node.ssh("update-grub")
    if initramfs:
        node.ssh("update-initramfs -u -k all")


def reboot(node: fleet.FleetNode, command: str = "reboot") -> None:
    """As a person does it: over SSH."""
    boots = node.boots
    node.ssh(command)
    node.wait_boot(boots)


def refused(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return False
    return True


def test_the_articles_way(own: fleet.FleetNode) -> None:
    before, driver = own.ssh(BOOT_ID), own.ssh(DRIVER)
    own.ssh("touch /run/here /tmp/here")
    article(own)
    assert own.ssh(DRIVER) == driver == "i915\n"  # nothing before the reboot
    asked = time.time()
    reboot(own)
    assert own.ssh(BOOT_ID) != before
    assert own.ssh(DRIVER) == "vfio-pci\n"
    cmdline = own.ssh("cat /proc/cmdline").split()
    assert cmdline[-4:] == ["quiet", "intel_iommu=on", "iommu=pt", "initcall_blacklist=sysfb_init"]
    btime = int(own.ssh("sed -n 's/^btime //p' /proc/stat"))
    assert asked < btime <= time.time()
    assert int((own.root / "boot/initrd.img-5.15.74-1-pve").stat().st_mtime) < btime
    assert own.ssh("ls /run/here /tmp/here 2>/dev/null || ls /dev/vfio") == "2\nvfio\n"
    assert "i915" not in own.ssh("lsmod")
    assert "BOOTFB" not in own.ssh("cat /proc/iomem")


def test_a_stale_initramfs_stays_stale(own: fleet.FleetNode) -> None:
    article(own, initramfs=False)
    reboot(own, "systemctl reboot")
    assert "iommu=pt" in own.ssh("cat /proc/cmdline")
    assert own.ssh(DRIVER) == "i915\n"
    own.ssh("update-initramfs -u -k all")
    reboot(own)
    assert own.ssh(DRIVER) == "vfio-pci\n"


def test_a_vm_starts_when_vfio_has_the_device_and_stops_with_the_host(own: fleet.FleetNode) -> None:
    own.ssh("qm create 112 --vga none --machine pc --memory 64 --hostpci0 0000:00:02.0,legacy-igd=1")
    with pytest.raises(errors.Rejected):
        own.ssh("qm start 112")
    article(own)
    reboot(own)
    own.ssh("qm start 112")
    assert own.ssh("qm status 112") == "status: running\n"
    reboot(own)
    assert own.ssh("qm status 112") == "status: stopped\n"


def test_connections_drop_and_the_port_stays(own: fleet.FleetNode) -> None:
    port = own.ssh_port
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as line:
        assert line.recv(4) == b"SSH-"
        line.recv(200)
        own.reboot()
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(1) == b""
    assert own.ssh_port == port
    assert own.ssh("echo back") == "back\n"


def test_a_power_cut_leaves_what_was_on_disk(own: fleet.FleetNode) -> None:
    own.ssh("echo kept >/etc/kept; echo gone >/run/gone")
    before = own.ssh(BOOT_ID)
    own.power_cut()
    assert own.state == "off"
    assert refused(own.ssh_port)
    assert refused(own.api_port)
    own.power_on()
    assert own.ssh(BOOT_ID) != before
    assert own.ssh("cat /etc/kept; test -e /run/gone || echo forgotten") == "kept\nforgotten\n"
    assert not refused(own.api_port)


def test_poweroff_stays_off_until_somebody_comes(own: fleet.FleetNode) -> None:
    own.ssh("poweroff")
    until(lambda: own.state == "off")
    own.power_on()
    assert own.ssh("echo back") == "back\n"


def test_a_machine_that_cannot_boot_says_why_and_can_be_mended(own: fleet.FleetNode) -> None:
    initrd = own.root / "boot/initrd.img-5.15.74-1-pve"
    good = initrd.read_bytes()
    initrd.write_bytes(good[:100])
    with pytest.raises(errors.Unreachable, match="Kernel panic"):
        own.reboot()
    assert own.state.startswith("failed: Initramfs unpacking failed")
    initrd.write_bytes(good)
    own.power_on()
    assert own.ssh("echo back") == "back\n"


def test_an_unknown_module_is_in_the_journal(own: fleet.FleetNode) -> None:
    (own.root / "etc/modules").write_text("no_such_module\n")
    reboot(own)
    assert "Failed to find module 'no_such_module'" in own.ssh("journalctl -b")
    assert own.ssh("systemctl is-system-running || true") == "degraded\n"


def test_a_link_in_the_node_does_not_lead_the_lab_out_of_the_root(own: fleet.FleetNode, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "syslog").write_text("mine\n")
    own.ssh(f"rm -r /tmp; ln -s {outside} /tmp; ln -sf {outside}/syslog /var/log/syslog")
    own.reboot()
    assert [path.name for path in outside.iterdir()] == ["syslog"]
    assert (outside / "syslog").read_text() == "mine\n"
