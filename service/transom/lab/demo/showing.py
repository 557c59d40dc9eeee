"""The demo's stage: prints with the time since its start, follows the daemon's events, and insists on what must come about."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from transom import errors
from transom.lab.demo import asking, serving, telling

PATIENCE = 120.0
"""Seconds that one thing may take: several times what it needs on a machine that is busy with other work."""
_BEAT = 0.25
"""Seconds between two looks when nothing happens."""


class Show:
    """One showing to one listener; ``print_line`` takes one line."""

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print = print_line
        self._started = time.time()
        self.heard: list[Mapping[str, Any]] = []
        """Every event so far."""

    # --- saying ---

    def title(self, text: str) -> None:
        self._print(f"\n=== {text}")

    def say(self, text: str, *, at: float | None = None) -> None:
        """A line with the seconds since the start; ``at`` is since the epoch, by default now."""
        self._print(f"{(time.time() if at is None else at) - self._started:6.1f} s  {text}")

    def plain(self, text: str) -> None:
        self._print(text)

    def check(self, good: bool, what: str) -> None:
        """Says ``what`` when it is true; VerifyFailed when it is not."""
        if not good:
            raise errors.VerifyFailed(f"the demo failed: this is not so: {what}")
        self.say(f"✓ {what}")

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.time() - self._started

    # --- following ---

    def follow(
        self,
        daemon: serving.Daemon,
        events: asking.Events,
        done: Callable[[], bool],
        what: str,
        *,
        steps: bool = True,
    ) -> None:
        """Tells the events until ``done``; VerifyFailed when that takes too long, or when meanwhile a run has failed or the whole
        fleet is held."""
        end = time.monotonic() + PATIENCE
        while not done():
            daemon.check()
            if (event := events.next(_BEAT)) is not None:
                self._tell(event, steps=steps)
                _insist(event)
            if time.monotonic() > end:
                raise errors.VerifyFailed(f"the demo failed: not within {PATIENCE:.0f} s: {what}")
        self._catch_up(events, steps=steps)

    def _catch_up(self, events: asking.Events, *, steps: bool) -> None:
        """What has been told in the moment before and after: the API may answer before the events come."""
        while (event := events.next(_BEAT)) is not None:
            self._tell(event, steps=steps)
            _insist(event)

    def stay(self, daemon: serving.Daemon, events: asking.Events, enough: Callable[[], bool]) -> None:
        """Tells whatever happens, until there is ``enough``."""
        while not enough():
            daemon.check()
            if (event := events.next(_BEAT)) is not None:
                self._tell(event, steps=True)

    def _tell(self, event: Mapping[str, Any], *, steps: bool) -> None:
        before = self.heard[-1] if self.heard else None
        self.heard.append(event)
        for line in telling.lines(event, before, steps=steps):
            self.say(line, at=event["at"])


def _insist(event: Mapping[str, Any]) -> None:
    """VerifyFailed at what has no place in a showing."""
    data = event["data"]
    if event["kind"] == "run.ended" and data["state"] != "applied":
        raise errors.VerifyFailed(f"the demo failed: run {data['id']} ended as {data['state']}: {data['error']}")
    if event["kind"] == "fleet.held":
        raise errors.VerifyFailed("the demo failed: more nodes newly differ at once than the policies believe")
