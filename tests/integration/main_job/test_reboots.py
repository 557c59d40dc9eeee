"""A reboot takes nothing away: what ran runs again, held starts are given back to the byte, whoever dies in between."""

from __future__ import annotations

import json

import pytest

from transom import errors
from transom.plan import actions as acts
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
        (folder / f"{vmid}.conf").chmod(0o640)  # as on pmxcfs, whoever writes
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


REFUSES = """\
#!/bin/sh
[ "$1" = reboot ] || exec /usr/bin/systemctl "$@"
echo 'Call to Reboot failed: Access denied due to active block inhibitor' >&2
exit 1
"""


def test_a_node_that_refuses_to_reboot_has_its_guests_back_at_once(bench, guests, monkeypatch):
    monkeypatch.setattr(reboot, "REPORT_EVERY", 1)
    tool = bench.node.root / "usr/local/sbin/systemctl"
    tool.write_text(REFUSES)
    tool.chmod(0o755)
    boots = bench.node.boots
    with pytest.raises(errors.Rejected, match=r"pve1 refuses to reboot: .*active block inhibitor.*the node is armed"):
        bench.apply(bench.seed)
    assert bench.node.boots == boots
    assert running(bench) == {150, 151}
    assert bench.text("/etc/pve/qemu-server/152.conf") == guests[152]
    assert bench.node.ssh("ls /var/lib/transom/drained.json 2>/dev/null || true") == ""
    assert any(isinstance(action, acts.Reboot) for action in bench.plan().actions), "it is owed yet"


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


def test_guests_leave_by_policy_and_by_ha_and_all_come_back(bench, guests):
    """A plain VM and the router are migrated, and HA's VM leaves by maintenance, which is lifted again."""
    other = bench.node.root / "etc/pve/nodes/pve2"
    (other / "qemu-server").mkdir(parents=True)
    (other / "lrm_status").touch()
    folder = bench.node.root / "etc/pve/nodes/pve1/qemu-server"
    (folder / "153.conf").write_text(PLAIN)
    bench.node.run("qm", "start", "153")
    bench.node.ssh("ha-manager add vm:153 --state started")
    text = bench.seed.read_text()
    bench.seed.write_text(text.replace("  mode: observe", "  mode: observe\n  reboot: {guests: migrate}", 1))
    away: list[set[str]] = []

    def at(line: str) -> None:
        bench.said.append(line)
        if "… reboot the node" in line:
            away.append({path.stem for path in (other / "qemu-server").glob("*.conf")})
            away.append({json.loads(bench.text("/etc/pve/ha/manager_status"))["node_status"]["pve1"]})

    service = bench.service()
    service.put([bench.seed])
    node = service.wish("pve1")
    plan = service.propose(node)
    service._say = at
    service.apply(node, approved=plan.hash)
    service.close()
    events = bench.json("run", "show", bench.json("run", "ls")[0]["id"])["events"]
    assert [one["text"] for one in events if one["phase"] == "stays"] == []
    assert away == [{"150", "151", "153"}, {"maintenance"}]
    assert running(bench) >= {150, 151, 153}
    assert list((other / "qemu-server").iterdir()) == []
    assert json.loads(bench.text("/etc/pve/ha/manager_status"))["node_status"] == {"pve1": "online"}
    assert bench.text("/etc/pve/qemu-server/152.conf") == guests[152]
    assert bench.plan().empty
