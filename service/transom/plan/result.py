"""The plan itself: what differs, what is wrong, what would be done, and whether it may. Hashed over what it would do."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Sized

from transom import model
from transom.plan import actions as acts
from transom.plan import forecast, guest_actions


@dataclasses.dataclass(frozen=True)
class Gate:
    """One condition on the plan. A closed gate holds every action; one with ``documents`` those for the VMs of these alone."""

    name: str
    open: bool
    reason: str
    documents: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Plan:
    """For one node. ``actions`` are in the order in which they run, without those of VMs that are held; empty when there is nothing
    to do or a finding holds the node."""

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
        """Nothing of it may be done: the node is held, or VMs are and there is nothing else to do."""
        return self.held_whole or (bool(self.waits) and not self.actions)

    @property
    def held_whole(self) -> bool:
        """A finding holds the node, or a condition everything."""
        return any(not gate.open and not gate.documents for gate in self.gates)

    @property
    def waits(self) -> dict[str, tuple[str, ...]]:
        """Document → why nothing is done for its VM, whatever is done for others."""
        found: dict[str, list[str]] = {}
        for gate in self.gates:
            for name in gate.documents if not gate.open else ():
                found.setdefault(name, []).append(gate.reason)
        return {name: tuple(why) for name, why in found.items()}

    @property
    def repairs(self) -> tuple[model.Drift, ...]:
        """What it puts right; of a plan that does nothing, what differs."""
        return tuple(drift for drift in self.drifts if not drift.held) or self.drifts

    def only(self, waits: Collection[str]) -> bool:
        """Nothing is left but what the VMs of these documents wait with."""
        settled = not self.actions and all(drift.held for drift in self.drifts)
        return settled and not self.held_whole and set(self.waits) <= set(waits)

    @property
    def impact(self) -> model.Impact:
        """The dearest impact of what the plan would do."""
        costs = [drift.impact for drift in self.repairs] or [model.Impact.LIVE]
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
    counts = f"{_count(plan.repairs, 'difference')}, {_count(plan.actions, 'action')}, impact {plan.impact}"
    return f"{plan.node}: {_deleted(plan)}{counts}{_waiting(plan)}"


def _waiting(plan: Plan) -> str:
    """The VMs for which nothing is done, and why, in short; empty when all are seen to."""
    why = {name: sorted({gate.name for gate in plan.gates if name in gate.documents}) for name in sorted(plan.waits)}
    said = "; ".join(f"{name} is held by {', '.join(ids)}" for name, ids in why.items())
    return f"; {said}" if said else ""


def _deleted(plan: Plan) -> str:
    """What nothing brings back, first; empty when nothing goes."""
    gone = [f"{step.vmid} ({step.name})" for step in plan.actions if isinstance(step, guest_actions.DestroyGuest)]
    return f"DELETES VM {', '.join(gone)} WITH ITS DISKS; " if gone else ""


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
