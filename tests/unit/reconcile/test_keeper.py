"""The keeper on fake nodes: modes, approvals, operations, drift rows, pause."""

from __future__ import annotations

import threading

import pytest

from patience import settled, until
from transom import errors
from transom.reconcile import backend

BY = {"by": "eve"}


@pytest.fixture
def one(new_fleet):
    """A fleet of one node with its VM made, under a keeper."""
    return converged(new_fleet, "observe")


def converged(new_fleet, mode: str, *names: str, **options):
    fleet = new_fleet(*names)
    keeper = fleet.start(**options)
    asked = keeper.provision([fleet.documents(mode=mode)], approve=True, key="", **BY)
    assert settled(keeper, asked).state == "done", keeper.operation(asked.id)
    return fleet, keeper, fleet.nodes[names[0] if names else "pve1"]


def test_provisioning_with_approval_makes_what_is_declared(one):
    _, keeper, node = one
    assert node.get(100, "memory") == "2048"
    assert [(row.name, row.vmid, row.state) for row in keeper.vms()] == [("vm-pve1", 100, "stopped")]
    (row,) = keeper.nodes()
    assert (row.state, row.mode) == ("as-declared", "observe")
    assert keeper.drift() == []
    assert [run["state"] for run in keeper.runs()] == ["applied"]
    assert {plan.state for plan in keeper.plans()} == {"applied"}


def test_without_approval_it_waits_and_one_approval_is_one_run(one):
    fleet, keeper, node = one
    asked = keeper.provision([fleet.documents(memory=4096)], approve=False, key="", **BY)
    waiting = settled(keeper, asked)
    assert waiting.state == "waiting"
    assert node.get(100, "memory") == "2048"
    hash = waiting.shares[0].plan
    approved = keeper.approve(hash, **BY)
    assert settled(keeper, approved, "done").shares[0].run
    assert keeper.operation(asked.id).state == "done"
    assert node.get(100, "memory") == "4096"
    node.set(100, memory="2048")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.nodes()[0].state == "drifted")
    assert node.get(100, "memory") == "2048"
    with pytest.raises(errors.Rejected, match="no plan"):
        keeper.approve("0" * 16, **BY)


def test_an_approval_is_for_one_hash(one):
    fleet, keeper, node = one
    asked = settled(keeper, keeper.provision([fleet.documents(memory=4096)], approve=False, key="", **BY))
    node.set(100, memory="1024")  # another plan than the one that was shown
    late = settled(keeper, keeper.approve(asked.shares[0].plan, **BY))
    assert late.state == "failed"
    assert "look at it again" in late.shares[0].reason
    assert node.get(100, "memory") == "1024"
    until(lambda: keeper.plans(state="void"))
    with pytest.raises(errors.Rejected, match="is void"):
        keeper.approve(asked.shares[0].plan, **BY)


def test_a_rejected_plan_is_not_carried_out_and_its_operation_fails(one):
    fleet, keeper, node = one
    asked = settled(keeper, keeper.provision([fleet.documents(memory=4096)], approve=False, key="", **BY))
    row = keeper.reject(asked.shares[0].plan, "not now", **BY)
    assert row.state == "rejected"
    assert keeper.operation(asked.id).state == "failed"
    assert "not now" in keeper.operation(asked.id).shares[0].reason
    keeper.scan("pve1", **BY)
    until(lambda: keeper.nodes()[0].state == "held")
    assert "rejected by eve" in keeper.nodes()[0].reason
    assert node.get(100, "memory") == "2048"


def test_one_key_is_one_operation(new_fleet):
    fleet = new_fleet()
    keeper = fleet.start()
    text = fleet.documents()
    first = keeper.provision([text], approve=True, key="k", **BY)
    again = keeper.provision([text], approve=True, key="k", **BY)
    assert again.id == first.id
    with pytest.raises(errors.Rejected, match="other content"):
        keeper.provision([fleet.documents(memory=1024)], approve=True, key="k", **BY)
    settled(keeper, first)
    assert keeper.provision([text], approve=True, key="k", **BY).id == first.id
    assert keeper.provision([text], approve=True, key="k", by="adam").id != first.id


