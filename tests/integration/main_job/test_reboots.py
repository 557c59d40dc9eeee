"""A reboot takes nothing away: what ran runs again, held starts are given back to the byte, whoever dies in between."""

from __future__ import annotations

import pytest

from transom import errors
from transom.reconcile.steps import reboot

PLAIN = (
    "boot: order=net0\ncores: 1\nmemory: 512\nname: plain\nnet0: virtio=02:00:00:00:00:01,bridge=vmbr0\nostype: l26\n"
)
TAKER = PLAIN.replace("memory", "hostpci0: 0000:00:02.0\nmemory").replace("ostype", "onboot: 1\nostype")
ROUTER = PLAIN.replace("ostype", "onboot: 1\nostype") + "startup: order=1\n"


@pytest.fixture
def guests(bench):
    """A plain VM that runs, a router that starts first at boot and runs, and one that takes the iGPU at boot."""
    folder = bench.node.root / "etc/pve/nodes/pve1/qemu-server"
    texts = {150: PLAIN, 151: ROUTER, 152: TAKER}
    for vmid, text in texts.items():
        (folder / f"{vmid}.conf").write_text(text)
        (folder / f"{vmid}.conf").chmod(0o600)
    for vmid in (150, 151):
        bench.node.run("qm", "start", str(vmid))
    return texts


def running(bench) -> set[int]:
    rows = (line.split() for line in bench.node.ssh("qm list").splitlines()[1:])
    return {int(row[0]) for row in rows if row[2] == "running"}


def test_what_ran_runs_again_and_held_starts_come_back_to_the_byte(bench, guests):
    before = bench.files()
    run = bench.apply(bench.seed)
    assert running(bench) >= {150, 151}
    assert bench.text("/etc/pve/qemu-server/152.conf") == guests[152]
    assert bench.node.ssh("ls /var/lib/transom/drained.json 2>/dev/null || true") == ""
    said = "\n".join(bench.said)
    assert "shut down VMs 150, 151; hold onboot of VM 152 until the reboot is confirmed" in said
    assert "shutting down VM 150\nshutting down VM 151" in said, "PVE's order, backwards"
    assert bench.plan().empty
    bench.undo(run)
    assert running(bench) >= {150, 151}
    assert bench.files() == before


def test_who_dies_before_giving_back_is_followed_by_one_who_does(bench, guests, monkeypatch):
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reboot, "_start", dies)
    with pytest.raises(KeyboardInterrupt):
        bench.apply(bench.seed)
    assert running(bench) == set()
    assert "onboot: 0" in bench.text("/etc/pve/qemu-server/152.conf")
    monkeypatch.undo()
    service = bench.service()
    service.settle(service.wish("pve1"))
    service.close()
    assert running(bench) == {150, 151}
    assert bench.text("/etc/pve/qemu-server/152.conf") == guests[152]
    assert bench.node.ssh("ls /var/lib/transom/drained.json 2>/dev/null || true") == ""


@pytest.mark.usefixtures("guests")
def test_a_backup_that_began_since_the_plan_keeps_the_node_up(bench):
    service = bench.service()
    service.put([bench.seed])
    node = service.wish("pve1")
    plan = service.propose(node)
    boots = bench.node.boots
    active = bench.node.root / "var/log/pve/tasks/active"

    def begins(line: str) -> None:
        if line.startswith("looking once more") and not active.exists():
            pid = (bench.node.root / "run/qemu-server/150.pid").read_text()  # any process of the lab's that shows
            active.parent.mkdir(parents=True, exist_ok=True)
            active.write_text(f"UPID:pve1:{int(pid):08X}:00000001:00000001:vzdump:150:root@pam: 0\n")

    service._say = begins
    with pytest.raises(errors.Void, match="job-running"):
        service.apply(node, approved=plan.hash)
    service.close()
    assert bench.node.boots == boots
    assert running(bench) == {150, 151}
