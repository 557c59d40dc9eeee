"""Restarting a running VM, where our changes are pending, through PVE's own reboot task, which brings them into effect."""

from __future__ import annotations

from collections.abc import Sequence

from transom import errors
from transom.guest import conf
from transom.plan import actions as acts
from transom.reconcile import dry_start, guests, task
from transom.reconcile import effect as eff
from transom.reconcile import world as w

_UP = 60
"""Seconds until a restarted VM runs: an HA manager takes its turns every 10."""


def prepare(action: acts.RestartGuest, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: acts.RestartGuest, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    del effect
    parsed = conf.parse(guests.text(guests.need(action.vmid, world)))
    waiting = sorted(key for key in action.keys if parsed.current().get(key) != parsed.persisted().get(key))
    if not waiting:
        return f"VM {action.vmid} took the change while running; no restart"
    state = world.api.guests(world.node).get(action.vmid)
    if state is None or state.status != "running":
        return f"VM {action.vmid} does not run; its changes come into effect when it starts"
    if said := dry_start.refusal(action.vmid, world, context):
        raise errors.Rejected(f"VM {action.vmid} was not restarted, for it would not come back: {said}")
    task.carry_out(world, context, "qmreboot", action.vmid, lambda: world.api.reboot(world.node, action.vmid))
    _verify(action.vmid, waiting, world)
    return f"VM {action.vmid} was restarted for {', '.join(waiting)}"


def _verify(vmid: int, keys: Sequence[str], world: w.World) -> None:
    """The task says that it was asked for (for a VM under HA no more than that), not that the VM runs with the change."""
    deadline = world.monotonic() + _UP
    while (state := world.api.guests(world.node).get(vmid)) is None or state.status != "running":
        if world.monotonic() >= deadline:
            raise errors.VerifyFailed(f"VM {vmid} was restarted and does not run {_UP} s later")
        world.sleep(1)
    parsed = conf.parse(guests.text(guests.need(vmid, world)))
    still = [key for key in keys if parsed.current().get(key) != parsed.persisted().get(key)]
    if still:
        raise errors.VerifyFailed(f"VM {vmid} was restarted, and {', '.join(still)} is still pending")
