"""Emptying a node before its reboot. What it is emptied of is written down on it first, and so given back after any crash."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from transom import errors, model
from transom.guest import order
from transom.plan import drain as plans
from transom.plan import emptying
from transom.reconcile import effect as eff
from transom.reconcile import emptied
from transom.reconcile import world as w
from transom.ssh import files as remote

_LONGER = 60
"""Seconds beyond a guest's own limit until its command must have ended."""
_MOVE = 3600
"""Seconds for one migration."""
_HA = 900
"""Seconds until HA has moved or stopped its services."""
POLL = 2.0


def prepare(action: emptying.Drain, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: emptying.Drain, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """Void when something speaks against the reboot now; Rejected when a guest or HA does not go."""
    del effect
    context.refuse_now(emptied=False)
    seen = emptied.look(world)
    record = _record(world, context, seen)
    if record.owes:
        emptied.write(world.host, record)
    record = _hold_starts(action.onboot, record, world, context)
    record = _leave_ha(record, seen, world)
    plain = [guest for guest in seen.running if guest not in seen.managed]
    moving = [guest for guest in plain if action.how == "migrate" and not plans.has_devices(seen.configs[guest])]
    record, stayed = _move(moving, record, world, context)
    down = [guest for guest in plain if guest not in moving or guest in stayed]
    _shut_down(down, seen, action.timeout, world)
    if rest := emptied.look(world).running:
        raise errors.Rejected(f"{order.named(rest)} still run on {world.node}: it is not rebooted over them")
    gone = [f"{order.named(tuple(record.moved))} moved"] if record.moved else []
    gone += [f"{order.named(down)} shut down"] if down else []
    return "; ".join(gone) or "nothing runs on it"


def _record(world: w.World, context: eff.Context, seen: emptied.Seen) -> model.Drained:
    """With what an earlier run is still owed: it ran before that."""
    old = emptied.read(world.host)
    now = model.Drained(context.run, context.boot_id, seen.running)
    if old is None:
        return now
    ran = tuple(dict.fromkeys((*old.ran, *now.ran)))
    return dataclasses.replace(old, run=context.run, boot_id=context.boot_id, ran=ran, tries=0, said=())


def _hold_starts(vmids: Sequence[int], record: model.Drained, world: w.World, context: eff.Context) -> model.Drained:
    """``onboot`` off, with the list from which the node's own rollback gives it back."""
    if not vmids:
        return record
    folder = f"{eff.KEEP}/rollback/{context.run}"
    emptied.put(world.host, f"{folder}/onboot", "".join(f"{vmid}\n" for vmid in vmids))
    for vmid in vmids:
        path = eff.guest_path(vmid)
        before = remote.read(world.host, path)
        if before is None:
            continue
        remote.keep(world.host, path, backup=context.backup, on_pmxcfs=True)
        held = model.HeldStart(remote.sha256(before), "")
        record = _noted(record, world, onboot={**record.onboot, vmid: held})
        emptied.run(world, ["qm", "set", str(vmid), "--onboot", "0"])
        held = dataclasses.replace(held, held=remote.sha256(remote.read(world.host, path) or b""))
        record = _noted(record, world, onboot={**record.onboot, vmid: held})
    return record


def _leave_ha(record: model.Drained, seen: emptied.Seen, world: w.World) -> model.Drained:
    """Services that cannot move are asked to stop, the others leave by maintenance."""
    if not seen.active:
        return record
    pinned = {
        seen.managed[guest]: "started"
        for guest in seen.managed
        if guest in seen.running and plans.has_devices(seen.configs[guest])
    }
    record = _noted(record, world, services={**pinned, **record.services}, maintenance=True)
    for service in pinned:
        emptied.run(world, ["ha-manager", "set", service, "--state", "stopped"])
    emptied.run(world, ["ha-manager", "crm-command", "node-maintenance", "enable", world.node])
    leaving = [guest for guest in seen.managed if guest in seen.running]
    deadline = world.monotonic() + _HA
    while (now := emptied.look(world)).active or [guest for guest in leaving if guest in now.running]:
        if world.monotonic() >= deadline:
            here = [seen.managed[guest] for guest in leaving if guest in now.running]
            raise errors.Rejected(
                f"HA has not taken {', '.join(here or now.active)} off {world.node} within {_HA} s",
                hint="`ha-manager status` on the node tells what keeps them",
            )
        world.sleep(POLL)
    return record


def _move(
    guests: Iterable[str], record: model.Drained, world: w.World, context: eff.Context
) -> tuple[model.Drained, list[str]]:
    """To the other node with the most memory free; those that PVE does not move (a local disk) stay, and are shut down."""
    stayed: list[str] = []
    for guest in guests:
        target = emptied.target(world)
        if not target:
            stayed.append(guest)
            context.note("stays", f"{order.named([guest])} stays: no other node is online", None)
            continue
        record = _noted(record, world, moved={**record.moved, guest: target})
        how = "--online" if guest.startswith("qemu/") else "--restart"
        words = [order.tool(guest), "migrate", str(order.number(guest)), target, how]
        done = world.host.run(words, timeout=_MOVE)
        if done.exit != 0:
            stayed.append(guest)
            context.note("stays", f"{order.named([guest])} stays: {emptied.said(done)}", None)
            record = _noted(record, world, moved={one: to for one, to in record.moved.items() if one != guest})
    return record, stayed


def _shut_down(guests: Sequence[str], seen: emptied.Seen, timeout: int, world: w.World) -> None:
    """In PVE's order, groups of the same order at once. Each is stopped hard when its time is over, as PVE's own shutdown does."""
    limits = {guest: order.startup(seen.configs[guest].get("startup", "")) for guest in guests}
    for group in reversed(order.groups(limits)):
        seconds = {guest: timeout if (down := limits[guest].down) is None else down for guest in group}
        lines = [
            f"{order.tool(one)} shutdown {order.number(one)} --timeout {seconds[one]} --forceStop 1 &" for one in group
        ]
        world.say(f"shutting down {order.named(group)}")
        world.host.script("\n".join([*lines, "wait"]), timeout=max(seconds.values()) + _LONGER)


def _noted(record: model.Drained, world: w.World, **changes: object) -> model.Drained:
    """Written down on the node before it is done."""
    new = dataclasses.replace(record, **changes)  # type: ignore[arg-type]
    emptied.write(world.host, new)
    return new
