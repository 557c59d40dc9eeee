"""Arming the way back that the node goes by itself, with a rescue card for whoever sits at its console."""

from __future__ import annotations

from transom.plan import actions as acts
from transom.reconcile import deadman
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.reconcile.steps import reboot
from transom.report import rescue_card, run_text


def prepare(action: acts.ArmRollback, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: acts.ArmRollback, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """The card is in the journal before the node is armed. Rejected when the units cannot be written."""
    del effect
    within = action.within or int(world.confirm_within)
    folder = f"{deadman.FOLDER}/{context.run}"
    card = rescue_card.text(action, node=world.node, run=context.run, within=within, folder=folder)
    context.note(run_text.CARD, f"rescue card: `transom run show {context.run} --card`", {"card": card})
    deadman.arm(world.host, context.run, reboot.boot_id(world.host), within, card)
    return f"the node goes back by itself {within} s after its next start, unless that boot is confirmed"
