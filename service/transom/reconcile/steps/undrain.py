"""Giving a node back what it was emptied of, once it has rebooted. What does not come is told, and tried again at later looks."""

from __future__ import annotations

from transom.plan import emptying
from transom.reconcile import effect as eff
from transom.reconcile import emptied, task
from transom.reconcile import world as w


def prepare(action: emptying.Undrain, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: emptying.Undrain, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """Guests that do not start keep nothing from going on: what comes next may be what they lack."""
    del action, effect
    record = emptied.read(world.host)
    left = emptied.give_back(world, record) if record else None
    if left is None:
        return "everything is as it was"
    context.note(task.FINDING, f"not everything has come back: {'; '.join(left.said)}", None)
    return f"not yet: {'; '.join(left.said)}"
