"""VMs that we have restarted, from before they are asked to go down until they were seen running: what is left off is found again.

One value each in the store, beside the line in the run's journal. Only the node's own list of tasks tells whether somebody has
started or stopped the VM since; what it does not tell is Unknown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from transom import errors, model
from transom.pve import tasks
from transom.reconcile import world as w
from transom.store import store

PHASE = "restarted"
"""Of a run's journal: the VM runs, and is asked to go down next."""
_KEPT = 50
"""Tasks that are kept: PVE's list may have hundreds, and those of one second come in any order."""
_PATIENCE = 2
"""Seconds that a look waits for a start that still runs."""
_STARTS = frozenset({"qmstart", "hastart"})
_OTHERS = frozenset(
    {"qmstop", "qmshutdown", "qmsuspend", "qmdestroy", "qmtemplate", "qmrestore", "qmrollback", "qmigrate", "hastop"}
)
"""What somebody else may have done with a VM since: it is as that person left it."""


@dataclasses.dataclass(frozen=True)
class Restarted:
    """Written before the VM is asked to go down."""

    vmid: int
    run: str
    known: tuple[str, ...]
    """The newest of the VM's tasks until then, newest first."""
    at: float
    """Seconds since the epoch."""

    def since(self, ids: Sequence[str]) -> list[str]:
        """Of the VM's tasks, newest first, those that have begun since."""
        oldest = ids.index(self.known[-1]) if self.known and self.known[-1] in ids else len(ids)
        return [upid for upid in ids[:oldest] if upid not in self.known]


def now(vmid: int, run: str, ids: Sequence[str], at: float) -> Restarted:
    """``ids``: the VM's tasks, newest first."""
    return Restarted(vmid, run, tuple(ids[:_KEPT]), at)


@dataclasses.dataclass(frozen=True)
class Found:
    """``left``: VMs that are off since. ``over``: of those nothing is to be told any more."""

    left: Mapping[int, model.LeftStopped]
    over: tuple[Restarted, ...] = ()


def begun(kept: store.Store, node: str, one: Restarted) -> None:
    kept.meta.put(f"{_under(node)}{one.vmid}", model.to_json(one))


def drop(kept: store.Store, node: str, over: Sequence[Restarted]) -> None:
    """But for one that was begun anew since."""
    for one in over:
        kept.meta.drop(f"{_under(node)}{one.vmid}", model.to_json(one))


def noted(kept: store.Store, node: str) -> tuple[Restarted, ...]:
    """Those of ``node`` whose end is not known. Asked before the node is looked at: what begins meanwhile is not in that look."""
    return tuple(model.from_json(Restarted, value) for value in kept.meta.under(_under(node)).values())


def look(noted: Sequence[Restarted], facts: model.Facts, world: w.World) -> Found:
    """What became of each, as ``facts`` and the node's tasks tell. An API that cannot be asked tells nothing."""
    if not noted or isinstance(facts.states, model.Unknown):
        return Found({})
    left, over = {}, []
    for one in noted:
        state = facts.states.get(one.vmid)
        told = _since(one, world) if state is not None and state.status == "stopped" else None
        if told is not None:
            left[one.vmid] = model.LeftStopped(one.run, told)
        elif state is None or (state.status in ("running", "stopped") and state.lock != "backup"):
            over.append(one)  # a backup has a QEMU of its own run for a VM that is off
    return Found(left, tuple(over))


def _under(node: str) -> str:
    return f"restarted/{node}/"


def _since(one: Restarted, world: w.World) -> model.Maybe[str] | None:
    """What the last start of the stopped VM says, empty when none was seen; None when it is not we who left it off."""
    try:
        new = one.since(world.api.task_ids(world.node, one.vmid))
        kinds = {tasks.kind(upid) for upid in new}
        if "qmreboot" not in kinds or kinds & _OTHERS:  # it never was asked to go down, or somebody has stopped it
            return None
        start = next((upid for upid in new if tasks.kind(upid) in _STARTS), "")  # newest first
        return _failure(start, world) if start else ""
    except errors.TransomError as error:
        return model.Unknown(f"tasks of VM {one.vmid}: {error}")


def _failure(start: str, world: w.World) -> str | None:
    task = world.api.follow(start, timeout=_PATIENCE, sleep=world.sleep, now=world.monotonic)
    try:
        tasks.judge(task)
    except (errors.Rejected, errors.Busy) as error:
        return str(error).replace(f" ({start})", "")  # the same failure, tried once more, is the same finding
    return None
