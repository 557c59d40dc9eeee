"""A PVE task from the request that begins it to its end: journalled before anything is sent, told line by line, judged once.

It is asked for once. When nobody knows whether the request arrived (596, a dropped line, an answer that makes no sense, the daemon
killed), the node's list of tasks says whether it began: one of its kind that was not there before. Nothing is ever cancelled.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable

from transom import errors, model
from transom.pve import tasks
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.store import records

LIMIT = 600
"""Seconds for a task: allocating a disk, a guest's own shutdown."""
GRACE = 15
"""Seconds after which a request that has begun no task will begin none: PVE waits 10 for a VM's lock, and then forks or refuses."""
_SOON = 5
"""Seconds that a turn waits for a task of an earlier run, before it gives the turn back."""
_PROGRESS = re.compile(r"\((\d+(?:\.\d+)?)%\)")
TASK, TASK_END, FINDING = "task", "task-end", "finding"
"""Phases of a run's journal."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """A request that begins a task, as the journal has it before it is sent."""

    kind: str
    """PVE's word, as in ``qmcreate``."""
    node: str
    vmid: int
    known: tuple[str, ...]
    """UPIDs of such tasks that were there before."""
    at: float
    upid: str = ""
    """Empty until PVE has answered."""

    def describe(self) -> str:
        return tasks.about(self.upid) if self.upid else f"asking for {self.kind} of {self.vmid} on {self.node}"


def carry_out(world: w.World, context: eff.Context, kind: str, vmid: int, ask: Callable[[], str]) -> tasks.Task:
    """Let ``ask`` begin a task and follow it to its end; the task, when it went well.

    Rejected or Busy as ``tasks.judge`` says, Busy when it still runs after ``LIMIT``, Unreachable when contact is lost for longer.
    """
    asked = Asked(kind, world.node, vmid, tuple(_such(world, vmid, kind)), world.now())
    context.note(TASK, asked.describe(), model.to_json(asked))
    try:
        upid = ask()
    except errors.TransomError as error:
        upid = _begun_after_all(world, context, asked, error)
    asked = dataclasses.replace(asked, upid=upid)
    context.note(TASK, asked.describe(), model.to_json(asked))
    return tasks.judge(_to_its_end(world, context, asked, LIMIT))


def _begun_after_all(world: w.World, context: eff.Context, asked: Asked, error: errors.TransomError) -> str:
    """The UPID, when the task began although the request failed; ``error`` when it did not."""
    if not error.unsure:
        context.note(TASK_END, f"{asked.kind} of {asked.vmid} was not begun: {error}", None)
        raise error
    world.say(f"contact was lost while {asked.describe()}; looking whether it began")
    upid = find(world, asked, GRACE)
    if not upid:
        context.note(TASK_END, f"{asked.kind} of {asked.vmid} never began: {error}", None)
        raise error
    return upid


def find(world: w.World, asked: Asked, grace: float) -> str:
    """The task that ``asked`` began; empty when there is none ``grace`` seconds from now. Unreachable when that cannot be read."""
    deadline = world.monotonic() + grace
    while True:
        over = world.monotonic() >= deadline
        try:
            new = [upid for upid in _such(world, asked.vmid, asked.kind) if upid not in asked.known]
            if new or over:
                return new[-1] if new else ""  # the oldest: later ones cannot be of this request
        except (errors.Unreachable, errors.Garbled, errors.Busy) as error:
            if over:
                said = f"whether {asked.kind} of {asked.vmid} began on {asked.node} cannot be read: {error}"
                raise errors.Unreachable(said, hint="it is looked for again before anything else is done") from error
        world.sleep(1)


def _such(world: w.World, vmid: int, kind: str) -> Iterable[str]:
    return (upid for upid in world.api.task_ids(world.node, vmid) if tasks.kind(upid) == kind)


def _to_its_end(world: w.World, context: eff.Context, asked: Asked, limit: float) -> tasks.Task:
    def tell(line: str) -> None:
        world.say(line)
        found = _PROGRESS.search(line)
        context.tell("task.log", {"upid": asked.upid, "line": line, "percent": float(found[1]) if found else None})

    task = world.api.follow(asked.upid, timeout=limit, sleep=world.sleep, now=world.monotonic, on_log=tell)
    ended = {"upid": task.upid, "exitstatus": task.exitstatus, "log": list(task.log)}
    context.note(TASK_END, f"{asked.describe()}: {task.exitstatus or 'no exit status'}", ended)
    if task.ok and task.warnings:
        found = warned(asked, task)
        context.note(FINDING, f"{found.id}: {found.summary}", model.to_json(found))
    return task


def warned(asked: Asked, task: tasks.Task) -> model.Finding:
    """What a task that went well has warned of."""
    lines = [line for line in task.log if line.startswith("WARN")] or list(task.log)
    return model.Finding(
        id="task-warnings",
        subject=f"VM {asked.vmid}",
        summary=f"{asked.kind} went well with {task.warnings} warnings: {' | '.join(lines)}",
        remedy="Read the warnings; nothing was undone for them.",
        who=model.Who.REPORT,
        evidence=(model.Evidence(task.upid, task.exitstatus),),
    )


# --- after a crash, or a run that lost contact -----------------------------------------------------------------------


def left_open(events: Iterable[records.Event]) -> tuple[int, Asked] | None:
    """The step and the task of a run's journal of which no end is known."""
    open_task = None
    for event in events:
        if event.phase == TASK:
            open_task = event.step, model.from_json(Asked, event.data)
        elif event.phase == TASK_END:
            open_task = None
    return open_task


def settle(world: w.World, context: eff.Context, asked: Asked) -> None:
    """Learn how a task of an earlier run ended, well or not: what is there is looked at afterwards.

    Busy while it still runs, Unreachable while that cannot be read: until then nothing else may be done to the node.
    """
    if not asked.upid:
        # A clock set back must not make this wait for long.
        left = min(GRACE, max(0.0, GRACE - (world.now() - asked.at)))
        upid = find(world, asked, left)
        if not upid:
            context.note(TASK_END, f"{asked.kind} of {asked.vmid} never began", None)
            return
        asked = dataclasses.replace(asked, upid=upid)
    try:
        _to_its_end(world, context, asked, _SOON)
    except errors.Rejected as error:  # PVE keeps a limited number of tasks
        context.note(TASK_END, f"{asked.describe()}: nothing is known of it any more: {error}", None)
