"""Starting a VM that a restart of ours has left off."""

from __future__ import annotations

from transom import errors
from transom.plan import guest_actions
from transom.reconcile import dry_start, task
from transom.reconcile import effect as eff
from transom.reconcile import world as w


def prepare(action: guest_actions.StartGuest, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: guest_actions.StartGuest, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    del effect
    if _runs(action.vmid, world):
        return f"VM {action.vmid} runs already"
    if said := dry_start.refusal(action.vmid, world, context):
        raise errors.Rejected(f"VM {action.vmid} was not started, for it would not come up: {said}")
    task.carry_out(world, context, "qmstart", action.vmid, lambda: world.api.start(world.node, action.vmid))
    if not _runs(action.vmid, world):
        raise errors.VerifyFailed(f"VM {action.vmid} was started and does not run")
    return f"VM {action.vmid} runs"


def _runs(vmid: int, world: w.World) -> bool:
    state = world.api.guests(world.node).get(vmid)
    return state is not None and state.status == "running"
