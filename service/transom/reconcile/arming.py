"""A node that is armed in this very boot, since a run of it came to no reboot: what becomes of its way back.

It stays as long as something of the change is on the node: whoever reboots it then boots that. With nothing changed, or nothing
that waits for a boot any more, it goes: the copies are of this boot, and an upgrade months later must not be taken back to them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from transom import errors, model
from transom.plan import actions as acts
from transom.plan import result
from transom.reconcile import deadman
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.reconcile.steps import reboot
from transom.ssh import files as remote
from transom.store import records, store


def armed_here(facts: model.Facts) -> model.Armed | None:
    """What this boot has armed."""
    armed = None if isinstance(facts.keeping, model.Unknown) else facts.keeping.armed
    return armed if armed and armed.boot_id == facts.boot.boot_id else None


def failed(run: str, plan: result.Plan, events: Sequence[records.Event], world: w.World) -> str:
    """After a run has failed: takes the way back away where nothing has been changed, and else says that it is there. Empty when
    nothing is armed."""
    begun = [plan.actions[event.step - 1] for event in events if event.phase == "before" and event.step]
    if not any(isinstance(action, acts.ArmRollback) for action in begun):
        return ""
    with contextlib.suppress(errors.TransomError):
        if not _is_armed(run, world):
            return ""
        if _untouched(plan.actions, begun) and remote.read(world.host, f"{eff.KEEP}/reboot-from") is None:
            deadman.disarm(world.host, run)
            return ""
        return told(run)
    # it cannot be asked: the reboot step has words of its own for a node that does not come back
    return "" if any(isinstance(action, acts.Reboot) for action in begun) else told(run)


def told(run: str) -> str:
    """What a person has to know before they reboot it."""
    return (
        f"the node is armed: its next boot goes back unless it is confirmed; `transom apply`, or `transom undo {run}`"
    )


def drop(plan: result.Plan, facts: model.Facts, world: w.World, kept: store.Store) -> bool:
    """Whether a way back was taken away that nothing needs any more: the node is as declared, and no boot is owed."""
    armed, keeping = armed_here(facts), facts.keeping
    if armed is None or isinstance(keeping, model.Unknown) or keeping.dirty or keeping.reboot_from == armed.boot_id:
        return False
    run = kept.run(armed.run)
    due = plan.held_whole or any(isinstance(action, acts.Reboot) for action in plan.actions)
    if due or run is None or run.node != facts.node or kept.runs(facts.node, state=records.RUNNING):
        return False
    deadman.disarm(world.host, armed.run)
    world.say(
        f"run {armed.run} left {facts.node} armed; nothing of it waits for a boot any more, so it does not go back"
    )
    return True


def _is_armed(run: str, world: w.World) -> bool:
    """In this boot, by ``run``."""
    mark = deadman.mark(world.host)
    return mark is not None and (mark.run, mark.boot_id) == (run, reboot.boot_id(world.host))


def _untouched(actions: Sequence[acts.Action], begun: Sequence[acts.Action]) -> bool:
    """Whether there was something to change, and none of it has been begun."""
    changes = (*acts.FILE_ACTIONS, acts.RestoreFile, acts.RunStep)
    return any(isinstance(one, changes) for one in actions) and not any(isinstance(one, changes) for one in begun)
