"""What else happens to VMs: they move to other nodes, HA has them, a policy puts them right. By the API alone."""

from __future__ import annotations

import dataclasses

import pytest

from patience import until
from transom import daemon, errors
from transom.lab.pve import install, server, status, world
from transom.pve import client
from transom.reconcile import backend, settings_file


@pytest.fixture
def pair(tmp_path, bench_of):
    """``pve1`` of a cluster of two; the other one's files beside it."""
    state = world.lab_world(cluster=("pve1", "pve2"))
    (tmp_path / "token").write_text(state.credentials()["tokens"]["transom@pve!transom"])
    there = install.install(state, tmp_path / "other", "pve2")
    served = server.serve(state, tmp_path / "node", 0, node="pve1", roots={"pve2": tmp_path / "other"})
    yield bench_of(tmp_path, served), there
    served.close()


def test_a_vm_that_has_moved_is_told_and_not_made_again(pair):
    bench, there = pair
    bench.put()
    bench.apply()
    moved = there.path("etc/pve/qemu-server/101.conf")
    moved.write_text(bench.text())
    (bench.confs / "101.conf").unlink()
    plan = bench.plan()
    (found,) = [one for one in plan.findings if one.id == "vm-elsewhere"]
    assert "is on pve2" in found.summary
    assert not plan.actions


def test_a_vm_that_ha_is_moving_is_left_alone_until_it_rests(bench, monkeypatch):
    bench.put()
    bench.apply()
    rows, states = status.resource_rows, ["migrate"]
    monkeypatch.setattr(status, "resource_rows", lambda *args: [{**row, "hastate": states[0]} for row in rows(*args)])
    bench.set(memory="512")
    assert [one.id for one in bench.plan().findings if one.holds] == ["ha-under-way"]
    states[0] = "started"
    bench.apply()
    assert bench.values()["memory"] == "4096"


def test_the_qemu_that_runs_is_told_from_the_one_that_is_installed(bench, monkeypatch):
    bench.put()
    bench.apply()
    bench.start()
    row = status.vm_row
    monkeypatch.setattr(status, "vm_row", lambda *args: row(*args) | {"running-qemu": "9.0.2"})
    (found,) = [one for one in bench.plan().findings if one.id == "qemu-outdated"]
    assert "9.0.2, and 10.1.2-1" in found.summary


def test_a_vm_is_made_though_the_rest_of_the_cluster_cannot_be_seen(bench, monkeypatch):
    def refused(_self):
        raise errors.Rejected("no statistics yet")

    monkeypatch.setattr(client.Pve, "everywhere", refused)
    bench.put()
    bench.apply()
    assert bench.plan().empty


def test_the_daemon_keeps_such_a_node_by_its_policy(bench):
    policy = """---
apiVersion: transom/v1
kind: Policy
metadata: {name: all}
spec: {mode: enforce, limits: {fleet_drift_percent: 100}}
"""
    bench.put(more=policy)
    options = dataclasses.replace(settings_file.load(bench.folder / "state"), scan_jitter=0, settle=0)
    with daemon.open_keeper(bench.folder / "state", options) as keeper:
        text = backend.Text("fleet.yaml", (bench.folder / "fleet.yaml").read_text())
        asked = keeper.provision([text], approve=True, key="", by="eve")
        until(lambda: keeper.operation(asked.id).state in {"done", "failed", "held"})
        assert keeper.operation(asked.id).state == "done"
        bench.set(memory="512")
        keeper.scan("pve1", by="eve")
        until(lambda: bench.values()["memory"] == "4096")
        until(lambda: keeper.nodes()[0].state == "as-declared")
        assert keeper.drift() == []