def test_operations_and_their_keys_survive_a_restart(new_fleet):
    fleet = new_fleet()
    keeper = fleet.open()  # never started: killed right after it answered
    asked = keeper.provision([fleet.documents()], approve=True, key="k", **BY)
    assert asked.state == "running"
    fleet.stop()
    keeper = fleet.start()
    assert settled(keeper, asked, "done").shares[0].run
    assert keeper.provision([fleet.documents()], approve=True, key="k", **BY).id == asked.id
    assert len(keeper.runs()) == 1


def test_enforce_puts_right_what_drifts_and_asks_for_what_is_new(new_fleet):
    fleet, keeper, node = converged(new_fleet, "enforce")
    node.set(100, memory="512")
    keeper.scan("", **BY)
    until(lambda: node.get(100, "memory") == "2048")
    until(lambda: keeper.nodes()[0].state == "as-declared")
    assert keeper.runs()[0]["kind"] == "enforce"
    asked = keeper.provision([fleet.documents(mode="enforce", memory=4096)], approve=False, key="", **BY)
    assert settled(keeper, asked).state == "waiting"
    assert "documents have changed" in keeper.nodes()[0].reason


def test_the_third_time_within_a_day_is_held_until_somebody_says_so(new_fleet):
    _, keeper, node = converged(new_fleet, "enforce")
    for _ in range(2):
        node.set(100, memory="512")
        keeper.scan("pve1", **BY)
        until(lambda: node.get(100, "memory") == "2048")
        until(lambda: keeper.nodes()[0].state == "as-declared")
    node.set(100, memory="512")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.nodes()[0].state == "held")
    (row,) = keeper.drift()
    assert (row.state, row.reason) == ("held", keeper.nodes()[0].reason)
    assert "fighting: put right 2 times" in row.reason
    assert "`transom resume`" in row.reason
    assert node.get(100, "memory") == "512"
    keeper.resume(**BY)
    until(lambda: node.get(100, "memory") == "2048")


def test_drift_appears_once_and_goes_once(one):
    fleet, keeper, node = one
    node.set(100, memory="512")
    for _ in range(3):
        looks = node.looks
        keeper.scan("pve1", **BY)
        until(lambda looks=looks: node.looks > looks and not keeper.status()["under_way"])
    (row,) = keeper.drift("pve1")
    assert (row.kind, row.key, row.detail["observed"]) == ("drift", "qemu/100/memory", "512")
    assert row.seen > row.since
    node.set(100, memory="2048")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.drift() == [])
    fleet.stop()
    told = [event for event in keeper.events() if event and event.data.get("key") == "qemu/100/memory"]
    assert [event.kind for event in told] == ["drift.appeared", "drift.gone"]


@pytest.mark.parametrize(
    ("field", "error", "key"),
    [
        ("broken", errors.Unreachable("no route"), "node-unreachable pve1"),
        ("broken", errors.Denied("host key"), "node-unreachable pve1"),
        ("denied", errors.Denied("401 invalid token"), "api-unreadable node pve1"),
    ],
)
def test_what_cannot_be_asked_is_a_row_and_not_an_exception(one, field, error, key):
    _, keeper, node = one
    setattr(node, field, error)
    keeper.scan("pve1", **BY)
    until(lambda: key in [row.key for row in keeper.drift()])
    until(lambda: keeper.nodes()[0].state in ("unreachable", "held"))
    setattr(node, field, None)
    keeper.scan("pve1", **BY)
    until(lambda: keeper.drift() == [])
    until(lambda: keeper.nodes()[0].state == "as-declared")


def test_an_upgrade_is_a_row_until_the_next_look_that_finds_all_well(one):
    _, keeper, node = one
    node.packages["pve-qemu-kvm"] = "9.2.0-5"
    keeper.scan("pve1", **BY)
    until(lambda: keeper.drift())
    assert "pve-qemu-kvm was 9.0.2-4 and is 9.2.0-5" in keeper.drift()[0].detail["summary"]
    keeper.scan("pve1", **BY)
    until(lambda: not keeper.drift())


