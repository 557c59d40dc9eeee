"""The lab's machines and what their kernel shows of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from transom import model
from transom.lab import boot, initrd, kernelfs, machine, world


@pytest.fixture
def booted() -> boot.Booted:
    kernel = world.seed_node().kernel
    menu = f"menuentry 'x' {{\n linux /boot/vmlinuz-{kernel} intel_iommu=on iommu=pt\n initrd /i\n}}\n"
    image = initrd.pack(initrd.build(kernel, {}, ""))
    return boot.boot(world.seed_node(), boot.Disk(menu, {f"/boot/vmlinuz-{kernel}": b"", "/i": image}))


@pytest.mark.parametrize("flavour", sorted(world.FLAVOURS))
def test_a_machine_survives_json(flavour: str) -> None:
    node = world.FLAVOURS[flavour]("pve7", cluster="lab")
    assert model.from_json(world.LabNode, json.loads(json.dumps(model.to_json(node)))) == node


def test_the_seed_is_the_articles_machine() -> None:
    node = world.seed_node()
    igpu = next(dev for dev in node.pci if dev.address == world.IGPU)
    assert (igpu.id, igpu.subsystem, igpu.revision) == ("8086:9bc8", "1849:9bc8", "03")
    assert node.kernel == "5.15.74-1-pve"
    assert node.packages["pve-qemu-kvm"] == "7.1.0-4"
    assert [f"{usb.vendor}:{usb.product}" for usb in node.usb] == ["046d:c07e", "04d9:0295"]


def test_sysfs_has_links_that_lead_somewhere(tmp_path: Path, booted: boot.Booted) -> None:
    sys = tmp_path / "sys"
    kernelfs.write_sys(sys, world.seed_node(), booted)
    nvme = sys / "bus/pci/devices/0000:01:00.0"
    assert (nvme / "driver").resolve() == sys / "bus/pci/drivers/nvme"
    assert (sys / "bus/pci/drivers/nvme/0000:01:00.0/vendor").read_text() == "0x144d\n"
    group = (nvme / "iommu_group").resolve()
    assert group.parent == sys / "kernel/iommu_groups"
    assert (group / "type").read_text() == "identity\n"
    assert (group / "devices/0000:01:00.0/class").read_text() == "0x010802\n"
    assert (sys / "bus/pci/devices/0000:00:02.0/boot_vga").read_text() == "1\n"
    assert (sys / "bus/pci/devices/0000:00:02.0/modalias").read_text() == (
        "pci:v00008086d00009BC8sv00001849sd00009BC8bc03sc00i00\n"
    )


def test_the_dmar_table_sums_to_zero() -> None:
    table = kernelfs.dmar()
    assert (table[:4], len(table), sum(table) % 256) == (b"DMAR", int.from_bytes(table[4:8], "little"), 0)


def test_a_fresh_root_boots_and_is_older_than_its_boot(tmp_path: Path) -> None:
    node = world.seed_node()
    machine.lay_out(tmp_path / "root", node, now=1_700_000_000)
    assert boot.boot(node, machine.read_disk(tmp_path / "root")).drivers[world.IGPU] == "i915"
    assert (tmp_path / "root/etc/default/grub").stat().st_mtime == 1_700_000_000 - machine.DAY


def test_power_off_empties_run_and_follows_no_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "run/x").mkdir(parents=True)
    outside.mkdir()
    (outside / "kept").touch()
    (root / "tmp").symlink_to(outside)
    machine.power_off(root)
    assert [path.name for path in (root / "run").iterdir()] == ["lock"]
    assert (outside / "kept").exists()
    assert not (root / "tmp").is_symlink()
