"""A device that VMs get by a resource mapping: made, used by a token, put right after it moved, undone. On a PVE 9 node."""

from __future__ import annotations

import pytest

from transom import errors
from transom.guest import conf
from transom.lab import fleet

ADDRESS = "0000:00:02.0"
CFG = "etc/pve/mapping/pci.cfg"
OTHER = "\tmap node=pve2,path=0000:03:00.0,id=10de:1b80,iommugroup=9\n"
VM = """apiVersion: transom/v1
kind: VirtualMachine
metadata: {name: mapped}
spec:
  node: pve1
  vmid: 130
  device: DEVICE
  hostpci: {rombar: 0}
  hardware: {memory: 512}
"""


@pytest.fixture
def mapped(tmp_path, bench_of):
    with fleet.start(tmp_path / "lab", flavour="pve9") as lab:
        bench = bench_of(tmp_path, lab)
        text = bench.seed.read_text()
        parts = [part.split("  host:\n")[0] for part in text.split("---\n")[:2]]
        parts[1] += "  devices:\n    igpu: {id: 8086:9bc8, mapping: gpu0}\n"
        bench.seed.write_text("---\n".join([*parts, VM.replace("DEVICE", "igpu")]))
        cfg = bench.node.root / "etc/pve/user.cfg"
        cfg.write_text(cfg.read_text() + "\nacl:1:/mapping/pci:transom@pve!transom,transom@pve:PVEMappingAdmin:\n")
        yield bench


def hostpci(bench) -> str:
    return conf.parse(bench.text("/etc/pve/qemu-server/130.conf")).main["hostpci0"]


def test_a_mapping_is_made_used_put_right_and_undone(mapped):
    first = mapped.apply(mapped.seed)
    assert hostpci(mapped) == "mapping=gpu0,rombar=0"
    assert f"path={ADDRESS}" in mapped.text(CFG)
    assert mapped.plan().empty
    path = mapped.node.root / CFG
    moved = path.read_text().rstrip("\n").replace(ADDRESS, "0000:7f:00.0") + "\n" + OTHER
    path.write_text(moved)
    plan = mapped.plan()
    assert [drift.path for drift in plan.drifts] == ["mapping/gpu0"]
    second = mapped.apply()
    assert f"path={ADDRESS}" in path.read_text()
    assert OTHER.strip() in path.read_text()
    assert mapped.plan().empty
    mapped.undo(second)
    assert "path=0000:7f:00.0" in path.read_text()
    assert OTHER.strip() in path.read_text()
    path.write_text(path.read_text().replace("0000:7f:00.0", "0000:7e:00.0"))
    with pytest.raises(errors.Void, match="changed-since"):
        mapped.undo(first)
    path.write_text(path.read_text().replace("0000:7e:00.0", ADDRESS))
    mapped.undo(first)
    assert "node=pve1" not in path.read_text()
    assert OTHER.strip() in path.read_text()
    assert not (mapped.node.root / "etc/pve/qemu-server/130.conf").exists()
