"""The assembled script, run by a real ``sh`` with real tools: in a root of its own against a record, and on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from transom import model
from transom.host import facts, probes, stream

NONCE = "0123456789abcdef"
GOLDEN = Path(__file__).parents[2] / "golden" / "host"
BWRAP = shutil.which("bwrap")
MTIME = 1_700_000_000_123_456_789
NODE = "it's pve1"

TEXTS = {
    "etc/default/grub": 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n',
    "etc/default/grub.d/90-transom.cfg": "# no final newline",
    "etc/modules": "vfio\n",
    "etc/modprobe.d/odd name.conf": "# umlaut ä\nblacklist i915\r\n",
    "etc/modprobe.d/not-read.txt": "blacklist xe\n",
    "boot/grub/grub.cfg": "menuentry 'x' {\n linux /boot/vmlinuz-5.15.74-1-pve ro quiet\n}\n",
    "boot/initrd.img-5.15.74-1-pve": "\x00\x01\x02",
    f"etc/pve/nodes/{NODE}/qemu-server/112.conf": "cores: 6\n",
    f"etc/pve/nodes/{NODE}/qemu-server/notes.conf": "x\n",
    "etc/pve/nodes/other/qemu-server/200.conf": "cores: 1\n",
    "usr-share-kvm/igd.rom": "rom\n",
    "usr-share-kvm/vbios_uhd630.bin": "a ROM that no configuration names\n",
    "run/qemu-server/112.pid": "4711\n",
    "run/qemu-server/113.pid": "4712\n",
    "proc/4711/cmdline": "/usr/bin/kvm\0-id\000112\0-device\0vfio-pci,host=0000:00:02.0,romfile=/usr/share/kvm/vbios_uhd630.bin,"
    "id=hostpci0\0-device\0virtio-net-pci,romfile=,id=net0\0-option-rom\0/usr/share/kvm/old.rom\0",
    "var/lib/transom/dirty/initramfs": "",
    "var/lib/transom/reboot-from": "boot-1\n",
    "var/lib/transom/ledger.json": "{}\n",
    "var/lib/dpkg/status": "Package: pve-manager\nStatus: install ok installed\nArchitecture: all\nVersion: 7.3-3\n"
    "Maintainer: x <x@x>\nDescription: x\n\nPackage: qemu-server\nStatus: deinstall ok config-files\nArchitecture: all\n"
    "Version: 7.3-1\nMaintainer: x <x@x>\nDescription: x\n\nPackage: pve-kernel-5.15.74-1-pve\nStatus: install ok installed\n"
    "Architecture: all\nVersion: 5.15.74-1\nMaintainer: x <x@x>\nDescription: x\n",
    "sys/devices/pci0000:00/0000:00:02.0/vendor": "0x8086\n",
    "sys/devices/pci0000:00/0000:00:02.0/device": "0x9bc8\n",
    "sys/devices/pci0000:00/0000:00:02.0/class": "0x030000\n",
    "sys/devices/pci0000:00/0000:00:02.0/subsystem_vendor": "0x1849\n",
    "sys/devices/pci0000:00/0000:00:02.0/subsystem_device": "0x9bc8\n",
    "sys/devices/pci0000:00/0000:00:02.0/revision": "0x03\n",
    "sys/devices/pci0000:00/0000:00:02.0/boot_vga": "1\n",
    "sys/module/vfio_pci/parameters/disable_vga": "N\n",
    "sys/module/vfio_pci/parameters/ids": "\n",
    "sys/bus/usb/devices/1-2/idVendor": "046d\n",
    "sys/bus/usb/devices/1-2/idProduct": "c07e\n",
    "sys/class/dmi/id/board_vendor": "ASRock\n",
    "sys/class/dmi/id/board_name": "B460M Steel Legend\n",
    "sys/class/dmi/id/bios_version": "P1.60\n",
    "sys/firmware/acpi/tables/DMAR": "DMAR\n",
    "proc/sys/kernel/random/boot_id": "9d3ad8b4-6b33-4b1b-8a9e-2c2f7a3f7a11\n",
    "proc/sys/kernel/osrelease": "5.15.74-1-pve\n",
    "proc/cmdline": 'BOOT_IMAGE=/boot/vmlinuz-5.15.74-1-pve root=/dev/sda1 ro quiet dyndbg="file a +p"\n',
    "proc/modules": "vfio_pci 16384 0 - Live 0x0\nsnd_hda_intel 16384 1 - Live 0x0\n",
    "proc/stat": "cpu 0 0\nbtime 1700000000\n",
    "sys/class/net/vmbr0/mtu": "1500\n",
    "proc/iomem": "00001000-0009ffff : System RAM\nc0000000-dfffffff : PCI Bus 0000:00\n"
    "  c0000000-cfffffff : 0000:00:02.0\n    c0000000-c07e8fff : BOOTFB\n",
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: Intel(R) Core(TM) i5-10400 CPU @ 2.90GHz\n",
}


@pytest.fixture
def root(tmp_path):
    """A small host: files with known times, a sysfs with one iGPU."""
    for path, text in TEXTS.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(text.encode())
    sysfs = tmp_path / "sys"
    for link, target in {
        "bus/pci/devices/0000:00:02.0": "../../../devices/pci0000:00/0000:00:02.0",
        "devices/pci0000:00/0000:00:02.0/driver": "../../../bus/pci/drivers/i915",
        "devices/pci0000:00/0000:00:02.0/iommu_group": "../../../kernel/iommu_groups/1",
    }.items():
        (sysfs / link).parent.mkdir(parents=True, exist_ok=True)
        (sysfs / link).symlink_to(target)
    (tmp_path / "etc/pve/local").symlink_to(f"nodes/{NODE}")
    (tmp_path / "etc/modules-load.d").mkdir()
    (tmp_path / "etc/modules-load.d/modules.conf").symlink_to("../modules")
    for path in (*TEXTS, "etc/modules"):
        (tmp_path / path).chmod(0o640 if path == "etc/modules" else 0o644)
        os.utime(tmp_path / path, ns=(MTIME, MTIME))
    return tmp_path


def observe_in(root: Path, script: str) -> bytes:
    walls = [
        str(BWRAP),
        "--unshare-user",
        "--uid",
        "0",
        "--gid",
        "0",
        "--die-with-parent",
        "--unshare-uts",
        "--hostname",
        NODE,
    ]
    walls += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib64"):
        walls += ["--symlink", f"usr/{name}", f"/{name}"]
    for name in ("etc", "boot", "var", "sys", "proc", "run"):
        walls += ["--ro-bind", str(root / name), f"/{name}"]
    walls += ["--tmpfs", "/usr/share", "--ro-bind", str(root / "usr-share-kvm"), "/usr/share/kvm", "--dev", "/dev"]
    shell = shutil.which("dash") or "sh"
    return subprocess.run([*walls, "--", shell, "-c", script], capture_output=True, timeout=30, check=True).stdout


@pytest.mark.skipif(BWRAP is None, reason="bubblewrap is not installed")
def test_a_host_is_read_as_recorded(root):
    answer = observe_in(root, stream.assemble(probes.all_probes(NODE), NONCE))
    seen = model.to_json(facts.facts(NODE, stream.split(answer, NONCE)))
    # What the machine's own /usr has is not the case's.
    seen["files"] = {path: one for path, one in seen["files"].items() if not path.startswith(("/lib/", "/usr/"))}
    del seen["standing"], seen["oneshot"]  # what its disks and tools are is not, either
    for one in seen["files"].values():
        one["uid"] = one["gid"] = 0
    recorded = GOLDEN / "small-host.json"
    if os.environ.get("RECORD"):
        recorded.write_text(json.dumps(seen, indent=1, ensure_ascii=False) + "\n")
    assert seen == json.loads(recorded.read_text())


@pytest.mark.skipif(BWRAP is None, reason="bubblewrap is not installed")
def test_the_recorded_host_says_what_its_files_say():
    seen = model.from_json(model.Facts, json.loads((GOLDEN / "small-host.json").read_text()))
    odd = seen.file("/etc/modprobe.d/odd name.conf")
    assert isinstance(odd, model.HostFile)
    assert (odd.text, odd.mtime_ns) == (TEXTS["etc/modprobe.d/odd name.conf"], MTIME)
    assert isinstance(seen.file("/etc/modprobe.d/not-there.conf"), model.Absent)
    assert seen.device("0000:00:02.0") == model.PciDevice(
        "0000:00:02.0", "8086", "9bc8", "030000", "1849:9bc8", "03", "i915", 1, True
    )
    assert seen.guests == {112: model.GuestFile(112, "cores: 6\n", hashlib.sha1(b"cores: 6\n").hexdigest())}
    assert seen.packages == {"pve-manager": "7.3-3", "pve-kernel-5.15.74-1-pve": "5.15.74-1"}
    assert seen.roms == {
        name: hashlib.sha256(TEXTS[f"usr-share-kvm/{name}"].encode()).hexdigest()
        for name in ("igd.rom", "vbios_uhd630.bin")
    }
    assert seen.rom_users == {"old.rom": (112,), "vbios_uhd630.bin": (112,)}
    assert seen.keeping == model.Keeping((model.Step.INITRAMFS,), "boot-1", hashlib.sha256(b"{}\n").hexdigest())
    assert seen.boot.loader == "grub"
    assert seen.identity == NODE
    assert seen.boot.cmdline is not None
    assert 'dyndbg="file a +p"' in seen.boot.cmdline


@pytest.mark.skipif(BWRAP is None, reason="bubblewrap is not installed")
def test_folders_that_are_missing_leave_unknowns_and_no_more(root):
    for name in ("sys/bus", "etc/pve", "usr-share-kvm/igd.rom", "usr-share-kvm/vbios_uhd630.bin"):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    answer = observe_in(root, stream.assemble(probes.all_probes(NODE), NONCE))
    seen = facts.facts(NODE, stream.split(answer, NONCE))
    assert [
        isinstance(one, model.Unknown)
        for one in (seen.pci, seen.usb, seen.guests, seen.identity, seen.roms, seen.boot.kernel)
    ] == [True] * 4 + [False] * 2
    assert seen.roms == {}


def test_this_very_machine_can_be_read_quickly():
    script = stream.assemble(probes.all_probes("pve1"), NONCE)
    began = time.monotonic()
    ran = subprocess.run(["sh", "-c", script], capture_output=True, timeout=30, check=True)
    took = time.monotonic() - began
    seen = facts.facts("pve1", stream.split(ran.stdout, NONCE))
    assert seen.boot.kernel == os.uname().release
    assert seen.boot.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert ran.stderr == b""
    assert took < 5, "measured idle: 0.03 s"
