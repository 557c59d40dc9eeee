"""Letting go without a daemon: release and removal by the same checks and the same run as in its turn, at once or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager

from transom import errors
from transom.plan import result
from transom.reconcile import asks, claim, driftlog, papers, parting
from transom.reconcile import world as w
from transom.spec import wish
from transom.store import store


@dataclasses.dataclass(frozen=True)
class Ways:
    """How a node is come by. ``reach`` connects, ``turn`` keeps other processes off it, ``take`` makes it ours for a change."""

    reach: Callable[[wish.NodeWish], AbstractContextManager[w.World]]
    turn: Callable[[wish.NodeWish], AbstractContextManager[None]]
    take: Callable[[w.World], None]


@dataclasses.dataclass(frozen=True)
class Letting:
    """``by`` is whoever asks. The plan of a release or removal comes of what is stored: documents that are not are not let go."""

    store: store.Store
    papers: papers.Papers
    asks: asks.Asks
    claim: claim.Claim
    drift: driftlog.Log
    ways: Ways
    by: str

    def propose(self, kind: str, name: str) -> result.Plan | None:
        """What ``release`` or ``remove`` (``kind``) of a document would do; None when it has nothing on any node."""
        title, node = self.asks.leaving(kind, name)
        if node is None:
            return None
        found = self.papers.need(node)
        with self.ways.reach(found) as world:
            plan = self._of(kind, title, found, world).propose()
            return claim.hold(plan, self.claim.find(world.host))

    def carry_out(self, kind: str, name: str, approved: str) -> str:
        """Do it; the run's id, empty when nothing on a node was ours. Void when the plan is not ``approved`` or is held."""
        title, node = self.asks.leaving(kind, name)
        self.asks.refuse_under_way(title)
        if node is None:
            self.asks.forget(kind, title, self.by)
            return ""
        found = self.papers.need(node)
        with self.ways.turn(found), self.ways.reach(found) as world:
            run = self._part(kind, title, found, world, approved)
            if whole := title == found.document:
                self.claim.give_up(world.host)
            self.asks.forget(kind, title, self.by)
            if whole:
                self.drift.forget(node, world.now())
        return run

    def _part(self, kind: str, title: str, node: wish.NodeWish, world: w.World, approved: str) -> str:
        leaving = self._of(kind, title, node, world)
        plan = leaving.propose()
        if plan.held_whole:
            raise errors.Void(f"{plan.node}: a finding holds the plan: {result.summary(plan)}")
        if not plan.actions and not plan.forgets:
            return ""
        if plan.actions and plan.hash != approved:
            raise errors.Void(
                f"{plan.node}: the plan is {plan.hash} now, not {approved or 'what was shown'}", hint="look again"
            )
        self.ways.take(world)
        return leaving.apply(plan.hash)

    def _of(self, kind: str, title: str, node: wish.NodeWish, world: w.World) -> parting.Parting:
        return parting.of(node, self.papers.with_parts(title), self.papers, world, self.store, kind)
