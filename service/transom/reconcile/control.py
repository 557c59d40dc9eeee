"""What holds for the whole fleet: whose it is, whether it is paused, and whether too much of it differs at once."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Callable
from typing import Any

from transom import errors
from transom.plan import policy
from transom.reconcile import hub, lease, settings
from transom.spec import wish
from transom.store import records, store

_PAUSE, _TRIPPED, _RESUMED, _OVER = "paused", "fleet-drift", "resumed-at", "lives-over"

_TOO_MANY = "fleet-drift: too many nodes newly differ at once; when that is right, transom resume goes on"


@dataclasses.dataclass(frozen=True)
class Pause:
    """Since when, by whom and why no new change starts. ``generation`` and ``lives`` are of other daemons that were seen."""

    reason: str
    by: str
    at: float
    generation: int = 0
    lives: tuple[str, ...] = ()


class Control:
    """Thread-safe, and as durable as the store."""

    def __init__(
        self,
        kept: store.Store,
        events: hub.Hub,
        options: settings.Settings,
        *,
        instance: str,
        nonce: Callable[[], str],
        now: Callable[[], float],
    ) -> None:
        self._store = kept
        self._events = events
        self._options = options
        self._now = now
        self.instance = instance
        self.life = nonce()
        self.fleet: str = kept.meta.put_first("fleet", nonce())

    # --- whose ---

    def mine(self) -> lease.Lease:
        """What a lease of ours would say now."""
        return lease.Lease(self.fleet, self.instance, self.life, self._store.meta.get("generation") or 0, self._now())

    def next_mine(self) -> lease.Lease:
        """The same for a run that is about to begin: every run is a generation of its own. The store knows it first."""
        self._store.meta.raise_to("generation", 1)
        mine = self.mine()
        self._store.lives.writes(mine.life, mine.generation)
        return mine

    def same_mine(self, held: lease.Lease) -> lease.Lease:
        """The lease that we hold, renewed: no run begins."""
        mine = dataclasses.replace(self.mine(), generation=held.generation)
        self._store.lives.writes(mine.life, mine.generation)
        return mine

    def known(self) -> lease.Known:
        """What a lease on a node is judged by."""
        over = frozenset(self._store.meta.get(_OVER) or ())
        return lease.Known(self.mine(), self._store.lives.all(), self._options.lease_lasts, over)

    def other_seen(self, found: lease.Found) -> None:
        """Our store is not the only one, or not the newest: nothing starts until a person has said who goes on."""
        if found.lease is None:
            return
        paused = self.paused() or Pause(found.reason, "transom", self._now())
        if found.lease.life in paused.lives and found.lease.generation <= paused.generation:
            return
        reason = paused.reason if found.reason in paused.reason else f"{paused.reason}; {found.reason}"
        generation = max(paused.generation, found.lease.generation)
        lives = tuple(sorted({*paused.lives, found.lease.life}))
        self._pause(dataclasses.replace(paused, reason=reason, generation=generation, lives=lives))

    # --- pause ---

    def may_start(self, moment: records.Moment, *, asked: bool) -> None:
        """Asked in the moment in which a run begins; ``asked``: it rests on an approval. Void when people have said otherwise since
        it was decided on."""
        if paused := _pause(moment.meta.get(_PAUSE)):
            raise errors.Void(f"paused: {paused.reason}")
        if _trip(moment.meta.get(_TRIPPED), moment.meta.get(_RESUMED)):
            raise errors.Void(_TOO_MANY)
        stands = moment.proposal
        if stands is not None and stands.state == records.REJECTED:
            raise errors.Void(stands.reason)
        if asked and not (stands and stands.open):
            raise errors.Void("it is not approved any more")

    def stopped(self) -> str:
        """Why nothing may start anywhere; empty when it may."""
        if paused := self.paused():
            return f"paused: {paused.reason}"
        return _TOO_MANY if self.tripped() else ""

    def paused(self) -> Pause | None:
        return _pause(self._store.meta.get(_PAUSE))

    def pause(self, reason: str, by: str) -> None:
        """No new change starts; one under way finishes. A second time changes only the reason."""
        before = self.paused() or Pause(reason, by, self._now())
        self._pause(dataclasses.replace(before, reason=reason, by=by))

    def resume(self, by: str) -> None:
        """Go on: past a pause, a fleet that differed at once, and paths that were fought over. A store that was restored counts
        as the newest from now on."""
        paused = self.paused()
        if paused and paused.lives:
            self._store.meta.put(_OVER, sorted({*self.known().over, *paused.lives}))
            self._store.meta.raise_to("generation", paused.generation)
            for life in paused.lives:
                self._store.lives.writes(life, paused.generation)
        self._store.meta.put(_PAUSE, None)
        self._store.meta.put(_RESUMED, self._now())
        self._store.meta.put(_TRIPPED, None)
        self._events.tell("fleet.resumed", data={"by": by})

    def resumed_at(self) -> float:
        """Seconds since the epoch; what was before was looked at by a person."""
        return self._store.meta.get(_RESUMED) or 0.0

    def _pause(self, pause: Pause) -> None:
        self._store.meta.put(_PAUSE, dataclasses.asdict(pause))
        self._events.tell("fleet.paused", data=dataclasses.asdict(pause))

    # --- too much at once ---

    def scan(self, count: int, limits: wish.Limits) -> policy.FleetScan:
        """The fleet of ``count`` nodes as one look saw it; one that tripped the breaker stays until a person resumes."""
        if tripped := self.tripped():
            return tripped
        now = self._now()
        begin = max(now - self._options.scan_every - self._options.scan_jitter, self.resumed_at())
        nodes = self._store.nodes.all().values()
        new = frozenset(one.node for one in nodes if one.differs_since is not None and one.differs_since >= begin)
        found = policy.FleetScan(count, new)
        if policy.fleet_drift(limits, found):
            data = {"nodes": count, "newly_drifted": sorted(new), "percent": limits.fleet_drift_percent, "at": now}
            self._store.meta.put(_TRIPPED, data)
            self._events.tell("fleet.held", data=data)
        return found

    def tripped(self) -> policy.FleetScan | None:
        return _trip(self._store.meta.get(_TRIPPED), self._store.meta.get(_RESUMED))


def _trip(data: Any, resumed: float | None) -> policy.FleetScan | None:
    """None, too, when the look that tripped it had begun before a person resumed, and came to its end only afterwards."""
    if not data or data.get("at", math.inf) <= (resumed or 0.0):
        return None
    return policy.FleetScan(data["nodes"], frozenset(data["newly_drifted"]), data.get("percent", 0))


def _pause(data: Any) -> Pause | None:
    return Pause(**{**data, "lives": tuple(data["lives"])}) if data else None


def aware(at: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at, tz=datetime.UTC)
