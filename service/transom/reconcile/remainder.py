"""What is left of a plan whose run was cut off: whether an approval of the whole covers it. Pure.

A person approved steps; the same steps, fewer of them, need no second approval. Anything more does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transom.plan import actions as acts
from transom.plan import emptying, guest_actions, once, rehearsal, result
from transom.reconcile import engine
from transom.store import records


def covers(approved: result.Plan, rest: result.Plan, made: Mapping[str, int]) -> bool:
    """Whether every action of ``rest`` is one of ``approved``, or a part of one, was planned from the same documents, and no VM
    waits that did not then. ``made`` are the ids of VMs whose id the approved plan left open, by name (``ids``)."""
    same = approved.node == rest.node and approved.documents == rest.documents
    known = not rest.held and rest.waits.keys() <= approved.waits.keys()
    return same and known and all(_covered(action, approved, made) for action in rest.actions)


def ids(approved: result.Plan, journal: Iterable[records.Event]) -> dict[str, int]:
    """Name → the VM id that the run of ``approved`` chose, where the plan left it open; none that went to somebody else."""
    found: dict[str, int] = {}
    for line in journal:
        step = approved.actions[line.step - 1] if 0 < line.step <= len(approved.actions) else None
        if not isinstance(step, guest_actions.CreateGuest) or step.vmid is not None:
            continue
        if line.phase == "before":
            found[step.name] = line.data["vmid"]
        elif line.phase == engine.TAKEN:
            found.pop(step.name, None)
    return found


def _covered(action: acts.Action, approved: result.Plan, made: Mapping[str, int]) -> bool:
    if isinstance(action, guest_actions.ChangeGuest):
        return any(_within(action, whole, made) for whole in approved.actions)
    if isinstance(action, guest_actions.StartGuest):  # the second half of a restart
        restarts = (
            one for one in approved.actions if isinstance(one, guest_actions.RestartGuest | guest_actions.StartGuest)
        )
        return any(one.vmid == action.vmid for one in restarts)
    mark = _mark(action)
    return any(_mark(whole) == mark for whole in approved.actions)


def _mark(action: acts.Action) -> tuple[object, ...]:
    """What an action does, without what it expects to find: the cut-off run may have changed that."""
    match action:
        case acts.WriteFile():
            return action.kind, action.path, action.text, action.mode
        case acts.RemoveFile():
            return action.kind, action.path
        case acts.RunStep():
            return action.kind, action.step
        case acts.PlaceRom():
            return action.kind, action.filename, action.sha256
        case acts.RemoveRom():
            return action.kind, action.filename
        case (
            acts.Reboot()
            | acts.KeepBoot()
            | acts.ArmRollback()
            | acts.Confirm()
            | emptying.Drain()
            | emptying.Undrain()
            | rehearsal.Simulate()
            | once.TryBoot()
        ):
            return (action.kind,)
        case guest_actions.CreateGuest():
            return action.kind, action.vmid, action.name, tuple(sorted({**action.api, **action.root}.items()))
        case guest_actions.ChangeGuest() | guest_actions.RestartGuest() | guest_actions.StartGuest():
            return action.kind, action.vmid
        case guest_actions.DestroyGuest():
            return action.kind, action.vmid, action.name
        case guest_actions.SetMapping():
            return action.kind, action.name, action.entry
        case acts.RestoreFile():
            return action.kind, action.path, action.backup, action.before_sha256


def _within(rest: guest_actions.ChangeGuest, whole: acts.Action, made: Mapping[str, int]) -> bool:
    """A VM that was made without its root-only keys gets them by a change."""
    wanted: Mapping[str, str | None]
    if isinstance(whole, guest_actions.CreateGuest):
        if rest.vmid != (made.get(whole.name) if whole.vmid is None else whole.vmid):
            return False
        wanted = {**whole.api, **whole.root}
    elif isinstance(whole, guest_actions.ChangeGuest) and whole.vmid == rest.vmid:
        wanted = whole.wanted
    else:
        return False
    return rest.wanted.items() <= wanted.items()
