"""Declared, persisted, effective: what is pending, who put it there, and what a restart makes of it. By the API alone."""

from __future__ import annotations

import pytest

from transom import daemon, errors, model
from transom.guest import conf
from transom.lab.pve import access, power, runstate
from transom.plan import guest_actions
from transom.pve import client
from transom.report import plan_text


def running(bench, spec="  hardware: {name: win, memory: 4096, cores: 4}\n"):
    bench.put(spec)
    bench.apply()
    bench.start()


def test_what_a_running_vm_cannot_take_is_pending_until_its_restart(bench):
    running(bench)
    bench.put("  hardware: {name: win, memory: 8192, cores: 4, machine: q35}\n")
    plan = bench.plan()
    assert plan.impact is model.Impact.GUEST_RESTART
    assert [action.kind for action in plan.actions] == ["change-guest", "restart-guest"]
    bench.apply()
    parsed = conf.parse(bench.text())
    assert not parsed.pending
    assert parsed.main["machine"] == "q35"
    assert bench.facts().states[101].status == "running"
    assert bench.plan().empty


def test_a_restart_that_was_cut_off_is_drift_of_what_runs(bench):
    running(bench)
    text = bench.text().rstrip() + "\n\n[PENDING]\nmemory: 8192\n"
    bench.write(text)
    bench.put("  hardware: {name: win, memory: 8192, cores: 4}\n")
    (drift,) = bench.plan().drifts
    assert (drift.level, drift.observed, drift.desired) == (model.Level.EFFECTIVE, "4096", "8192")
    bench.apply()
    assert bench.plan().empty


def test_a_pending_change_that_documents_do_not_want_is_taken_back_and_nothing_restarts(bench):
    running(bench)
    bench.write(bench.text().rstrip() + "\n\n[PENDING]\nargs: -theirs\ndelete: cores\nmemory: 8192\n")
    plan = bench.plan()
    (change,) = plan.actions
    assert change.revert == {"cores": "4", "memory": "4096"}
    assert plan.impact is model.Impact.LIVE
    bench.apply()
    parsed = conf.parse(bench.text())
    assert parsed.pending == {"args": "-theirs"}  # no document names it: that person's business
    assert parsed.pending_delete == frozenset()
    assert bench.plan().empty


def test_what_is_pending_and_means_what_runs_restarts_nothing(bench):
    running(bench, "  hardware: {name: win, memory: 512, cores: 1}\n")
    bench.write(bench.text().rstrip() + "\n\n[PENDING]\ndelete: cores,memory\n")
    plan = bench.plan()
    assert plan.empty
    assert [noop.path for noop in plan.noops if "no restart" in noop.reason] == ["qemu/101/cores", "qemu/101/memory"]


def test_a_token_takes_back_what_it_could_not_set(bench):
    bench.give_root()
    running(bench, "  hardware: {name: win}\n  raw: {args: -no-hpet}\n")
    bench.ticket = ""
    bench.put("  hardware: {name: win}\n  raw: {args: -no-hpet}\n")
    bench.write(bench.text().rstrip() + "\n\n[PENDING]\nargs: -theirs\n")
    bench.apply()
    assert conf.parse(bench.text()).persisted()["args"] == "-no-hpet"
    assert bench.plan().empty


def test_what_a_restart_brings_along_is_told(bench):
    running(bench)
    bench.write(bench.text().rstrip() + "\n\n[PENDING]\nballoon: 0\n")
    bench.put("  hardware: {name: win, memory: 4096, cores: 4, machine: q35}\n")
    (found,) = [one for one in bench.plan().findings if one.id == "pending-comes-along"]
    assert not found.holds
    assert "balloon" in found.summary


@pytest.mark.parametrize("applied", [True, False])
def test_a_failed_hotplug_is_no_failure_once_the_change_is_pending(bench, monkeypatch, applied):
    running(bench)
    bench.put("  hardware: {name: win, memory: 8192, cores: 4}\n")
    update = client.Pve.update

    def refused(self, *args, **named):
        if applied:
            update(self, *args, **named)
        raise errors.Rejected("400 Parameter verification failed.; memory: hotplug problem - no slot left")

    monkeypatch.setattr(client.Pve, "update", refused)
    if applied:
        bench.apply()
        assert conf.parse(bench.text()).main["memory"] == "8192"
        assert any("left pending by PVE" in line for line in bench.said)
    else:
        with pytest.raises(errors.Rejected, match="no slot left"):
            bench.apply()


