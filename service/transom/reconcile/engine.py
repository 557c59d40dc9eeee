"""Carrying a plan out: every step is journalled before and after, and nothing goes on past an error.

Level-triggered: there is no resuming in the middle. After a crash the next run observes and plans again; what the journal holds
is for undo and for people.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, cast

from transom import errors, model
from transom.plan import actions as acts
from transom.plan import emptying, guest_actions, once, rehearsal, result
from transom.reconcile import defect
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.reconcile.steps import (
    arm_rollback,
    build,
    confirm,
    destroy,
    drain,
    files,
    guest,
    keep_boot,
    mapping,
    reboot,
    restart,
    rom,
    simulate,
    start,
    try_boot,
    undrain,
)

STEPS: Mapping[type, types.ModuleType] = {
    acts.WriteFile: files,
    acts.RemoveFile: files,
    acts.RestoreFile: files,
    acts.RunStep: build,
    acts.PlaceRom: rom,
    acts.RemoveRom: rom,
    emptying.Drain: drain,
    acts.Reboot: reboot,
    rehearsal.Simulate: simulate,
    emptying.Undrain: undrain,
    once.TryBoot: try_boot,
    acts.KeepBoot: keep_boot,
    acts.ArmRollback: arm_rollback,
    acts.Confirm: confirm,
    guest_actions.CreateGuest: guest,
    guest_actions.ChangeGuest: guest,
    guest_actions.RestartGuest: restart,
    guest_actions.StartGuest: start,
    guest_actions.DestroyGuest: destroy,
    guest_actions.SetMapping: mapping,
}


_OF_THE_HOST = (
    acts.WriteFile,
    acts.RemoveFile,
    acts.RestoreFile,
    acts.RunStep,
    acts.PlaceRom,
    acts.RemoveRom,
    emptying.Drain,
    acts.Reboot,
    rehearsal.Simulate,
    emptying.Undrain,
    once.TryBoot,
    acts.KeepBoot,
    acts.ArmRollback,
    acts.Confirm,
)
"""Steps that write nothing to the cluster: an undo of them needs no API."""
TAKEN = "taken"
"""Phase of the journal: the step's last effect never came about, its VM id went to somebody else."""
_IDS = 10
"""VM ids that are tried for one VM."""


class Journal(Protocol):
    """Takes what happens, durably, one entry at a time. ``step`` is 1-based; ``phase``: before, after, failed, or a step's own."""

    def __call__(self, step: int, phase: str, text: str, data: Any) -> None: ...


def carry_out(plan: result.Plan, world: w.World, context: eff.Context, journal: Journal) -> None:
    """Do every action of ``plan`` in order; the first error is journalled and raised."""
    planned, now = "", ""
    for number, step in enumerate(plan.actions, 1):
        action = _in_this_boot(step, planned, now)
        try:
            with defect.told(action.describe()):
                said = _step(action, world, _of_step(context, number, journal), functools.partial(journal, number))
        except errors.TransomError as error:
            journal(number, "failed", str(error), {"error": type(error).__name__})
            raise
        if isinstance(step, once.TryBoot):
            planned, now = step.boot_id, reboot.boot_id(world.host)
            context = dataclasses.replace(context, boot_id=now)
        journal(number, "after", said, None)


def _in_this_boot(action: acts.Action, planned: str, now: str) -> acts.Action:
    """A trial boot has another boot id than the plan could know: what comes after it is meant for the boot that it led to."""
    if planned and getattr(action, "boot_id", "") == planned:
        moved: acts.Action = dataclasses.replace(cast("Any", action), boot_id=now)
        return moved
    return action


def _step(action: acts.Action, world: w.World, context: eff.Context, note: Callable[[str, str, Any], None]) -> str:
    """What the step says; it is prepared anew for as long as others are quicker to take the VM id that it chose."""
    if not isinstance(action, _OF_THE_HOST):
        _need_quorum(world)
    module = STEPS[type(action)]
    for left in reversed(range(_IDS)):
        effect = module.prepare(action, world)
        note("before", action.describe(), model.to_json(effect))
        try:
            said: str = module.apply(action, effect, world, context)
            return said
        except errors.VmidTaken as error:
            note(TAKEN, str(error), model.to_json(effect))
            if not left:
                raise
    raise AssertionError("unreachable")


def _need_quorum(world: w.World) -> None:
    """Void when the cluster has lost its quorum since the plan was made: the next plan is held, and says so."""
    if not world.api.cluster_status().quorate:
        raise errors.Void("cluster not ready - no quorum?", hint="nothing more is written to this cluster")


def _of_step(context: eff.Context, number: int, journal: Journal) -> eff.Context:
    def tell(kind: str, data: Mapping[str, Any]) -> None:
        context.tell(kind, {"run": context.run, "step": number, **data})

    return dataclasses.replace(context, note=functools.partial(journal, number), tell=tell)


def settled(replan: Callable[[], result.Plan], waits: Collection[str] = ()) -> result.Plan:
    """The plan after the work, which must be empty but for what the VMs of ``waits`` were held with before: the law that everything
    here is tested by. VerifyFailed when it is not."""
    plan = replan()
    if not plan.empty and not plan.only(waits):
        holding = [
            one for one in plan.findings if one.holds and not (one.documents and set(one.documents) <= set(waits))
        ]
        rest = [f"{drift.path} ({drift.level})" for drift in plan.repairs]
        rest += [f"{finding.id}: {finding.summary}" for finding in holding]
        raise errors.VerifyFailed(f"{plan.node}: applied, and still not as declared: {'; '.join(rest)}")
    return plan
