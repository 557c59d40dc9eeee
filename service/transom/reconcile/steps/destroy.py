"""Deleting a VM that Transom made, after its user has typed its name: by the API, stopped VMs only."""

from __future__ import annotations

from transom import errors
from transom.guest import conf, identity
from transom.plan import guest_actions
from transom.reconcile import effect as eff
from transom.reconcile import guests, task
from transom.reconcile import world as w


def prepare(action: guest_actions.DestroyGuest, world: w.World) -> eff.Effect:
    """No file to put back: a configuration without its disks would be no way back."""
    del action, world
    return eff.Effect()


def apply(action: guest_actions.DestroyGuest, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """Void when the VM is not the very one that the plan saw."""
    del effect
    present = guests.read(action.vmid, world)
    if present is None:
        return f"VM {action.vmid} is gone already"
    if present.digest != action.digest:
        raise errors.Void(f"VM {action.vmid} was changed since the plan was made", hint="plan again")
    if identity.marked(conf.parse(guests.text(present))) != action.name:
        raise errors.Void(f"VM {action.vmid} is not marked for {action.name}", hint="plan again")
    task.carry_out(world, context, "qmdestroy", action.vmid, lambda: world.api.destroy(world.node, action.vmid))
    if guests.read(action.vmid, world) is not None:
        raise errors.VerifyFailed(f"VM {action.vmid} was deleted, and {eff.guest_path(action.vmid)} is still there")
    return f"VM {action.vmid} is gone"
