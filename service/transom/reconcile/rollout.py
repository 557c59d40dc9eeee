"""Reboots over a cluster: one node at a time, and after one that failed no other before a person has looked."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from transom import errors
from transom.plan import actions as acts
from transom.plan import emptying, result
from transom.reconcile import locks
from transom.spec import wish
from transom.store import records, store

_STEPS = frozenset({acts.Reboot.kind, emptying.Drain.kind})


@dataclasses.dataclass(frozen=True)
class Failure:
    """A run with a reboot that did not come to its end. ``at``: seconds since the epoch."""

    node: str
    run: str
    at: float
    said: str

    @property
    def reason(self) -> str:
        way_out = "approve this plan, or `transom resume`, when that has been looked at"
        return f"{self.node} {self.said} (run {self.run}), so no other node is rebooted unasked: {way_out}"


def reboots(plan: result.Plan) -> bool:
    return any(isinstance(action, acts.Reboot) for action in plan.actions)


@contextlib.contextmanager
def alone(plan: result.Plan, node: wish.NodeWish, folder: pathlib.Path) -> Iterator[None]:
    """While the block runs, nobody else who works on the state in ``folder`` reboots a node of the same cluster. Busy when
    somebody does; nothing is asked for a plan without a reboot."""
    if not reboots(plan):
        yield
        return
    with locks.reboot(folder, node.cluster, node.name):
        yield


def failure(
    kept: store.Store, node: wish.NodeWish, fleet: Iterable[wish.NodeWish], *, since: float = 0
) -> Failure | None:
    """The newest failed reboot of a node of the same cluster or under the same Policy; what was before ``since`` has been looked
    at. A node's own counts when its reboot had begun: what failed before that is tried again as everything else is."""
    found = (
        _of(kept, other.name, since, own=other.name == node.name)
        for other in fleet
        if other.cluster == node.cluster or (other.policy.document and other.policy.document == node.policy.document)
    )
    return max((one for one in found if one), key=lambda one: one.at, default=None)


def refuse(
    kept: store.Store, node: wish.NodeWish, fleet: Iterable[wish.NodeWish], plan: result.Plan, *, since: float = 0
) -> None:
    """Void when ``plan`` reboots and a reboot has failed after ``since``: when this one was approved, or a person resumed."""
    if reboots(plan) and (failed := failure(kept, node, fleet, since=since)):
        raise errors.Void(f"{node.name}: {failed.reason}")


def _of(kept: store.Store, node: str, since: float, *, own: bool) -> Failure | None:
    """From the newest run of ``node`` that was to reboot it."""
    for run in kept.runs(node):
        stored = kept.plan(run.plan)
        steps = _steps(stored.content["actions"]) if stored else []
        if not steps:
            continue
        ended = run.ended_at or run.started_at
        begun = any(event.phase == "before" and event.step >= steps[0] for event in kept.events(run.id))
        if run.state != records.FAILED or ended <= since or (not begun and (own or _passing(kept, run.id))):
            return None
        return Failure(node, run.id, ended, "failed over its reboot" if begun else "failed before its reboot")
    return None


def _steps(actions: list[Mapping[str, Any]]) -> list[int]:
    """Numbers of the actions from which on the node may be down; empty for a plan without a reboot."""
    numbers = [number for number, action in enumerate(actions, 1) if action["kind"] in _STEPS]
    return numbers if any(action["kind"] == acts.Reboot.kind for action in actions) else []


def _passing(kept: store.Store, run: str) -> bool:
    """Whether what ended the run before anything was rebooted goes by itself: a lock, facts that have moved."""
    kinds = {event.data["error"] for event in kept.events(run) if event.phase == "failed"}
    soon = {one.__name__ for one in (errors.Busy, errors.Void, errors.VmidTaken)}
    return bool(kinds) and kinds <= soon
