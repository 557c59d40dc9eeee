"""Running what the boot is rebuilt with, and taking the mark away once it has succeeded."""

from __future__ import annotations

import shlex

from transom import errors
from transom.plan import actions as acts
from transom.reconcile import effect as eff
from transom.reconcile import world as w

LIMIT = 1800
"""Seconds for one rebuild: an initramfs for every installed kernel on a slow disk."""


def prepare(action: acts.RunStep, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: acts.RunStep, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """Rejected with the end of the command's output when it fails; the mark stays, so that the next run does it again."""
    del effect, context
    command = action.line
    done = world.host.run(shlex.split(command), timeout=LIMIT)
    if done.exit != 0:
        tail = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()[-5:]
        raise errors.Rejected(
            f"{command} ended with {done.exit}: {' / '.join(tail)}", hint="run it by hand on the node"
        )
    mark = world.host.run(["rm", "-f", f"{eff.KEEP}/dirty/{action.step}"])
    if mark.exit != 0:
        raise errors.Rejected(f"cannot remove {eff.KEEP}/dirty/{action.step}")
    return f"{command} succeeded"
