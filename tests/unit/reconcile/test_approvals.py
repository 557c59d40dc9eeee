"""The life of an approval: what it is good for, what spends it, and that a person's word counts at every moment."""

from __future__ import annotations

import collections
import itertools
import threading

import pytest

from patience import settled, until
from transom import errors
from transom.plan import guest_actions, policy, result
from transom.reconcile import backend, desk, hub, job
from transom.store import records, store

BY = {"by": "eve"}
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
"""Runs are killed here."""


def converged(new_fleet, mode: str, **options):
    fleet = new_fleet()
    keeper = fleet.start(**options)
    asked = keeper.provision([fleet.documents(mode=mode)], approve=True, key="", **BY)
    assert settled(keeper, asked).state == "done", keeper.operation(asked.id)
    return fleet, keeper, fleet.nodes["pve1"]


def look(keeper) -> None:
    """Have a turn, and see its end."""
    seen = keeper.nodes()[0].observed_at
    keeper.scan("", **BY)
    until(lambda: keeper.nodes()[0].observed_at != seen)
    quiet(keeper)


def quiet(keeper) -> None:
    until(lambda: not keeper.status()["under_way"])


def kinds(keeper) -> list[tuple[str, str]]:
    """Of the runs, newest first."""
    return [(run["kind"], run["state"]) for run in keeper.runs()]


def approved(fleet, keeper, memory: int = 4096, mode: str = "observe") -> backend.Operation:
    """A change of the documents, shown and approved."""
    text = fleet.documents(mode=mode, memory=memory)
    asked = settled(keeper, keeper.provision([text], approve=False, key="", **BY))
    return keeper.approve(asked.shares[0].plan, **BY)


def die() -> None:
    """As kill -9 does: nothing is caught, and nothing more is written down."""
    raise SystemExit


def dies_after(node):
    """The change is made, and everything ends before that is written down."""

    def change() -> None:
        node.broken = SystemExit()

    return change


def restarted(fleet, node):
    seen = fleet.keepers[-1][0].nodes()[0].observed_at if fleet.keepers else None
    fleet.stop()
    node.broken = node.before_update = None
    keeper = fleet.start()
    until(lambda: keeper.nodes()[0].observed_at not in (None, seen))
    quiet(keeper)
    return keeper


# --- after a run that was cut off ------------------------------------------------------------------------------------


def test_when_all_was_done_the_approval_is_spent(new_fleet):
    fleet, keeper, node = converged(new_fleet, "observe")
    node.before_update = dies_after(node)
    asked = approved(fleet, keeper)
    until(lambda: kinds(keeper)[0][1] == "running" and not keeper.status()["under_way"])
    keeper = restarted(fleet, node)
    settled(keeper, asked, "done")
    assert (keeper.nodes()[0].state, kinds(keeper)[0]) == ("as-declared", ("apply", "interrupted"))
    assert {plan.state for plan in keeper.plans()} == {"applied"}
    node.set(100, memory="512")  # what drifts a month later is not in the approval
    look(keeper)
    look(keeper)
    assert (keeper.nodes()[0].state, node.get(100, "memory")) == ("drifted", "512")
    assert len(keeper.runs()) == 2


def test_what_is_left_is_gone_on_with(new_fleet):
    fleet, keeper, node = converged(new_fleet, "observe")
    node.before_update = die
    asked = approved(fleet, keeper)
    until(lambda: kinds(keeper)[0][1] == "running" and not keeper.status()["under_way"])
    node.set(100, onboot="1")  # so that the rest is another plan, of the same steps
    keeper = restarted(fleet, node)
    done = settled(keeper, asked, "done")
    assert (node.get(100, "memory"), kinds(keeper)[:2]) == ("4096", [("apply", "applied"), ("apply", "interrupted")])
    assert done.shares[0].run == keeper.runs()[0]["id"]
    assert sorted(plan.state for plan in keeper.plans()) == ["applied", "applied", "void"]


