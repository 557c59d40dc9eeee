"""Whether a plan may be carried out now: the policy's mode, approvals, windows and limits, and the breakers.

The breakers hold what would be repeated without an end: a path that somebody else keeps rewriting (``fighting``), and a fleet
that differs all at once, as it would by a mistake of Transom's own (``fleet-drift``).
"""

from __future__ import annotations

import dataclasses
import datetime
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Literal

from transom import model
from transom.plan import actions as acts
from transom.plan import guest_actions, result, windows
from transom.spec import wish

_MEMORY = datetime.timedelta(hours=24)
_REPEATS = 2
_FEWEST_NODES = 3


# --- what it is judged by --------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Applied:
    """One path that a run put right without being asked. What a person approved is none: people may change their minds."""

    path: str
    at: datetime.datetime
    """Aware."""
    run: str


@dataclasses.dataclass(frozen=True)
class FleetScan:
    """One look at every node. ``newly_drifted`` are those that differ now, did not before, and whose documents are the same."""

    nodes: int
    newly_drifted: frozenset[str] = frozenset()
    tripped: int | None = None
    """The limit in percent that was passed, when the breaker has tripped already: it holds every node, whatever its own limit."""


@dataclasses.dataclass(frozen=True)
class State:
    """What is known around one node's plan."""

    fleet: FleetScan
    """The latest scan; one that tripped the breaker stays until a person says to go on."""
    accepted: str = ""
    """Fingerprint of the documents (``Plan.documents``) that this node was last as declared by, with nothing undone since."""
    history: Sequence[Applied] = ()
    """This node's; what a person has since said to go on with left out. Older than a day may be missing."""
    approvals: frozenset[str] = frozenset()
    """Hashes of plans; each is good for one run."""
    paused: bool = False
    rewriters: Mapping[str, tuple[model.Evidence, ...]] = dataclasses.field(default_factory=dict)
    """Path → who was seen rewriting it."""
    unapproved: frozenset[str] = frozenset()
    """Documents whose VMs have been held since before ``accepted`` was: nobody has approved their part."""
    taken_back: str = ""
    """The run that a person has undone since the node was last as declared."""


# --- what comes of it ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Carry:
    """Carry the plan out now."""

    reason: str
    kind: Literal["carry"] = "carry"


@dataclasses.dataclass(frozen=True)
class Propose:
    """The plan waits for approval; or, when ``opens`` is set (UTC), for that time, whichever comes first."""

    reason: str
    opens: datetime.datetime | None = None
    kind: Literal["propose"] = "propose"


@dataclasses.dataclass(frozen=True)
class Hold:
    """Nothing is done, approved or not, while the reason stands."""

    reason: str
    findings: tuple[model.Finding, ...] = ()
    kind: Literal["hold"] = "hold"


@dataclasses.dataclass(frozen=True)
class Report:
    """Nothing to do here but to tell."""

    reason: str
    kind: Literal["report"] = "report"


Decision = Carry | Propose | Hold | Report


def decide(policy: wish.PolicyWish, plan: result.Plan, now: datetime.datetime, state: State) -> Decision:
    """What may happen to ``plan`` at ``now`` (aware). SpecError when a window's time zone is not known on this machine."""
    if plan.empty:
        return Report("as declared")
    if findings := _holding(policy, plan, now, state):
        return Hold("; ".join(f"{finding.id}: {finding.summary}" for finding in findings), findings)
    if plan.held:
        return Hold("; ".join(gate.reason for gate in plan.gates if not gate.open))
    if not plan.actions:
        return Report("it differs, and nothing that Transom does can put it right")
    decision = _by_mode(policy, plan, now, state)
    if state.paused and isinstance(decision, Carry):
        return Hold(f"paused: no new change starts; otherwise {decision.reason}")
    return decision


def _holding(
    policy: wish.PolicyWish, plan: result.Plan, now: datetime.datetime, state: State
) -> tuple[model.Finding, ...]:
    """Every finding that holds: the plan's own, when they leave nothing to do, then the breakers'."""
    own = (one for one in plan.findings if one.holds and (plan.held or not one.documents))
    return (*own, *fighting(plan, now, state), *fleet_drift(policy.limits, state.fleet))


def _by_mode(policy: wish.PolicyWish, plan: result.Plan, now: datetime.datetime, state: State) -> Decision:
    if plan.hash in state.approvals:
        return Carry(f"plan {plan.hash} is approved")
    match policy.mode:
        case "observe":
            return Report(f"{_named(policy)} only observes")
        case "propose":
            return Propose(f"{_named(policy)} has every plan wait for approval")
        case "enforce":
            return _unasked(policy, plan, now, state)


