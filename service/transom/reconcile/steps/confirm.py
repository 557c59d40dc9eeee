"""Confirming the boot after a change: only then does the node not go back by itself."""

from __future__ import annotations

import dataclasses
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
    it has; Unreachable when it has gone and does not come back."""
    del effect
    start, told = world.monotonic(), _Told(context)
    while True:
        facts = _look(world)
        waited, gone = world.monotonic() - start, deadman.rolled_back(facts)
        if gone and gone.run == context.run:  # until it has left the boot in which it went back, it is about to reboot
            if gone.boot_id != facts.boot.boot_id or waited >= world.reboot_limit:
                raise told.went_back(world.node, gone)
        elif missing := against(action, facts, world):
            told.tell(missing, facts, late=waited >= _SETTLES)
            if waited >= _SETTLES:
                raise errors.VerifyFailed(f"not confirmed: {'; '.join(missing)}", hint=goes_back(facts))
        else:
            deadman.disarm(world.host, context.run)
            return "confirmed; the node keeps this boot"
        world.sleep(_POLL)


def _look(world: w.World) -> model.Facts:
    """A node that goes down meanwhile is waited for: it can tell then whether it has gone back."""
    patience = reboot.Patience(world, world.now())
    return patience.until("SSH", lambda: host_facts.facts(world.node, observe.sections(world)), quiet=True)


@dataclasses.dataclass
class _Told:
    """What is missing, said and journalled once it is so in two looks: drivers come a little later than SSH."""

    context: eff.Context
    seen: tuple[str, ...] = ()
    said: tuple[str, ...] = ()

    def tell(self, missing: tuple[str, ...], facts: model.Facts, *, late: bool) -> None:
        """``late``: there is no second look."""
        if missing != self.said and (late or missing == self.seen):
            self.said = missing
            self._note(f"not confirmed yet: {'; '.join(missing)}; {goes_back(facts)}")
        self.seen = missing

    def went_back(self, node: str, gone: model.RolledBack) -> errors.WentBack:
        if not self.said:
            self.said = self.seen or ("SSH, the API or quorum",)
            self._note(f"not confirmed: {'; '.join(self.said)}")
        return deadman.went_back(node, gone, self.said)

    def _note(self, text: str) -> None:
        self.context.note(deadman.MISSING, text, list(self.said))


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


def goes_back(facts: model.Facts) -> str:
    """When the node goes back by itself, by its own clock."""
    armed = deadman.waits(facts)
    if armed is None or isinstance(facts.boot.time_ns, model.Unknown):
        return "the node goes back by itself when its time is over"
    at = datetime.datetime.fromtimestamp(facts.boot.time_ns / 1e9 + armed.within, tz=datetime.UTC)
    return f"the node goes back by itself at {at:%H:%M:%S} UTC by its clock"