def test_another_plan_ends_it_for_good(new_fleet):
    fleet, keeper, node = converged(new_fleet, "observe")
    node.before_update = die
    approved(fleet, keeper)
    until(lambda: kinds(keeper)[0][1] == "running" and not keeper.status()["under_way"])
    node.set(100, cores="1")
    keeper = restarted(fleet, node)
    node.set(100, cores="2")  # now only approved steps are left, but too late
    look(keeper)
    assert (node.get(100, "memory"), kinds(keeper)[0]) == ("2048", ("apply", "interrupted"))
    assert "approved" not in {plan.state for plan in keeper.plans()}


def test_while_not_everything_can_be_read_it_waits(new_fleet):
    fleet, keeper, node = converged(new_fleet, "observe")
    node.before_update = die
    asked = approved(fleet, keeper)
    until(lambda: kinds(keeper)[0][1] == "running" and not keeper.status()["under_way"])
    node.denied = errors.Unreachable("the API is not up yet")
    keeper = restarted(fleet, node)
    assert node.get(100, "memory") == "2048"
    node.denied = None
    keeper.scan("", **BY)
    assert settled(keeper, asked, "done", "failed").state == "done"
    assert node.get(100, "memory") == "4096"


def test_a_rejection_ends_it(new_fleet):
    fleet, keeper, node = converged(new_fleet, "observe")
    node.before_update = die
    asked = approved(fleet, keeper)
    hash = settled(keeper, asked, "running").shares[0].plan
    until(lambda: kinds(keeper)[0][1] == "running" and not keeper.status()["under_way"])
    fleet.stop()
    node.broken = errors.Unreachable("down")
    keeper = fleet.start()
    assert keeper.reject(hash, "no!", **BY).state == "rejected"
    assert keeper.operation(asked.id).state == "failed"
    node.set(100, onboot="1")  # the rest is not the plan that was rejected, but what it stood for
    keeper = restarted(fleet, node)
    assert (node.get(100, "memory"), kinds(keeper)[0]) == ("2048", ("apply", "interrupted"))


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_what_cuts_off_every_run_is_given_up(new_fleet, mode):
    fleet, keeper, node = converged(new_fleet, mode)
    node.before_update = die
    if mode == "observe":
        asked = approved(fleet, keeper)
        until(lambda: len(keeper.runs()) == 2)
    else:
        node.set(100, memory="512")
    for _ in range(6):
        look(keeper)
    assert collections.Counter(state for _, state in kinds(keeper)) == {"applied": 1, "interrupted": 3}
    if mode == "observe":
        assert "look what cuts them off" in keeper.operation(asked.id).shares[0].reason
        assert keeper.operation(asked.id).state == "failed"
    else:
        assert "cut off" in keeper.nodes()[0].reason


# --- mistakes of ours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_a_mistake_in_transom_ends_its_run_and_is_not_repeated(new_fleet, mode):
    fleet, keeper, node = converged(new_fleet, mode)

    def mistake() -> None:
        raise KeyError("hunter2")

    node.before_update = mistake
    if mode == "observe":
        asked = settled(keeper, approved(fleet, keeper))
        assert (asked.state, asked.shares[0].run) == ("failed", keeper.runs()[0]["id"])
    else:
        node.set(100, memory="512")
    for _ in range(3):
        look(keeper)
    assert [state for _, state in kinds(keeper)] == ["failed", "applied"]
    assert "a mistake in Transom: KeyError at test_approvals.py:" in keeper.runs()[0]["error"]
    assert "hunter2" not in str(keeper.run(keeper.runs()[0]["id"]))
    assert len(keeper.plans(state="failed")) == 1