def test_paused_nothing_begins_and_what_is_under_way_finishes(new_fleet):
    _, keeper, node = converged(new_fleet, "enforce")
    paused = []

    def pause_now() -> None:
        keeper.pause("maintenance", **BY)
        paused.append(True)

    node.before_update = pause_now
    node.set(100, memory="512")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.runs()[0]["kind"] == "enforce" and keeper.runs()[0]["state"] == "applied")
    assert paused
    assert node.get(100, "memory") == "2048"
    node.before_update = None
    node.set(100, memory="512")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.nodes()[0].state == "held")
    assert "paused" in keeper.nodes()[0].reason
    assert node.get(100, "memory") == "512"
    assert keeper.status()["paused"]["reason"] == "maintenance"
    keeper.resume(**BY)
    until(lambda: node.get(100, "memory") == "2048")
    assert keeper.status()["paused"] is None


def test_a_share_of_the_fleet_that_differs_at_once_holds_all(new_fleet):
    names = ("pve1", "pve2", "pve3", "pve4")
    fleet = new_fleet(*names)
    keeper = fleet.start(settle=60)
    asked = keeper.provision([fleet.documents(mode="enforce", percent=50)], approve=True, key="", **BY)
    assert settled(keeper, asked).state == "done"
    for name in names[:3]:
        fleet.nodes[name].set(100, memory="512")
    keeper.scan("pve1", **BY)  # one look; the others are rung because it newly differs
    until(lambda: keeper.status()["fleet_drift"] == list(names[:3]))
    until(lambda: keeper.status()["nodes"].get("held") == 3)
    assert [fleet.nodes[name].get(100, "memory") for name in names[:3]] == ["512"] * 3
    keeper.resume(**BY)
    until(lambda: all(fleet.nodes[name].get(100, "memory") == "2048" for name in names))


def test_a_failed_run_is_told_and_not_repeated_unasked(new_fleet):
    _, keeper, node = converged(new_fleet, "enforce")

    def refuse() -> None:
        raise errors.Rejected("parameter verification failed")

    node.before_update = refuse
    node.set(100, memory="512")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.plans(state="failed"))
    keeper.scan("pve1", **BY)
    until(lambda: keeper.nodes()[0].state == "waiting")
    assert "approve it to try again" in keeper.nodes()[0].reason
    assert [run["state"] for run in keeper.runs() if run["kind"] == "enforce"] == ["failed"]
    node.before_update = None
    again = keeper.approve(keeper.plans(state="failed")[0].hash, **BY)
    assert settled(keeper, again, "done", "failed").state == "done"
    assert node.get(100, "memory") == "2048"


def test_documents_that_do_not_fit_store_nothing(new_fleet):
    fleet = new_fleet()
    keeper = fleet.start()
    text = fleet.documents()
    with pytest.raises(errors.SpecError):
        keeper.provision(
            [type(text)("x.yaml", text.text.replace("cluster: home", "cluster: hom"))], approve=True, key="", **BY
        )
    assert keeper.documents() == []
    with pytest.raises(errors.SpecError, match="relative path"):
        keeper.provision([type(text)("x.yaml", text.text.replace("/nowhere/key", "key"))], approve=True, key="", **BY)
    for call in (keeper.operation, keeper.run, keeper.plan, keeper.facts):
        with pytest.raises(errors.Rejected):
            call("nothing")


def test_preview_changes_and_stores_nothing(one):
    fleet, keeper, node = one
    (found,) = keeper.preview([fleet.documents(memory=4096)])
    plan = found.plan
    assert not plan["empty"]
    (unchanged,) = keeper.preview([])
    assert unchanged.plan["empty"]
    for call in (keeper.plan, lambda hash: keeper.approve(hash, **BY)):
        with pytest.raises(errors.Rejected):
            call(plan["hash"])  # of documents that nobody stored
    assert node.get(100, "memory") == "2048"


