"""Confirming the boot after a change: only then does the node not go back by itself."""

from __future__ import annotations

import datetime

from transom import errors, model
from transom.host import facts as host_facts
from transom.plan import actions as acts
from transom.plan import reboot as around
from transom.reconcile import deadman, observe
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.reconcile.steps import reboot

_SETTLES = 60
"""Seconds at most that drivers may take to be bound once SSH answers."""
_POLL = 2


def prepare(action: acts.Confirm, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: acts.Confirm, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """VerifyFailed when the boot is not as the plan wanted it, with the time at which the node goes back by itself; WentBack when
    it has."""
    del effect
    end = world.monotonic() + _SETTLES
    while True:
        facts = host_facts.facts(world.node, observe.sections(world))
        missing = against(action, facts, world)
        if not missing or world.monotonic() >= end or deadman.rolled_back(facts):
            break
        world.sleep(_POLL)
    _refuse(missing, facts, context.run)
    deadman.disarm(world.host, context.run)
    return "confirmed; the node keeps this boot"


def against(action: acts.Confirm, facts: model.Facts, world: w.World) -> tuple[str, ...]:
    """What keeps the boot that ``facts`` show from being confirmed now."""
    return around.missing(action, facts) or _unreachable(world)


def _unreachable(world: w.World) -> tuple[str, ...]:
    """What of the API and the cluster is missing."""
    try:
        reboot.api_answers(world)
        return () if reboot.quorate(world) else ("the cluster is not quorate",)
    except errors.TransomError as error:
        return (f"the API does not answer: {error}",)


def _refuse(missing: tuple[str, ...], facts: model.Facts, run: str) -> None:
    back = deadman.rolled_back(facts)
    if back and back.run == run:
        raise errors.WentBack(f"the node went back by itself: {back.reason}")
    if missing:
        raise errors.VerifyFailed(f"not confirmed: {'; '.join(missing)}", hint=goes_back(facts))


def goes_back(facts: model.Facts) -> str:
    """When the node goes back by itself, by its own clock."""
    armed = deadman.waits(facts)
    if armed is None or isinstance(facts.boot.time_ns, model.Unknown):
        return "the node goes back by itself when its time is over"
    at = datetime.datetime.fromtimestamp(facts.boot.time_ns / 1e9 + armed.within, tz=datetime.UTC)
    return f"the node goes back by itself at {at:%H:%M:%S} UTC by its clock"
