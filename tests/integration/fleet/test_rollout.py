"""Two nodes of a cluster that both need a reboot: never at the same time, and the second not after the first has failed."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from patience import settled, until
from transom.lab import fleet
from transom.reconcile import settings

BY = {"by": "eve"}
NODE = """---
apiVersion: transom/v1
kind: Node
metadata: {name: %s}
spec:
  cluster: home
  ssh: {address: 192.0.2.1, host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGUga2V5OiBwdXQgeW91ciBob3N0J3Mga2V5}
  host: {kernel_cmdline: [intel_iommu=on, iommu=pt]}
"""
CLUSTER = """apiVersion: transom/v1
kind: Cluster
metadata: {name: home}
spec:
  api:
    endpoints: ["https://192.0.2.11:8006"]
    token: {id: "transom@pve!transom", secret: {file: /nowhere/token}}
    fingerprint: 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF
  ssh: {key: {file: /nowhere/key}}
"""
QUICK = settings.Settings(scan_every=3600, scan_jitter=0, settle=0, stop_within=30)
VM = "boot: order=net0\ncores: 1\nmemory: 512\nname: plain\nnet0: virtio=02:00:00:00:00:%s,bridge=vmbr0\nostype: l26\n"


@pytest.fixture
def two(tmp_path, bench_of) -> Iterator[object]:
    with fleet.start(tmp_path / "lab", nodes=2) as lab:
        source = tmp_path / "two.yaml"
        source.write_text(CLUSTER + "".join(NODE % name for name in lab.nodes))
        yield bench_of(tmp_path, lab, lab.stage(source))


def runs(keeper) -> list[dict[str, object]]:
    return [run for run in keeper.runs() if run["state"] != "running"]


def test_one_after_the_other_and_each_says_what_it_waits_for(two):
    with two.keeper(QUICK) as keeper:
        asked = keeper.provision([two.text()], approve=True, key="", **BY)
        assert settled(keeper, asked, "done", "failed").state == "done", keeper.operation(asked.id)
        second, first = runs(keeper)
        assert {first["node"], second["node"]} == {"pve1", "pve2"}
        assert first["ended_at"] <= second["started_at"], "one reboot at a time"
        assert [two.lab.node(name).boots for name in ("pve1", "pve2")] == [2, 2]


def test_after_a_failed_reboot_no_other_before_a_person_says_so(two):
    for at, name in enumerate(("pve1", "pve2")):  # a VM that runs, and would not start again
        node, vmid = two.lab.node(name), str(150 + at)
        path = pathlib.Path(node.root) / f"etc/pve/nodes/{name}/qemu-server/{vmid}.conf"
        path.write_text(VM % f"0{at}")
        node.run("qm", "start", vmid)
        path.write_text(path.read_text().replace("vmbr0", "vmbr9"))
    with two.keeper(QUICK) as keeper:
        asked = keeper.provision([two.text()], approve=True, key="", **BY)
        until(lambda: {share.state for share in keeper.operation(asked.id).shares} == {"failed", "waiting"})
        (failed,) = runs(keeper)
        first = str(failed["node"])
        other = "pve2" if first == "pve1" else "pve1"
        assert "bridge 'vmbr9' does not exist" in str(failed["error"])
        waits = {share.node: share.reason for share in keeper.operation(asked.id).shares}[other]
        assert waits.startswith(f"{first} failed over its reboot (run {failed['id']}), so no other node is rebooted")
        assert (two.lab.node(first).boots, two.lab.node(other).boots) == (2, 1)
        keeper.scan(other, **BY)
        until(lambda: not keeper.status()["under_way"])
        assert two.lab.node(other).boots == 1
        assert next(row.state for row in keeper.nodes() if row.name == other) == "waiting"
        path = next(pathlib.Path(two.lab.node(other).root).glob(f"etc/pve/nodes/{other}/qemu-server/*.conf"))
        path.write_text(path.read_text().replace("vmbr9", "vmbr0"))
        (plan,) = keeper.plans(node=other, state="waiting")
        done = settled(keeper, keeper.approve(plan.hash, **BY))
        assert done.state == "done", done
        assert two.lab.node(other).boots == 2