def test_a_start_that_fails_ends_the_run_with_what_pve_says(bench, monkeypatch):
    running(bench)
    bench.put("  hardware: {name: win, memory: 4096, cores: 4, machine: q35}\n")
    start = power.start

    def fails(_here, _vmid, log, **_):
        log("kvm: -device vfio-pci: no such host")
        raise power.replies.Refused(500, "start failed: QEMU exited with code 1")

    monkeypatch.setattr(power, "start", fails)
    with pytest.raises(errors.Rejected, match="QEMU exited with code 1"):
        bench.apply()
    assert bench.values()["machine"] == "q35"
    left = bench.plan()
    (found,) = [one for one in left.findings if one.id == "restart-left-stopped"]
    assert "QEMU exited with code 1" in found.summary
    assert (found.holds, left.impact) == (False, model.Impact.GUEST_RESTART)
    with pytest.raises(errors.Rejected, match="QEMU exited with code 1"):
        bench.apply()  # the start fails once more
    monkeypatch.setattr(power, "start", start)
    assert [action.describe() for action in bench.plan().actions] == ["start VM 101"]
    bench.apply()
    assert bench.facts().states[101].status == "running"
    runstate.remove(bench.here.place, 101)
    assert bench.plan().empty  # seen running since: whoever stops it now means it


def test_a_start_that_fails_after_the_restart_tells_why_and_is_not_waited_for(bench):
    bench.give_root()
    running(bench)
    bench.put("  hardware: {name: win, memory: 4096, cores: 4}\n  raw: {args: -device nosuchdevice}\n")
    with pytest.raises(errors.Rejected, match=r"not up again: task qmstart .*nosuchdevice"):
        bench.apply()


def left_off(bench, monkeypatch) -> None:
    """A VM that a restart of ours has left off, since its start failed."""
    running(bench)
    bench.put("  hardware: {name: win, memory: 4096, cores: 4, machine: q35}\n")

    def fails(_here, _vmid, log, **_):
        log("kvm: -device vfio-pci: no such host")
        raise power.replies.Refused(500, "start failed: QEMU exited with code 1")

    with monkeypatch.context() as patched:
        patched.setattr(power, "start", fails)
        with pytest.raises(errors.Rejected):
            bench.apply()
    assert [type(action) for action in bench.plan().actions] == [guest_actions.StartGuest]


def person(bench, kind: str) -> None:
    """As somebody at the node's web page does, to the task's end."""
    work = {"qmstart": power.start, "qmstop": power.stop}[kind]
    upid = bench.here.tasks.start(kind, "101", access.Caller("root@pam"), lambda log: work(bench.here, 101, log))
    assert bench.here.tasks.wait(upid, 30) is not None


@pytest.mark.parametrize("kind", ["qmstart", "qmstop"])
def test_what_a_person_does_with_a_vm_that_was_left_off_ends_it(bench, monkeypatch, kind):
    left_off(bench, monkeypatch)
    person(bench, kind)
    runstate.remove(bench.here.place, 101)  # a guest that ends by itself leaves no task
    plan = bench.plan()
    assert plan.empty
    assert not [one for one in plan.findings if one.id == "restart-left-stopped"]
    assert bench.plan() == plan


def test_an_undo_of_the_run_that_left_it_off_still_offers_the_start(bench, monkeypatch):
    left_off(bench, monkeypatch)
    with daemon.open_service(bench.folder / "state", say=bench.said.append) as service:
        (failed,) = service.runs("pve1")[:1]
    bench.undo(failed.id)
    assert "machine" not in bench.values()
    bench.put("  hardware: {name: win, memory: 4096, cores: 4}\n")
    assert [type(action) for action in bench.plan().actions] == [guest_actions.StartGuest]
    bench.apply()
    assert bench.plan().empty
    assert bench.facts().states[101].status == "running"


@pytest.mark.parametrize(("pending", "says"), [("cores: 8", "4 (pending 8)"), ("delete: cores", "4 (pending removal)")])
def test_a_pending_change_is_said_to_be_taken_back(bench, pending, says):
    running(bench)
    bench.write(f"{bench.text()}\n[PENDING]\n{pending}\n")
    shown = plan_text.text(bench.plan())
    assert f"({says}: what is pending is taken back" in shown
    assert "change VM 101: cores (pending change taken back)" in shown
    bench.apply()
    assert bench.plan().empty
    assert bench.values()["cores"] == "4"
