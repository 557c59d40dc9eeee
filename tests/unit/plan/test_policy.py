"""What a policy lets happen: each mode by table, the breakers, and the law that nothing is carried out against a reason."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from transom import model, resources
from transom.plan import actions as acts
from transom.plan import guest_actions, policy, result, windows
from transom.spec import loader, resolve, wish

NOW = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
DOCUMENTS = "d" * 64
NIGHT = wish.Window("0 2 * * *", "3h", "Europe/Berlin")
NOON = wish.Window("0 12 * * *", "3h", "UTC")
STEP = acts.RunStep(model.Step.INITRAMFS, "stale")
CALM = policy.State(fleet=policy.FleetScan(nodes=10), accepted=DOCUMENTS)


def drift(path: str = "host/modules/vfio", impact: model.Impact = model.Impact.LIVE) -> model.Drift:
    return model.Drift(path, "vfio", None, model.Level.PERSISTED, impact, "Node/pve1")


def planned(**changes: Any) -> result.Plan:
    base = result.Plan(node="pve1", documents=DOCUMENTS, drifts=(drift(),), actions=(STEP,))
    return dataclasses.replace(base, **changes)


def costing(impact: model.Impact) -> result.Plan:
    return planned(drifts=(drift(impact=impact), drift("host/modules/b")))


def ruled(mode: Any, *rules: wish.Window, impact: model.Impact = model.Impact.LIVE) -> wish.PolicyWish:
    return wish.PolicyWish(mode, "Policy/home", rules, wish.Limits(impact))


FINDING = model.Finding(
    "cannot-read", "grub", "grub could not be read", "make it readable", model.Who.REPORT, holds=True
)
HELD = planned(actions=(), findings=(FINDING,), gates=(result.Gate("cannot-read", False, "cannot-read: grub"),))
GATED = planned(actions=(), gates=(result.Gate("undo", False, "undo: changed since"),))
PLAN = planned()
APPROVED = dataclasses.replace(CALM, approvals=frozenset({PLAN.hash}))
PAUSED = dataclasses.replace(CALM, paused=True)
MANY = dataclasses.replace(CALM, fleet=policy.FleetScan(10, frozenset({"a", "b", "c"})))


def again(*hours: float, path: str = "host/modules/vfio") -> tuple[policy.Applied, ...]:
    return tuple(policy.Applied(path, NOW - ago * HOUR, f"run-{ago}") for ago in hours)


FOUGHT = dataclasses.replace(CALM, history=again(23, 1))


@pytest.mark.parametrize(
    ("wanted", "plan", "state", "kind", "says"),
    [
        # nothing to do
        (ruled("enforce"), planned(drifts=(), actions=()), CALM, policy.Report, "as declared"),
        (ruled("enforce"), planned(drifts=(), actions=()), PAUSED, policy.Report, "as declared"),
        (ruled("enforce"), planned(actions=()), CALM, policy.Report, "nothing that Transom does can put it right"),
        # modes
        (wish.PolicyWish(), PLAN, CALM, policy.Report, "the default policy only observes"),
        (ruled("observe"), PLAN, CALM, policy.Report, "Policy/home only observes"),
        (ruled("propose"), PLAN, CALM, policy.Propose, "wait for approval"),
        (ruled("enforce"), PLAN, CALM, policy.Carry, "puts right what drifts, up to impact live"),
        # approval of exactly this plan
        (wish.PolicyWish(), PLAN, APPROVED, policy.Carry, f"plan {PLAN.hash} is approved"),
        (ruled("propose", NIGHT), PLAN, APPROVED, policy.Carry, "is approved"),
        (ruled("enforce", NIGHT), PLAN, APPROVED, policy.Carry, "is approved"),
        (ruled("propose"), planned(drifts=(drift("other"),)), APPROVED, policy.Propose, "wait for approval"),
        (ruled("propose"), PLAN, dataclasses.replace(APPROVED, paused=True), policy.Hold, "paused"),
        (ruled("propose"), HELD, dataclasses.replace(CALM, approvals=frozenset({HELD.hash})), policy.Hold, "grub"),
        (ruled("propose"), PLAN, dataclasses.replace(APPROVED, history=FOUGHT.history), policy.Hold, "fighting"),
        (ruled("propose"), PLAN, dataclasses.replace(APPROVED, fleet=MANY.fleet), policy.Hold, "fleet-drift"),
        # limits
        (ruled("enforce"), costing(model.Impact.GUEST_RESTART), CALM, policy.Propose, "guest-restart, is above"),
        (ruled("enforce"), costing(model.Impact.HOST_REBOOT), CALM, policy.Propose, "host-reboot, is above"),
        (ruled("enforce"), planned(actions=(acts.Reboot("b", "r"),)), CALM, policy.Propose, "host-reboot, is above"),
        (
            ruled("enforce"),
            planned(actions=(guest_actions.RestartGuest(100, ("cpu",)),)),
            CALM,
            policy.Propose,
            "guest-restart, is",
        ),
        (
            ruled("enforce", impact=model.Impact.HOST_REBOOT),
            costing(model.Impact.HOST_REBOOT),
            CALM,
            policy.Carry,
            "up to impact host-reboot",
        ),
        (
            ruled("enforce", impact=model.Impact.HOST_REBOOT),
            costing(model.Impact.HUMAN),
            CALM,
            policy.Propose,
            "needs a person",
        ),
        (
            ruled("enforce", impact=model.Impact.HUMAN),
            costing(model.Impact.HUMAN),
            CALM,
            policy.Propose,
            "needs a person",
        ),
        # what the documents newly ask for is no drift
        (ruled("enforce"), planned(documents="e" * 64), CALM, policy.Propose, "the documents have changed"),
        (ruled("enforce"), PLAN, dataclasses.replace(CALM, accepted=""), policy.Propose, "the documents have changed"),
        # windows
        (ruled("enforce", NOON), PLAN, CALM, policy.Carry, "puts right"),
        (ruled("enforce", NIGHT), PLAN, CALM, policy.Propose, "the next opens at 2026-11-23 02:00 (Europe/Berlin)"),
        (
            ruled("enforce", NOON, dataclasses.replace(NOON, deny=True)),
            PLAN,
            CALM,
            policy.Propose,
            "no time was found at which they let changes through",
        ),
        # held
        (ruled("enforce"), HELD, CALM, policy.Hold, "cannot-read: grub could not be read"),
        (ruled("observe"), HELD, CALM, policy.Hold, "cannot-read"),
        (ruled("enforce"), GATED, CALM, policy.Hold, "undo: changed since"),
        (ruled("enforce"), PLAN, PAUSED, policy.Hold, "paused: no new change starts; otherwise Policy/home puts right"),
        (ruled("propose"), PLAN, PAUSED, policy.Propose, "wait for approval"),
        (ruled("observe"), PLAN, PAUSED, policy.Report, "only observes"),
        (ruled("enforce"), PLAN, FOUGHT, policy.Hold, "fighting: put right 2 times within 24 hours"),
        (ruled("enforce"), PLAN, MANY, policy.Hold, "fleet-drift: 3 of 10 nodes newly differ"),
    ],
)
def test_decisions(wanted: Any, plan: Any, state: Any, kind: type, says: str) -> None:
    decision = policy.decide(wanted, plan, NOW, state)
    assert isinstance(decision, kind), decision
    assert says in decision.reason


def test_a_closed_window_says_when_it_opens() -> None:
    decision = policy.decide(ruled("enforce", NIGHT), PLAN, NOW, CALM)
    assert isinstance(decision, policy.Propose)
    assert decision.opens == datetime.datetime(2026, 11, 23, 1, 0, tzinfo=datetime.UTC)
    assert isinstance(policy.decide(ruled("enforce", NIGHT), PLAN, decision.opens, CALM), policy.Carry)


# --- breakers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "fights"),
    [
        (again(1), False),
        (again(23.9, 1), True),
        (again(24, 1), False),
        (again(1, -1), True),  # the clock was set back since
        (again(5, 1, path="host/modules/other"), False),
        ((*again(5), *again(5)), False),
        (tuple(dataclasses.replace(one, run="r") for one in again(5, 4)), False),  # one run counts once
        (again(30, 20, 10), True),
    ],
)
def test_the_same_path_twice_in_a_day_is_a_fight(history: tuple[policy.Applied, ...], fights: bool) -> None:
    found = policy.fighting(PLAN, NOW, dataclasses.replace(CALM, history=history))
    assert [finding.subject for finding in found] == (["host/modules/vfio"] if fights else [])
    assert all(finding.holds and finding.id == "fighting" for finding in found)


def test_a_fight_names_who_rewrites_and_until_when_it_is_held() -> None:
    seen = model.Evidence("/etc/cron.d/ansible", "writes /etc/modules every hour")
    state = dataclasses.replace(FOUGHT, rewriters={"host/modules/vfio": (seen,)})
    (finding,) = policy.fighting(PLAN, NOW, state)
    assert "(/etc/cron.d/ansible: writes /etc/modules every hour)" in finding.summary
    assert finding.evidence[0] == seen
    assert [one.source for one in finding.evidence[1:]] == ["run run-23", "run run-1"]
    assert "take it out of Node/pve1" in finding.remedy
    assert "Held until 2026-11-22 13:00 UTC" in finding.remedy
    assert policy.fighting(PLAN, NOW + datetime.timedelta(minutes=59), state)
    assert not policy.fighting(PLAN, NOW + HOUR, state)
    (unseen,) = policy.fighting(PLAN, NOW, FOUGHT)
    assert "who does could not be seen" in unseen.summary


@pytest.mark.parametrize(
    ("nodes", "new", "percent", "trips"),
    [
        (3, 2, 20, False),  # two are never a fleet
        (3, 3, 20, True),
        (10, 3, 20, True),
        (15, 3, 20, False),  # exactly the share
        (14, 3, 20, True),
        (100, 20, 20, False),
        (100, 21, 20, True),
        (10, 10, 100, False),
        (1000, 3, 1, False),
    ],
)
def test_too_much_of_the_fleet_at_once(nodes: int, new: int, percent: int, trips: bool) -> None:
    scan = policy.FleetScan(nodes, frozenset(f"pve{number}" for number in range(new)))
    found = policy.fleet_drift(wish.Limits(fleet_drift_percent=percent), scan)
    assert [finding.id for finding in found] == (["fleet-drift"] if trips else [])
    if trips:
        assert [one.source for one in found[0].evidence] == sorted(scan.newly_drifted)


def test_a_breaker_that_tripped_holds_whatever_the_nodes_own_limit() -> None:
    tripped = policy.FleetScan(4, frozenset({"a"}), tripped=20)
    assert policy.fleet_drift(wish.Limits(fleet_drift_percent=100), tripped)


def test_a_node_that_somebody_keeps_rewriting_is_put_right_twice_and_then_held(desk) -> None:
    (want,) = resolve.resolve(loader.load([pathlib.Path(resources.examples_dir() / "seed.yaml")]))
    rules = ruled("enforce", impact=model.Impact.HOST_REBOOT)
    path = "/etc/modprobe.d/zz-transom.conf"
    first = desk.plan(want)
    new = dataclasses.replace(CALM, accepted="")
    assert isinstance(policy.decide(rules, first, NOW, new), policy.Propose), "a person approves what is new"
    approved = dataclasses.replace(new, approvals=frozenset({first.hash}))
    assert isinstance(policy.decide(rules, first, NOW, approved), policy.Carry)
    desk.apply(want)
    history: list[policy.Applied] = []
    kinds = []
    for hour in range(4):
        now = NOW + hour * HOUR
        desk.node.write(path, "# by somebody else\n")
        plan = desk.plan(want)
        decision = policy.decide(
            rules, plan, now, dataclasses.replace(CALM, accepted=first.documents, history=tuple(history))
        )
        kinds.append(type(decision).__name__)
        if isinstance(decision, policy.Carry):
            done = desk.apply(want)
            history += [policy.Applied(one.path, now, f"run-{hour}") for one in done.drifts]
    assert kinds == ["Carry", "Carry", "Hold", "Hold"]


# --- the law ---------------------------------------------------------------------------------------------------------

PATHS = ["host/modules/a", "host/modules/b", "qemu/100/vga"]
WINDOWS = [NIGHT, NOON, dataclasses.replace(NOON, deny=True), dataclasses.replace(NIGHT, deny=True)]
impacts = st.sampled_from(list(model.Impact))
plans = st.builds(
    planned,
    documents=st.sampled_from([DOCUMENTS, "e" * 64]),
    drifts=st.lists(st.builds(drift, st.sampled_from(PATHS), impacts), max_size=3).map(tuple),
    actions=st.lists(
        st.sampled_from([STEP, acts.Reboot("b", "r"), guest_actions.RestartGuest(100, ("cpu",))]), max_size=2
    ).map(tuple),
    findings=st.sampled_from([(), (), (FINDING,), (dataclasses.replace(FINDING, holds=False),)]),
    gates=st.sampled_from([(), (), (result.Gate("g", True, "fine"),), (result.Gate("g", False, "not fine"),)]),
)
policies = st.builds(
    wish.PolicyWish,
    st.sampled_from(["observe", "propose", "enforce", "enforce"]),
    st.just("Policy/home"),
    st.lists(st.sampled_from(WINDOWS), max_size=2).map(tuple),
    st.builds(wish.Limits, impacts, st.sampled_from([1, 20, 100])),
)
histories = st.lists(
    st.builds(
        policy.Applied,
        st.sampled_from(PATHS),
        st.integers(-30, 2).map(lambda hours: NOW + hours * HOUR),
        st.sampled_from(["r1", "r2", "r3"]),
    ),
    max_size=5,
).map(tuple)
scans = st.builds(policy.FleetScan, st.just(10), st.frozensets(st.sampled_from("abcdef"), max_size=4))


def against(rules: wish.PolicyWish, plan: result.Plan, state: policy.State, now: datetime.datetime) -> list[str]:
    """Every reason not to carry it out, counted another way than the code does."""
    reasons = ["nothing to do"] * (not plan.actions) + ["paused"] * state.paused
    reasons += [finding.id for finding in plan.findings if finding.holds]
    reasons += [gate.name for gate in plan.gates if not gate.open]
    for path in {one.path for one in plan.drifts}:
        ages = {(one.run, now - one.at) for one in state.history if one.path == path}
        if len({run for run, age in ages if age < 24 * HOUR}) > 1:
            reasons.append("fighting")
    new = len(state.fleet.newly_drifted)
    if new >= 3 and new / state.fleet.nodes > rules.limits.fleet_drift_percent / 100:
        reasons.append("fleet-drift")
    if plan.hash in state.approvals:
        return reasons
    order = list(model.Impact)
    cost = max([order.index(one.impact) for one in plan.drifts] or [0])
    cost = max(
        [cost, *(2 if isinstance(a, acts.Reboot) else isinstance(a, guest_actions.RestartGuest) for a in plan.actions)]
    )
    reasons += ["mode"] * (rules.mode != "enforce") + ["new"] * (plan.documents != state.accepted)
    reasons += ["impact"] * (cost > min(order.index(rules.limits.impact), 2))
    reasons += ["window"] * (not windows.is_open(rules.windows, now))
    return reasons


@hypothesis.settings(max_examples=150)
@hypothesis.given(policies, plans, histories, scans, st.booleans(), st.booleans(), st.integers(0, 24))
def test_carried_out_only_when_no_reason_stands_against_it(
    rules: wish.PolicyWish,
    plan: result.Plan,
    history: tuple[policy.Applied, ...],
    scan: policy.FleetScan,
    approved: bool,
    paused: bool,
    hour: int,
) -> None:
    approvals = frozenset({plan.hash} if approved else {"another"})
    state = policy.State(scan, DOCUMENTS, history, approvals, paused)
    now = NOW + hour * HOUR
    decision = policy.decide(rules, plan, now, state)
    assert isinstance(decision, policy.Carry) == (not against(rules, plan, state, now))
    assert decision.reason


def test_what_was_taken_back_is_said_to_be():
    state = dataclasses.replace(CALM, accepted="", taken_back="run-7")
    decision = policy.decide(ruled("enforce"), PLAN, NOW, state)
    assert isinstance(decision, policy.Propose)
    assert decision.reason == "run run-7 was taken back by a person; it is not put there again unasked"
