"""Rings every node at its interval, and does nothing else. The one owner of APScheduler."""

from __future__ import annotations

import datetime
import random
import threading
from collections.abc import Callable, Iterable
from typing import Any

from apscheduler.executors import pool
from apscheduler.schedulers import background
from apscheduler.triggers import interval

REASON = "schedule"
"""What a scheduled ring gives as its reason."""


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Schedule:
    """Rings each node every ``every`` seconds, up to half of ``jitter`` seconds sooner or later, so that they do not come together.

    ``ring(node, reason)`` must not block. What is late (the process was stopped, the machine slept) is rung once, however much was
    missed. APScheduler goes by the wall clock: when that is put back, rings pause for as long.
    """

    def __init__(
        self,
        ring: Callable[[str, str], None],
        *,
        every: float,
        jitter: float,
        now: Callable[[], datetime.datetime] = _utc_now,
        rng: random.Random | None = None,
    ) -> None:
        if not 0 <= jitter <= every:
            raise ValueError(f"jitter must lie between 0 and every, {every:g}: {jitter:g}")
        self._ring = ring
        self._every = every
        self._jitter = jitter
        self._now = now
        self._rng = rng or random.Random()
        self._changing = threading.Lock()
        self._scheduler = background.BackgroundScheduler(
            timezone=datetime.UTC, executors={"default": pool.ThreadPoolExecutor(1)}, daemon=True
        )

    def start(self) -> None:
        """Rings begin; those of nodes that were followed before come now."""
        self._scheduler.start()

    def follow(self, nodes: Iterable[str]) -> None:
        """From now on these nodes and no others. A new one is rung within ``jitter`` seconds, the others go on as they were."""
        wanted = set(nodes)
        with self._changing:
            known = set(self._jobs())
            for node in sorted(known - wanted):
                self._scheduler.remove_job(node)
            for node in sorted(wanted - known):
                self._add(node)

    def next_rings(self) -> dict[str, datetime.datetime]:
        """Node → when it is rung next."""
        return {node: job.next_run_time for node, job in self._jobs().items()}

    @property
    def alive(self) -> bool:
        """Whether rings come."""
        return bool(self._scheduler.running)

    def close(self) -> None:
        """No ring comes after this."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _jobs(self) -> dict[str, Any]:
        return {job.id: job for job in self._scheduler.get_jobs()}

    def _add(self, node: str) -> None:
        self._scheduler.add_job(
            self._ring,
            # the jitter only ever adds, and is in what the next one is counted from
            interval.IntervalTrigger(
                seconds=self._every - self._jitter / 2, jitter=self._jitter, timezone=datetime.UTC
            ),
            args=(node, REASON),
            id=node,
            name=f"ring {node}",
            next_run_time=self._now() + datetime.timedelta(seconds=self._rng.uniform(0, self._jitter)),
            misfire_grace_time=None,  # however late: rung
            coalesce=True,  # however often missed: rung once
        )