def _unasked(policy: wish.PolicyWish, plan: result.Plan, now: datetime.datetime, state: State) -> Carry | Propose:
    """A policy covers what drifts, within its limits: what documents newly ask for is approved by a person once."""
    if plan.documents != state.accepted:
        if state.taken_back:
            return Propose(f"run {state.taken_back} was taken back by a person; it is not put there again unasked")
        return Propose("the documents have changed since this node was last as declared")
    owners = {drift.document.partition(" (")[0] for drift in plan.repairs}
    if new := ", ".join(sorted(owners & state.unapproved)):
        return Propose(
            f"{new} was held when the rest of these documents was carried out; its part has not been approved"
        )
    cost = impact(plan)
    limit = policy.limits.impact
    if cost is model.Impact.HUMAN:
        return Propose("it needs a person")
    if model.COST[cost] > model.COST[limit]:
        return Propose(f"its impact, {cost}, is above the limit of {_named(policy)}, {limit}")
    if windows.is_open(policy.windows, now):
        return Carry(f"{_named(policy)} puts right what drifts, up to impact {limit}")
    opens = windows.next_opening(policy.windows, now)
    return Propose(f"outside the windows of {_named(policy)}: {_opening(policy, opens)}", opens)


def impact(plan: result.Plan) -> model.Impact:
    """The dearest of what its drifts say and of what its actions do; an action cannot be cheaper than it is."""
    costs = [plan.impact]
    costs += [model.Impact.HOST_REBOOT for action in plan.actions if isinstance(action, acts.Reboot)]
    restarts = (guest_actions.RestartGuest, guest_actions.StartGuest)
    costs += [model.Impact.GUEST_RESTART for action in plan.actions if isinstance(action, restarts)]
    return max(costs, key=model.COST.__getitem__)


def cheaper_than_a_reboot(plan: result.Plan) -> bool:
    return model.COST[impact(plan)] < model.COST[model.Impact.HOST_REBOOT]


def _named(policy: wish.PolicyWish) -> str:
    return policy.document or "the default policy"


def _opening(policy: wish.PolicyWish, opens: datetime.datetime | None) -> str:
    if opens is None:
        return "no time was found at which they let changes through; look at those that deny"
    name = policy.windows[0].timezone
    return f"the next opens at {opens.astimezone(zoneinfo.ZoneInfo(name)):%Y-%m-%d %H:%M} ({name})"


# --- breakers --------------------------------------------------------------------------------------------------------


def fighting(plan: result.Plan, now: datetime.datetime, state: State) -> tuple[model.Finding, ...]:
    """A finding for each path that differs again after it was put right unasked twice within 24 hours."""
    documents = {drift.path: drift.document for drift in plan.repairs}
    found = []
    for path in sorted(documents):
        recent = _recent(path, now, state.history)
        if len(recent) >= _REPEATS:
            found.append(_rewritten(path, documents[path], recent, state.rewriters.get(path, ())))
    return tuple(found)


def _recent(path: str, now: datetime.datetime, history: Sequence[Applied]) -> list[Applied]:
    """The re-applications that count, one a run, oldest first. A time ahead of ``now`` (a clock was set back) counts too."""
    runs = {one.run: one for one in history if one.path == path and one.at > now - _MEMORY}
    return sorted(runs.values(), key=lambda one: one.at)


def _rewritten(path: str, document: str, recent: Sequence[Applied], seen: tuple[model.Evidence, ...]) -> model.Finding:
    until = (recent[-_REPEATS].at + _MEMORY).astimezone(datetime.UTC)
    who = "; ".join(f"{one.source}: {one.says}" for one in seen) or "who does could not be seen"
    return model.Finding(
        id="fighting",
        subject=path,
        summary=f"put right {len(recent)} times within 24 hours and different again, so something rewrites it ({who}); when "
        f"that is over, `transom resume` goes on",
        remedy=f"Stop what rewrites it, or take it out of {document or 'the documents'}. "
        f"Held until {until:%Y-%m-%d %H:%M} UTC, or `transom resume`.",
        who=model.Who.REPORT,
        evidence=(
            *seen,
            *(model.Evidence(f"run {one.run}", f"put it right at {one.at.isoformat()}") for one in recent),
        ),
        holds=True,
    )


def fleet_drift(limits: wish.Limits, fleet: FleetScan) -> tuple[model.Finding, ...]:
    """The finding that holds every node when too many newly differ at once; empty when they do not."""
    new = sorted(fleet.newly_drifted)
    percent = limits.fleet_drift_percent if fleet.tripped is None else fleet.tripped
    if fleet.tripped is None and (len(new) < _FEWEST_NODES or len(new) * 100 <= percent * fleet.nodes):
        return ()
    finding = model.Finding(
        id="fleet-drift",
        subject="fleet",
        summary=f"{len(new)} of {fleet.nodes} nodes newly differ in one scan, more than {percent} %: "
        "that looks like a mistake in Transom or in a document, so nothing is changed anywhere",
        remedy="Look at what differs on some of them. When it is real, `transom resume` goes on.",
        who=model.Who.REPORT,
        evidence=tuple(model.Evidence(node, "newly differs") for node in new),
        holds=True,
    )
    return (finding,)
