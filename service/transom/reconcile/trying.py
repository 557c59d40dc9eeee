"""Trying a plan on its node without carrying it out: ``plan --simulate``. What it leaves on the node is nothing."""

from __future__ import annotations

import dataclasses

from transom import model
from transom.plan import rehearsal, result, simulate
from transom.reconcile import world as w
from transom.reconcile.steps import simulate as step
from transom.spec import wish

_SWEEP = """find "${1%/*}" -maxdepth 1 -name "${1##*/}*" -mmin +1440 -exec rm -rf -- {} +"""
"""What a command that was cut off a day ago or more has left there."""


def aside(plan: result.Plan, node: wish.NodeWish, facts: model.Facts, world: w.World) -> rehearsal.Tried:
    """The node's own tools on the files as ``plan`` has them, an initramfs included, in a folder that goes again. Its user holds
    the node's lock: files that change meanwhile would be tried half."""
    if plan.held_whole:
        return rehearsal.Tried(None, ("not tried: the plan is held",))
    action = next(simulate.first(plan.actions, dataclasses.replace(node, simulate="full"), facts), None)
    if action is None:
        return rehearsal.Tried(None, ("nothing to try: the plan changes no file that the boot reads",))
    world.host.script(_SWEEP, [rehearsal.ASIDE_OF_PLAN])
    return step.try_aside(action, world.host, f"{rehearsal.ASIDE_OF_PLAN}{world.nonce()[:16]}")
