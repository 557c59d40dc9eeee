"""The plan itself: what differs, what is wrong, what would be done, and whether it may. Hashed over what it would do."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sized

from transom import model
from transom.plan import actions as acts
from transom.plan import forecast


@dataclasses.dataclass(frozen=True)
class Gate:
    """One condition on the plan as a whole. A closed gate holds every action."""

    name: str
    open: bool
    reason: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """For one node. ``actions`` are in the order in which they run; empty when there is nothing to do or a finding holds."""

    node: str
    documents: str
    """Fingerprint of the documents that it was made from."""
    recipes: tuple[str, ...] = ()
    drifts: tuple[model.Drift, ...] = ()
    findings: tuple[model.Finding, ...] = ()
    noops: tuple[model.Noop, ...] = ()
    actions: tuple[acts.Action, ...] = ()
    entries: tuple[model.Entry, ...] = ()
    """Ledger lines to write before anything is done; ``run`` is still empty."""
    forgets: tuple[str, ...] = ()
    """Ledger paths that are no longer ours once the plan is done."""
    gates: tuple[Gate, ...] = ()
    next_boot: forecast.Forecast | None = None
    """What the next boot will make of the files, where the plan changes that."""

    @property
    def empty(self) -> bool:
        """Nothing differs and nothing holds: the node is as declared."""
        return not self.drifts and not self.actions and not self.held

    @property
    def held(self) -> bool:
        return any(not gate.open for gate in self.gates)

    @property
    def impact(self) -> model.Impact:
        """The dearest impact of what the plan would do."""
        costs = [drift.impact for drift in self.drifts] or [model.Impact.LIVE]
        return max(costs, key=model.COST.__getitem__)

    @property
    def hash(self) -> str:
        """Names exactly this plan: the same facts and documents give the same hash, any other content another."""
        return hashlib.sha256(json.dumps(model.to_json(self), sort_keys=True).encode()).hexdigest()[:16]


def summary(plan: Plan) -> str:
    """One line: what a person asks first."""
    if plan.held:
        return f"{plan.node}: held by {', '.join(sorted({gate.name for gate in plan.gates if not gate.open}))}"
    if plan.empty:
        return f"{plan.node}: as declared"
    counts = f"{_count(plan.drifts, 'difference')}, {_count(plan.actions, 'action')}, impact {plan.impact}"
    return f"{plan.node}: {_deleted(plan)}{counts}"


def _deleted(plan: Plan) -> str:
    """What nothing brings back, first; empty when nothing goes."""
    gone = [f"{step.vmid} ({step.name})" for step in plan.actions if isinstance(step, acts.DestroyGuest)]
    return f"DELETES VM {', '.join(gone)} WITH ITS DISKS; " if gone else ""


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