def test_a_turn_that_comes_to_no_decision_says_so(new_fleet, monkeypatch):
    fleet, keeper, node = converged(new_fleet, "observe")
    node.set(100, memory="512")

    def mistake(*_):
        raise KeyError("x")

    monkeypatch.setattr(policy, "decide", mistake)
    asked = keeper.provision([fleet.documents(memory=4096)], approve=False, key="", **BY)
    until(lambda: keeper.nodes()[0].state == "unknown")
    assert "a mistake in Transom: KeyError" in keeper.nodes()[0].reason
    until(lambda: "a mistake in Transom: KeyError" in keeper.operation(asked.id).shares[0].reason)


# --- whose plan it is ------------------------------------------------------------------------------------------------


def test_an_approval_is_of_the_documents_that_came_with_it(new_fleet):
    fleet, keeper, node = converged(new_fleet, "observe")
    node.broken = errors.Unreachable("down")
    first = keeper.provision([fleet.documents(memory=4096)], approve=True, key="", by="boss")
    keeper.provision([fleet.documents(memory=512)], approve=False, key="", by="operator")
    node.broken = None
    keeper.scan("", **BY)
    waiting = settled(keeper, first, "waiting")
    assert "not those any more" in waiting.shares[0].reason
    look(keeper)
    assert (node.get(100, "memory"), len(keeper.runs())) == ("2048", 1)
    last = keeper.provision([fleet.documents(memory=512)], approve=True, key="", by="boss")
    assert settled(keeper, last, "done").shares[0].run
    assert (keeper.operation(first.id).state, node.get(100, "memory")) == ("done", "512")


_SECOND = """---
apiVersion: transom/v1
kind: VirtualMachine
metadata: {name: vm-two}
spec:
  node: pve1
  hardware: {name: vm-two, memory: MEMORY, cores: 2}
"""


def test_the_rest_of_an_approved_run_that_failed_waits_also_under_enforce(new_fleet):
    fleet = new_fleet()
    keeper, node = fleet.start(), fleet.nodes["pve1"]

    def two(memory: int) -> backend.Text:
        text = fleet.documents(mode="enforce", memory=memory).text + _SECOND.replace("MEMORY", str(memory))
        return backend.Text("fleet.yaml", text)

    settled(keeper, keeper.provision([two(2048)], approve=True, key="", **BY), "done")
    times = itertools.count(1)

    def second() -> None:
        if next(times) == 2:
            raise errors.Rejected("refused once")

    node.before_update = second
    shown = settled(keeper, keeper.provision([two(4096)], approve=False, key="", **BY), "waiting")
    failed = settled(keeper, keeper.approve(shown.shares[0].plan, **BY), "done", "failed")
    assert failed.state == "failed"
    look(keeper)
    assert sorted(node.get(vmid, "memory") for vmid in node.confs) == ["2048", "4096"]
    assert keeper.nodes()[0].state == "waiting"


def test_what_was_undone_without_a_daemon_is_not_put_there_again(new_fleet):
    fleet, keeper, node = converged(new_fleet, "enforce")
    settled(keeper, approved(fleet, keeper, mode="enforce"), "done")
    fleet.stop()
    kept = store.open_store(fleet.folder / "state")
    (wish,) = fleet.open()._papers.all()
    with fleet.reach(wish) as world:
        one, run = job.Job(wish, world, kept), kept.runs("pve1")[0]
        one.undo(run, one.propose_undo(run).hash)
    kept.close()
    keeper = restarted(fleet, node)
    look(keeper)
    assert (node.get(100, "memory"), keeper.nodes()[0].state) == ("2048", "waiting")


# --- in between ------------------------------------------------------------------------------------------------------


def at_second_look(node, do) -> None:
    """The turn has decided and looks once more before it begins."""
    begun = node.looks

    def looked() -> None:
        if node.looks == begun + 2:
            node.on_look = None
            do()

    node.on_look = looked


