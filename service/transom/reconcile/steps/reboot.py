"""Rebooting a node and waiting for it: another boot id is the only proof."""

from __future__ import annotations

from transom import errors
from transom.plan import actions as acts
from transom.reconcile import effect as eff
from transom.reconcile import world as w

_BOOT_ID = ["cat", "/proc/sys/kernel/random/boot_id"]
# Detached, so that the answer to this very command still gets out.
_REBOOT = "setsid -f sh -c 'sleep 0.3; exec systemctl reboot' >/dev/null 2>&1 </dev/null"
POLL = 0.5
REPORT_EVERY = 15


def boot_id(host: w.Host) -> str:
    """Unreachable when it cannot be asked, so that waiting goes on."""
    done = host.run(_BOOT_ID, timeout=10)
    if done.exit != 0:
        raise errors.Unreachable("the boot id could not be read")
    return done.stdout.decode().strip()


def prepare(action: acts.Reboot, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: acts.Reboot, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """Unreachable when the node is not back in time. A node that has rebooted since the plan is not rebooted again."""
    del effect, context
    if boot_id(world.host) != action.boot_id:
        return "the node has rebooted already"
    done = world.host.script(_REBOOT)
    if done.exit != 0:
        raise errors.Rejected(f"the reboot could not be started: {done.stderr.decode(errors='replace').strip()}")
    started = world.now()
    new = _wait(action.boot_id, world, started)
    world.host.run(["rm", "-f", f"{eff.KEEP}/reboot-from"])
    return f"back after {world.now() - started:.0f} s with boot id {new[:8]}…"


def _wait(old: str, world: w.World, started: float) -> str:
    world.host.close()
    told = started
    while world.now() - started < world.reboot_limit:
        world.sleep(POLL)
        try:
            host = world.connect()
        except (errors.Unreachable, errors.Garbled):
            host = None
        if host is not None:
            try:
                if (new := boot_id(host)) != old:
                    world.host = host
                    return new
            except errors.Unreachable:
                pass
            host.close()
        if world.now() - told >= REPORT_EVERY:
            told = world.now()
            world.say(f"waiting for {world.node} to come back ({told - started:.0f} s)")
    raise errors.Unreachable(
        f"{world.node} is not back after {world.reboot_limit:.0f} s",
        hint="look at its console; once it is up, run the plan again",
    )
