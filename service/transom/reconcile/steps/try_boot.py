"""Booting a node once with a change as kernel parameters: begun, waited for, looked at, and its traces taken away either way.

A kernel that does not come up panics and reboots (``panic=30``); one that comes up and cannot be reached is rebooted by a unit
of its own. Both lead back to what boots ordinarily, because the boot loader forgets a one-shot entry before it boots it.
"""

from __future__ import annotations

from collections.abc import Iterator

from transom import errors, model
from transom.plan import once
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.reconcile.steps import files, reboot

_LOOK = """
cat /proc/cmdline || exit
for address; do
  driver=$(readlink "/sys/bus/pci/devices/$address/driver")
  printf '%s %s\\n' "$address" "${driver##*/}"
done
"""
_HINT = "nothing permanent was changed"


def prepare(action: once.TryBoot, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: once.TryBoot, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """Rejected when the node comes back on what it had, or without the effect, and when it does not go down. Unreachable when it
    does not come back in time."""
    del effect, context
    if reboot.boot_id(world.host) != action.boot_id:
        raise errors.Void("the node has rebooted since the plan was made", hint="plan again")
    files.owe(world.host, (model.Step.TRIAL,), boot_id="")
    try:
        _run(world, action.begin, "the trial boot cannot be prepared")
    except errors.Rejected:
        _forget(action, world)
        raise
    _leave(action, world)
    problems = list(_problems(action, world))
    if problems and _tried(action, world):
        reboot.again(world, "systemctl reboot", reboot.boot_id(world.host))
    _forget(action, world)
    if problems:
        raise errors.Rejected(f"the trial boot failed: {'; '.join(problems)}", hint=_HINT)
    return f"booted once with {' '.join(action.line)}: {_told(action)}"


def _leave(action: once.TryBoot, world: w.World) -> None:
    try:
        reboot.again(world, action.restart, action.boot_id)
    except errors.Rejected as error:
        if reboot.still(action.boot_id, world):  # whoever reboots it later does not want a trial
            _forget(action, world)
            error.advise(_HINT)
        raise


def _forget(action: once.TryBoot, world: w.World) -> None:
    """The traces away; then the mark by which a run that is cut off before has them taken away by the next plan."""
    _run(world, action.end, "the traces of the trial boot cannot be taken away")
    world.host.run(["rm", "-f", f"{eff.KEEP}/dirty/{model.Step.TRIAL}"])


def _told(action: once.TryBoot) -> str:
    return ", ".join(f"{address} has {driver}" for address, driver in action.drivers.items()) or "it came up"


def _run(world: w.World, script: str, what: str) -> None:
    done = world.host.script(script)
    if done.exit != 0:
        raise errors.Rejected(f"{what}: {done.stderr.decode(errors='replace').strip()}", hint=_HINT)


def _look(action: once.TryBoot, world: w.World) -> tuple[list[str], dict[str, str]]:
    done = world.host.script(_LOOK, [*action.drivers], read_only=True)
    if done.exit != 0:
        raise errors.Garbled("the trial boot cannot be looked at")
    line, *rows = done.stdout.decode(errors="replace").splitlines()
    return line.split(), {address: driver for address, _, driver in (row.partition(" ") for row in rows)}


def _tried(action: once.TryBoot, world: w.World) -> bool:
    return action.mark in _look(action, world)[0]


def _problems(action: once.TryBoot, world: w.World) -> Iterator[str]:
    """What is not as it has to be in the boot that answers."""
    line, drivers = _look(action, world)
    if action.mark not in line:
        yield f"with {' '.join(action.line)} it did not come up, and went back by itself"
        return
    for address, driver in action.drivers.items():
        if drivers.get(address) != driver:
            yield f"{address} has {drivers.get(address) or 'no driver'}, not {driver}"
