"""A VM that is held keeps no other waiting: the rest is carried out, and neither repeated nor taken for the whole."""

from __future__ import annotations

import pytest

from patience import settled, until
from transom import errors
from transom.reconcile import backend

BY = {"by": "test"}
_SECOND = """---
apiVersion: transom/v1
kind: VirtualMachine
metadata: {name: vm-two}
spec:
  node: pve1
  hardware: {name: vm-two, memory: MEMORY, cores: 2}
"""
TWO = "VirtualMachine/vm-two"


def two(fleet, memory: int, mode: str) -> backend.Text:
    """Two VMs on one node; they get the ids 100 and 101."""
    text = fleet.documents(mode=mode, memory=memory).text + _SECOND.replace("MEMORY", str(memory))
    return backend.Text("fleet.yaml", text)


def made(new_fleet, mode: str = "observe"):
    fleet = new_fleet()
    keeper = fleet.start()
    asked = keeper.provision([two(fleet, 2048, mode)], approve=True, key="", **BY)
    assert settled(keeper, asked).state == "done", keeper.operation(asked.id)
    return fleet, keeper, fleet.nodes["pve1"]


def lock(node, vmid: int) -> None:
    node.confs[vmid] = f"lock: backup\n{node.confs[vmid]}"


def unlock(node, vmid: int) -> None:
    node.confs[vmid] = node.confs[vmid].replace("lock: backup\n", "")


def look(keeper, node) -> None:
    """At least one whole turn from now on."""
    seen = node.looks
    keeper.scan("pve1", **BY)
    until(lambda: node.looks > seen and not keeper.status()["under_way"])


def memories(node) -> list[str | None]:
    return [node.get(vmid, "memory") for vmid in (100, 101)]


def by_name(node) -> dict[str, int]:
    return {str(node.get(vmid, "name")): vmid for vmid in node.confs}


def test_the_rest_is_carried_out_and_what_is_held_waits_for_a_person(new_fleet):
    fleet, keeper, node = made(new_fleet)
    held = by_name(node)["vm-two"]
    lock(node, held)
    asked = settled(keeper, keeper.provision([two(fleet, 4096, "observe")], approve=True, key="", **BY), "held")
    (share,) = asked.shares
    assert share.run
    assert "vm-locked" in share.reason
    assert node.get(held, "memory") == "2048"
    assert node.get(by_name(node)["vm-pve1"], "memory") == "4096"
    (row,) = keeper.nodes()
    assert row.state == "held"
    runs = len(keeper.runs())
    look(keeper, node)
    look(keeper, node)
    assert (len(keeper.runs()), keeper.nodes()[0].state) == (runs, "held")
    unlock(node, held)
    look(keeper, node)
    waiting = keeper.operation(asked.id).shares[0]
    assert (waiting.state, len(keeper.runs())) == ("waiting", runs)  # what was approved was the other plan
    settled(keeper, keeper.approve(waiting.plan, **BY), "done")
    assert memories(node) == ["4096", "4096"]
    assert keeper.operation(asked.id).state == "done"


def test_an_approval_of_the_rest_is_not_spent_on_the_whole(new_fleet):
    fleet, keeper, node = made(new_fleet)
    held = by_name(node)["vm-two"]
    lock(node, held)
    asked = settled(keeper, keeper.provision([two(fleet, 4096, "observe")], approve=False, key="", **BY))
    hash = asked.shares[0].plan
    shown = keeper.plan(hash)
    assert (asked.state, shown["held"], list(shown["held_documents"])) == ("waiting", False, [TWO])
    unlock(node, held)
    failed = settled(keeper, keeper.approve(hash, **BY))
    assert (failed.state, memories(node)) == ("failed", ["2048", "2048"])
    with pytest.raises(errors.Rejected, match="void"):
        keeper.approve(hash, **BY)


def test_a_policy_keeps_the_others_and_no_breaker_counts_what_is_held(new_fleet):
    _, keeper, node = made(new_fleet, "enforce")
    names = by_name(node)
    held, other = names["vm-two"], names["vm-pve1"]
    lock(node, held)
    node.set(held, memory="512")
    for _ in range(2):
        node.set(other, memory="1024")
        look(keeper, node)
        until(lambda: node.get(other, "memory") == "2048")
        until(lambda: keeper.nodes()[0].state == "held")
    assert node.get(held, "memory") == "512"
    unlock(node, held)
    look(keeper, node)
    until(lambda: node.get(held, "memory") == "2048")  # put right once, not for the third time
    until(lambda: keeper.nodes()[0].state == "as-declared")
    lock(node, held)
    node.set(other, memory="1024")
    look(keeper, node)
    assert node.get(other, "memory") == "1024"
    assert "fighting" in keeper.nodes()[0].reason


def test_a_way_back_takes_back_what_was_done_and_no_more(new_fleet):
    fleet, keeper, node = made(new_fleet)
    held = by_name(node)["vm-two"]
    lock(node, held)
    before = dict(node.confs)
    asked = settled(keeper, keeper.provision([two(fleet, 4096, "observe")], approve=True, key="", **BY), "held")
    run = asked.shares[0].run
    way = keeper.preview_undo(run)
    assert way["held"] is False
    settled(keeper, keeper.undo(run, approved=way["hash"], **BY), "done")
    assert node.confs == before


def test_another_vm_is_let_go_while_one_is_held(new_fleet):
    _, keeper, node = made(new_fleet)
    held = by_name(node)["vm-two"]
    lock(node, held)
    asked = settled(keeper, keeper.release("vm-pve1", **BY), "waiting")
    settled(keeper, keeper.approve(asked.shares[0].plan, **BY), "done", "running", "waiting")
    settled(keeper, asked, "done")
    assert node.get(by_name(node)["vm-pve1"], "tags") is None
    assert node.get(held, "tags") == "transom"


def test_a_run_ends_failed_when_a_vm_is_held_that_was_not_before(new_fleet):
    fleet, keeper, node = made(new_fleet)
    names = by_name(node)
    node.before_update = lambda: lock(node, names["vm-two"]) if "lock" not in node.confs[names["vm-two"]] else None
    asked = settled(keeper, keeper.provision([two(fleet, 4096, "observe")], approve=True, key="", **BY))
    assert asked.state == "failed"


def test_what_was_held_when_the_documents_changed_is_approved_once_and_the_rest_is_kept(new_fleet):
    fleet, keeper, node = made(new_fleet, "enforce")
    names = by_name(node)
    held, other = names["vm-two"], names["vm-pve1"]
    lock(node, held)
    settled(keeper, keeper.provision([two(fleet, 4096, "enforce")], approve=True, key="", **BY), "held")
    node.set(other, memory="1024")
    look(keeper, node)
    until(lambda: node.get(other, "memory") == "4096")  # as its policy says, though the documents are new
    unlock(node, held)
    look(keeper, node)
    until(lambda: keeper.nodes()[0].state == "waiting")
    assert "its part has not been approved" in keeper.nodes()[0].reason
    (waiting,) = [plan for plan in keeper.plans() if plan.state == "waiting"]
    settled(keeper, keeper.approve(waiting.hash, **BY), "done")
    assert memories(node) == ["4096", "4096"]
    node.set(held, memory="1024")
    look(keeper, node)
    until(lambda: node.get(held, "memory") == "4096")
