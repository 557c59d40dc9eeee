"""Declared, persisted, effective: what is pending, who put it there, and what a restart makes of it. By the API alone."""

from __future__ import annotations

import pytest

from transom import errors, model
from transom.guest import conf
from transom.lab.pve import power


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


def test_a_start_that_fails_ends_the_run_with_what_pve_says(bench, monkeypatch):
    running(bench)
    bench.put("  hardware: {name: win, memory: 4096, cores: 4, machine: q35}\n")
    start = power.start

    def fails(here, vmid, log, *, skiplock=False):
        log("kvm: -device vfio-pci: no such host")
        raise power.replies.Refused(500, "start failed: QEMU exited with code 1")

    monkeypatch.setattr(power, "start", fails)
    with pytest.raises(errors.Rejected, match="QEMU exited with code 1"):
        bench.apply()
    assert bench.values()["machine"] == "q35"
    monkeypatch.setattr(power, "start", start)
    assert bench.plan().empty  # it is stopped, and as declared