def test_a_pause_that_was_answered_lets_nothing_begin(new_fleet):
    _, keeper, node = converged(new_fleet, "enforce")
    node.set(100, memory="512")
    at_second_look(node, lambda: keeper.pause("stop", **BY))
    keeper.scan("", **BY)
    until(lambda: keeper.nodes()[0].state == "held")
    assert (len(keeper.runs()), node.get(100, "memory")) == (1, "512")
    keeper.resume(**BY)
    until(lambda: node.get(100, "memory") == "2048")


def test_a_pause_that_was_answered_lets_no_release_begin(new_fleet):
    _, keeper, node = converged(new_fleet, "observe")
    asked = settled(keeper, keeper.release("vm-pve1", **BY), "waiting")
    at_second_look(node, lambda: keeper.pause("stop", **BY))
    keeper.approve(asked.shares[0].plan, **BY)
    assert "paused" in settled(keeper, asked, "held", "done", "failed").shares[0].reason
    assert (len(keeper.runs()), node.get(100, "tags")) == (1, "transom")
    keeper.resume(**BY)
    assert settled(keeper, asked, "done", "failed").state == "done"


def test_a_rejection_counts_until_the_run_begins(new_fleet):
    fleet, keeper, node = converged(new_fleet, "observe")
    asked = settled(keeper, keeper.provision([fleet.documents(memory=4096)], approve=False, key="", **BY))
    hash = asked.shares[0].plan
    at_second_look(node, lambda: keeper.reject(hash, "never", **BY))
    assert settled(keeper, keeper.approve(hash, **BY)).state == "failed"
    until(lambda: keeper.nodes()[0].state == "held")
    assert (len(keeper.runs()), node.get(100, "memory")) == (1, "2048")
    assert [plan.state for plan in keeper.plans() if plan.hash == hash] == ["rejected"]


@pytest.fixture
def table(tmp_path):
    """A desk whose clock does what ``then`` says when it is asked for the time."""
    kept = store.open_store(tmp_path)
    then = []
    table = desk.Desk(kept, hub.Hub(lambda: 0.0), lambda: [1.0, *(then.pop()() for _ in then[:1])][0])
    yield table, kept, then
    kept.close()


def planned(kept) -> result.Plan:
    plan = result.Plan("pve1", "d", actions=(guest_actions.RestartGuest(7, ("memory",)),))
    kept.put_plan(plan.hash, "pve1", {}, 0.0)
    return plan


def test_a_rejection_in_the_middle_of_a_look_is_not_lost(table):
    table, kept, then = table
    plan = planned(kept)
    table.note(plan, "apply", records.WAITING, "it waits")
    then.append(lambda: table.reject(plan.hash, "never", "eve"))
    table.note(plan, "apply", records.PROPOSED, "enforce puts it right")
    assert kept.proposals.get(plan.hash).state == records.REJECTED
    table.end(plan.hash, records.VOID, "what was found has changed since")
    assert kept.proposals.get(plan.hash).state == records.REJECTED


def test_an_approval_in_the_middle_of_a_look_is_not_lost(table):
    table, kept, then = table
    plan = planned(kept)
    table.note(plan, "apply", records.WAITING, "it waits")
    then.append(lambda: table.approve(plan, "apply", "eve", "approved by eve"))
    table.note(plan, "apply", records.PROPOSED, "observe reports it")
    assert table.approval(plan.hash).approved_by == "eve"


