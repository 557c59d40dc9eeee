"""VMs on a lab node beyond the first apply: running ones, other ROMs, ids left open, edits by people."""

from __future__ import annotations

import hashlib
import re

from transom import resources
from transom.guest import conf, identity
from transom.lab import breaks
from transom.plan import guest_actions

CONF = "/etc/pve/qemu-server/112.conf"


def redeclare(bench, old: str, new: str) -> None:
    text = bench.seed.read_text()
    assert old in text
    bench.seed.write_text(text.replace(old, new))


def start(bench, vmid: int = 112) -> None:
    bench.node.ssh(f"qm start {vmid}")
    assert "status: running" in bench.node.ssh(f"qm status {vmid}")


def test_a_running_vm_gets_its_change_by_a_restart(bench):
    bench.apply(bench.seed)
    start(bench)
    redeclare(bench, "cpu: host", "cpu: x86-64-v3")
    service = bench.service()
    service.put([bench.seed])
    plan = service.propose(service.wish("pve1"))
    assert [type(action) for action in plan.actions] == [guest_actions.ChangeGuest, guest_actions.RestartGuest]
    assert plan.impact == "guest-restart"
    service.apply(service.wish("pve1"), approved=plan.hash)
    service.close()
    parsed = conf.parse(bench.text(CONF))
    assert parsed.main["cpu"] == "x86-64-v3"
    assert not parsed.pending
    assert bench.plan().empty


def test_a_change_made_to_a_running_vm_by_hand_is_put_right(bench):
    bench.apply(bench.seed)
    start(bench)
    bench.node.ssh("qm set 112 --delete args --cores 2")
    plan = bench.plan()
    assert {drift.path for drift in plan.drifts} >= {"qemu/112/args", "qemu/112/cores"}
    bench.apply()
    assert bench.plan().empty
    assert conf.parse(bench.text(CONF)).current()["cores"] == "6"


def test_another_rom_is_rolled_out_and_back(bench):
    run = bench.apply(bench.seed)
    rom = bench.seed.parent / "igd.rom"
    first = rom.read_bytes()
    rom.write_bytes(first[:-1] + bytes([first[-1] ^ 1]))
    new = hashlib.sha256(rom.read_bytes()).hexdigest()
    redeclare(bench, hashlib.sha256(first).hexdigest(), new)
    second = bench.apply(bench.seed)
    names = sorted(path.name for path in (bench.node.root / "usr/share/kvm").glob("igd-*"))
    assert names == [f"igd-{new[:12]}.rom"]
    assert names[0] in bench.text(CONF)
    before = bench.files()
    bench.undo(second)
    assert [path.read_bytes() for path in (bench.node.root / "usr/share/kvm").glob("igd-*")] == [first]
    assert hashlib.sha256(first).hexdigest()[:12] in bench.text(CONF)
    assert bench.files() != before
    bench.undo(run)
    assert not (bench.node.root / CONF[1:]).exists()


def test_ids_left_open_are_taken_and_kept(bench):
    example = bench.lab.stage(resources.examples_dir() / "two-vms.yaml")
    bench.apply(example)
    confs = {
        int(path.stem): conf.parse(path.read_text())
        for path in (bench.node.root / "etc/pve/qemu-server").glob("*.conf")
    }
    assert len(confs) == 2
    marks = {identity.marked(one) for one in confs.values()}
    assert None not in marks
    assert bench.plan().empty
    service = bench.service()
    ledger = service._store.ledger("pve1")
    service.close()
    known = {path: entry.applied for path, entry in ledger.items() if re.fullmatch(r"qemu/\d+", path)}
    assert known == {f"qemu/{vmid}": identity.known_as(one) for vmid, one in confs.items()}


def test_a_clone_that_carries_our_mark_is_not_taken_for_ours(bench):
    bench.apply(bench.seed)
    text = bench.text(CONF)
    clone = re.sub(r"vmgenid: \S+", "vmgenid: 99999999-0000-4000-8000-000000000009", text).replace("disk-0", "disk-9")
    (bench.node.root / "etc/pve/qemu-server/200.conf").write_text(clone)
    assert bench.plan().empty
    assert (bench.node.root / "etc/pve/qemu-server/200.conf").read_text() == clone


def test_notes_and_tags_of_people_stay(bench):
    bench.apply(bench.seed)
    bench.node.ssh("qm set 112 --tags 'mine;transom' --onboot 1")
    assert bench.plan().empty
    redeclare(bench, "memory: 8192", "memory: 4096")
    bench.apply(bench.seed)
    values = conf.parse(bench.text(CONF)).main
    assert values["tags"] == "mine;transom"
    assert values["onboot"] == "1"
    assert values["memory"] == "4096"


def test_the_first_run_comes_off_after_any_number_of_repairs(bench):
    before = bench.files()
    run = bench.apply(bench.seed)
    for kind in ("args-dropped", "modprobe-edited", "rom-corrupted", "vm-edited-in-ui"):
        breaks.find(kind).apply(bench.lab, bench.node)
        bench.apply()
        assert bench.plan().empty
    bench.undo(run)
    assert bench.files() == before
    assert bench.driver() == "i915"


def edit(bench, old: str, new: str) -> None:
    """Behind PVE's back, as an editor does."""
    path = bench.node.root / CONF[1:]
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def cmdline(bench) -> str:
    return bench.node.ssh("tr '\\0' ' ' </proc/$(cat /run/qemu-server/112.pid)/cmdline")


def test_what_a_running_qemu_was_not_started_with_is_drift_of_what_runs(bench):
    bench.apply(bench.seed)
    start(bench)
    assert not {finding.id for finding in bench.plan().findings} & {"qemu-started-otherwise", "qemu-arguments-unread"}
    edit(bench, "cpu: host", "cpu: x86-64-v3")
    redeclare(bench, "cpu: host", "cpu: x86-64-v3")  # so nothing is pending, and the file is as declared
    service = bench.service()
    service.put([bench.seed])
    service.close()
    plan = bench.plan()
    drift = next(drift for drift in plan.drifts if drift.path == "qemu/112/cpu")
    assert (drift.level, drift.impact, drift.observed, drift.desired) == (
        "effective",
        "guest-restart",
        "host",
        "x86-64-v3",
    )
    assert "-cpu host" in cmdline(bench)
    bench.apply()
    assert "-cpu x86-64-v3" in cmdline(bench)
    assert bench.plan().empty


def test_a_qemu_that_was_started_by_hand_is_told_and_not_restarted(bench):
    bench.apply(bench.seed)
    start(bench)
    assert bench.plan().empty
    pid = bench.text("/run/qemu-server/112.pid").strip()
    shown = bench.node.root / "run/lab-qemu" / pid / "cmdline"
    shown.write_bytes(shown.read_bytes().replace(b"-cpu\0host\0", b"-cpu\0qemu64\0"))
    (bench.node.root / "run/qemu-server/112.pid").touch()
    plan = bench.plan()
    assert plan.empty  # nothing that a start reads has changed: were this judged wrongly, restarts would go on for ever
    (told,) = [finding for finding in plan.findings if finding.id == "qemu-started-otherwise"]
    assert [one.says for one in told.evidence] == ["qemu64", "host"]
    assert not told.holds


def test_a_start_that_pve_refuses_now_cannot_be_compared(bench):
    bench.apply(bench.seed)
    start(bench)
    edit(bench, "cores: 6", "cores: 6\nhostpci3: 0000:99:00.0")
    (told,) = [finding for finding in bench.plan().findings if finding.id == "qemu-arguments-unread"]
    assert "qm showcmd 112" in told.summary
