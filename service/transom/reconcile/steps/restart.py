"""Restarting a running VM, where our changes are pending, through PVE's own reboot task, which brings them into effect."""

from __future__ import annotations

from collections.abc import Sequence

from transom import errors, model
from transom.guest import conf
from transom.plan import guest_actions
from transom.pve import tasks
from transom.reconcile import dry_start, guests, restarts, task
from transom.reconcile import effect as eff
from transom.reconcile import world as w

_UP = 60
"""Seconds until a restarted VM runs: an HA manager takes its turns every 10."""


def prepare(action: guest_actions.RestartGuest, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: guest_actions.RestartGuest, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    del effect
    parsed = conf.parse(guests.text(guests.need(action.vmid, world)))
    waiting = sorted(key for key in action.keys if parsed.current().get(key) != parsed.persisted().get(key))
    if not waiting and not action.stale:
        return f"VM {action.vmid} took the change while running; no restart"
    state = world.api.guests(world.node).get(action.vmid)
    if state is None or state.status != "running":
        return f"VM {action.vmid} does not run; its changes come into effect when it starts"
    if said := dry_start.refusal(action.vmid, world, context):
        raise errors.Rejected(f"VM {action.vmid} was not restarted, for it would not come back: {said}")
    known = world.api.task_ids(world.node, action.vmid)
    begun = restarts.now(action.vmid, context.run, known, world.now())
    context.note(restarts.PHASE, f"VM {action.vmid} runs, and is restarted", model.to_json(begun))
    task.carry_out(world, context, "qmreboot", action.vmid, lambda: world.api.reboot(world.node, action.vmid))
    _await_running(action.vmid, frozenset(known), world)
    _verify(action.vmid, waiting, world)
    return f"VM {action.vmid} was restarted for {', '.join(sorted({*waiting, *action.stale}))}"


def _await_running(vmid: int, known: frozenset[str], world: w.World) -> None:
    """The task says that the VM was shut down (for one under HA only that it was asked for), not that it runs with the change.
    ``known``: the VM's tasks before. Rejected, with what PVE says, when it does not start."""
    deadline = world.monotonic() + _UP
    while (state := world.api.guests(world.node).get(vmid)) is None or state.status != "running":
        _refused(vmid, known, world)
        if world.monotonic() >= deadline:
            raise errors.VerifyFailed(f"VM {vmid} was restarted and does not run {_UP} s later")
        world.sleep(1)


def _verify(vmid: int, keys: Sequence[str], world: w.World) -> None:
    parsed = conf.parse(guests.text(guests.need(vmid, world)))
    still = [key for key in keys if parsed.current().get(key) != parsed.persisted().get(key)]
    if still:
        raise errors.VerifyFailed(f"VM {vmid} was restarted, and {', '.join(still)} is still pending")


def _refused(vmid: int, known: frozenset[str], world: w.World) -> None:
    """Rejected or Busy when the start failed, with what PVE says. qmreboot only stops: qmeventd starts the VM in a task of its own
    (qemu-server, vm_reboot)."""
    try:
        starts = [
            one for one in world.api.task_ids(world.node, vmid) if one not in known and tasks.kind(one) == "qmstart"
        ]
        if starts:
            tasks.judge(
                world.api.follow(starts[0], timeout=_UP, sleep=world.sleep, now=world.monotonic, on_log=world.say)
            )
    except errors.Denied as error:  # another user's task: then only waiting tells
        world.say(f"the task that starts VM {vmid} cannot be read: {error}")
    except (errors.Rejected, errors.Busy) as error:
        raise type(error)(f"VM {vmid} was shut down for its restart and is not up again: {error}") from error
