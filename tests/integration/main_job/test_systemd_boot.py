"""A node that boots by systemd-boot under proxmox-boot-tool: the main job, stale entries put right, and undone to the byte."""

from __future__ import annotations

import pytest

from transom.lab import espmenu, fleet


@pytest.fixture
def bench(tmp_path, bench_of):
    with fleet.start(tmp_path / "lab", flavour="zfs") as lab:
        yield bench_of(tmp_path, lab)


def entries(bench) -> dict[str, str]:
    folder = bench.node.root / espmenu.FOLDER
    return {path.name: path.read_text() for path in sorted((folder / "loader/entries").iterdir())}


def test_applied_kept_and_undone_to_the_byte(bench):
    before, old = bench.files(), entries(bench)
    run = bench.apply(bench.seed)
    assert bench.plan().empty
    assert bench.driver() == "vfio-pci"
    booted = bench.node.ssh("cat /proc/cmdline")
    assert booted.startswith("initrd=\\EFI\\proxmox\\")
    assert "root=ZFS=rpool/ROOT/pve-1 boot=zfs quiet intel_iommu=on iommu=pt" in booted
    assert bench.text("/etc/kernel/cmdline").startswith("root=ZFS=rpool/ROOT/pve-1 boot=zfs quiet intel_iommu=on")
    (name,) = old
    (bench.node.root / espmenu.FOLDER / "loader/entries" / name).write_text(old[name])  # as another tool might
    plan = bench.plan()
    assert [action.describe().partition(" (")[0] for action in plan.actions] == ["run proxmox-boot-tool refresh"]
    bench.apply()
    assert bench.plan().empty
    bench.undo(run)
    after = bench.files()
    assert {path: one for path, one in after.items() if not path.startswith("boot/initrd")} == {
        path: one for path, one in before.items() if not path.startswith("boot/initrd")
    }
    assert entries(bench) == old
    assert bench.driver() == "i915"
