"""Restarting a running VM, where our changes are pending, through PVE's own reboot task, which brings them into effect."""

from __future__ import annotations

from transom.guest import conf
from transom.plan import actions as acts
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.reconcile.steps import guest


def prepare(action: acts.RestartGuest, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: acts.RestartGuest, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    del effect, context
    parsed = conf.parse(guest.read(action.vmid, world).decode())
    waiting = sorted(key for key in action.keys if parsed.current().get(key) != parsed.persisted().get(key))
    if not waiting:
        return f"VM {action.vmid} took the change while running; no restart"
    state = world.api.guests(world.node).get(action.vmid)
    if state is None or state.status != "running":
        return f"VM {action.vmid} does not run; its changes come into effect when it starts"
    world.api.wait(world.api.reboot(world.node, action.vmid), timeout=guest.TASK_LIMIT, on_log=world.say)
    return f"VM {action.vmid} was restarted for {', '.join(waiting)}"
