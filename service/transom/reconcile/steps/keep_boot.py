"""Keeping copies of what boots now, before the first file changes."""

from __future__ import annotations

from transom.plan import actions as acts
from transom.reconcile import deadman
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.reconcile.steps import reboot


def prepare(action: acts.KeepBoot, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: acts.KeepBoot, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """Rejected, with nothing changed yet, when there is no room or a file is none."""
    del effect
    return f"kept {deadman.keep(world.host, context.run, action, reboot.boot_id(world.host))}"