def test_a_node_that_is_away_hides_no_other_from_a_preview(new_fleet):
    fleet, keeper, node = converged(new_fleet, "observe", "pve1", "pve2")
    node.broken = errors.Unreachable("no route")
    away, there = keeper.preview([fleet.documents(memory=4096)])
    assert (away.node, str(away.error), away.plan) == ("pve1", "no route", {})
    assert (there.node, there.error, there.plan["empty"]) == ("pve2", None, False)
    with pytest.raises(errors.Rejected, match="pve3"):
        keeper.preview([], "pve3")


def test_who_approves_in_the_middle_of_a_turn_gets_its_run(one):
    fleet, keeper, node = one
    asked = settled(keeper, keeper.provision([fleet.documents(memory=4096)], approve=False, key="", **BY))
    looks, node.hangs = node.looks, threading.Event()
    keeper.scan("pve1", **BY)
    until(lambda: keeper.status()["under_way"])
    hanging, node.hangs = node.hangs, None
    approved = keeper.approve(asked.shares[0].plan, **BY)  # the turn that carries it out has begun already
    hanging.set()
    done = settled(keeper, approved)
    assert node.looks > looks
    assert (done.state, done.shares[0].run) == ("done", keeper.runs()[0]["id"])


def test_who_approves_in_the_middle_of_a_turn_hears_that_it_failed(one):
    fleet, keeper, node = one
    asked = settled(keeper, keeper.provision([fleet.documents(memory=4096)], approve=False, key="", **BY))

    def refuse() -> None:
        raise errors.Rejected("parameter verification failed")

    node.before_update, node.hangs = refuse, threading.Event()
    keeper.scan("pve1", **BY)
    until(lambda: keeper.status()["under_way"])
    hanging, node.hangs = node.hangs, None
    approved = keeper.approve(asked.shares[0].plan, **BY)
    hanging.set()
    failed = settled(keeper, approved)
    assert (failed.state, failed.shares[0].run) == ("failed", keeper.runs()[0]["id"])


_POLICY = """apiVersion: transom/v1
kind: Policy
metadata: {name: other}
spec: {mode: obey}
"""


def test_mistakes_come_with_their_places_and_all_at_once(new_fleet):
    fleet = new_fleet("pve1", "pve2")
    keeper = fleet.start()
    text = fleet.documents().text.replace("mode: observe", "mode: obey").replace("node: pve2", "node: pve3")
    other = backend.Text("other.yaml", _POLICY)
    with pytest.raises(errors.SpecError) as caught:
        keeper.provision([backend.Text("fleet.yaml", text), other], approve=False, key="", **BY)
    rows = {(row.file, row.path): row.line for row in caught.value.rows}
    lines = text.splitlines()
    assert "obey" in lines[rows["fleet.yaml", "spec.mode"] - 1]
    assert "pve3" in lines[rows["fleet.yaml", "spec.node"] - 1]
    assert rows["other.yaml", "spec.mode"] == 4
    relative = fleet.documents().text.replace("/nowhere/key", "key")
    with pytest.raises(errors.SpecError) as caught:
        keeper.provision([backend.Text("fleet.yaml", relative)], approve=False, key="", **BY)
    (row,) = caught.value.rows
    assert (row.path, "key" in relative.splitlines()[row.line - 1]) == ("spec.ssh.key.file", True)
    assert keeper.documents() == []


def test_ready_says_what_is_not(new_fleet):
    fleet = new_fleet()
    keeper = fleet.open()
    assert keeper.ready()["scheduler"] != "ok"
    keeper.start()
    assert keeper.ready() == {"store": "ok", "scheduler": "ok", "documents": "ok"}
    keeper.close()
    assert keeper.ready()["scheduler"] != "ok"


def test_an_approval_stands_until_everything_could_be_read(new_fleet):
    fleet = new_fleet()
    keeper = fleet.start()
    node = fleet.nodes["pve1"]
    node.denied = errors.Unreachable("the API is not up yet")
    asked = settled(keeper, keeper.provision([fleet.documents()], approve=True, key="", **BY))
    assert asked.state == "held"
    node.denied = None
    keeper.scan("pve1", **BY)
    assert settled(keeper, asked, "done").shares[0].run