def test_of_two_words_at_once_one_is_refused(table):
    table, kept, _ = table
    plan = planned(kept)
    table.note(plan, "apply", records.WAITING, "it waits")
    start, heard = threading.Barrier(2), []

    def say(word) -> None:
        start.wait()
        try:
            word()
            heard.append("yes")
        except errors.Rejected:
            heard.append("no")

    words = (
        lambda: table.approve_for(plan, "ann", operation=None, shares=()),
        lambda: table.approve_for(plan, "ben", operation=None, shares=()),
    )
    threads = [threading.Thread(target=say, args=(word,)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == ["no", "yes"]


# --- the lease -------------------------------------------------------------------------------------------------------


def test_a_lease_that_cannot_be_renewed_holds_and_is_told(new_fleet):
    fleet, keeper, node = converged(new_fleet, "enforce")
    fleet.clock.ahead += 1000
    node.full = True
    node.set(100, memory="512")
    asked = keeper.provision([fleet.documents(mode="enforce", memory=4096)], approve=True, key="", **BY)
    held = settled(keeper, asked, "held")
    assert "No space left" in held.shares[0].reason
    assert (keeper.nodes()[0].state, node.get(100, "memory")) == ("held", "512")
    assert {"lease-not-renewed /var/lib/transom/lease.json", "drift"} <= {
        row.key if row.kind == "finding" else row.kind for row in keeper.drift()
    }
    node.full = False
    keeper.scan("", **BY)
    assert settled(keeper, asked, "done", "failed").state == "done"


@pytest.mark.parametrize("kind", ["apply", "release"])
def test_our_own_renewal_is_no_reason_against_our_run(new_fleet, caplog, kind):
    fleet, keeper, node = converged(new_fleet, "observe")
    if kind == "apply":
        node.set(100, memory="512")
        look(keeper)
        (row,) = keeper.plans(state="proposed")
    else:
        settled(keeper, keeper.release("vm-pve1", **BY), "waiting")
        (row,) = keeper.plans(state="waiting")
    fleet.clock.ahead += 1000
    keeper.approve(row.hash, **BY)
    until(lambda: len(keeper.runs()) == 2 and keeper.runs()[0]["state"] == "applied")
    quiet(keeper)
    assert [record.getMessage() for record in caplog.records] == []


# --- rejections ------------------------------------------------------------------------------------------------------


def rejected(new_fleet, mode: str = "observe") -> tuple[object, object, object, str]:
    """A fleet whose one node waits with a plan that somebody has rejected."""
    fleet, keeper, node = converged(new_fleet, mode)
    text = fleet.documents(mode=mode, memory=4096)
    asked = settled(keeper, keeper.provision([text], approve=False, key="", **BY))
    hash = asked.shares[0].plan
    keeper.reject(hash, "not on a Friday", by="mallory")
    return fleet, keeper, node, hash


def test_a_rejected_plan_stays_so_when_documents_are_approved_again(new_fleet):
    _, keeper, node, hash = rejected(new_fleet)
    again = settled(keeper, keeper.provision([], approve=True, key="", **BY))
    (share,) = again.shares
    assert (again.state, share.plan, node.get(100, "memory")) == ("held", hash, "2048")
    assert share.reason.startswith("rejected by mallory: not on a Friday")
    assert f"transom approve {hash}" in keeper.nodes()[0].reason
    assert [plan.state for plan in keeper.plans() if plan.hash == hash] == ["rejected"]


def test_who_names_a_rejected_plan_takes_the_rejection_back(new_fleet):
    _, keeper, node, hash = rejected(new_fleet)
    asked = keeper.approve(hash, **BY)
    assert settled(keeper, asked).state == "done"
    assert node.get(100, "memory") == "4096"
    with pytest.raises(errors.Rejected, match="applied already"):
        keeper.reject(hash, "too late", **BY)


def test_a_deletion_that_was_rejected_waits_for_its_plan_to_be_named(new_fleet):
    _, keeper, node = converged(new_fleet, "observe")
    asked = settled(keeper, keeper.release("vm-pve1", **BY))
    hash = asked.shares[0].plan
    keeper.reject(hash, "no", by="mallory")
    with pytest.raises(errors.Rejected, match="of a release that has ended"):
        keeper.approve(hash, **BY)
    again = settled(keeper, keeper.release("vm-pve1", **BY))
    assert (again.state, again.shares[0].plan) == ("held", hash)
    assert again.shares[0].reason.startswith("rejected by mallory: no")
    keeper.approve(hash, **BY)
    assert settled(keeper, again, "done").shares[0].run
    assert node.get(100, "tags") is None
