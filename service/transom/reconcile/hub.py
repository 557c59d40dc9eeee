"""Events as they happen, for any number of readers: a bounded memory, and nobody who tells waits for somebody who reads."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from transom.reconcile import backend

HEARTBEAT = 1.0
"""Seconds after which a reader hears that there is nothing new."""


class Hub:
    """Thread-safe. ``seq`` begins with 1 in each life of the daemon."""

    def __init__(self, now: Callable[[], float], *, keep: int = 10_000) -> None:
        self._now = now
        self._kept: collections.deque[backend.Event] = collections.deque(maxlen=keep)
        self._seq = 0
        self._changed = threading.Condition()
        self._closed = False

    def tell(self, kind: str, node: str = "", data: Mapping[str, Any] | None = None) -> None:
        """``data`` in JSON types."""
        with self._changed:
            self._seq += 1
            self._kept.append(backend.Event(self._seq, self._now(), kind, node, data or {}))
            self._changed.notify_all()

    def events(self, after: int = 0) -> Iterator[backend.Event | None]:
        """As ``Backend.events``. A reader who falls behind what is kept goes on with the oldest that is; one whose ``after`` this
        life has not reached comes from another life, and gets all of this one."""
        with self._changed:
            after = after if after <= self._seq else 0
        while True:
            with self._changed:
                if not self._closed and self._seq <= after:
                    self._changed.wait(HEARTBEAT)
                fresh = [event for event in self._kept if event.seq > after] if self._seq > after else []
                if self._closed and not fresh:
                    return
            if not fresh:
                yield None
            for event in fresh:
                after = event.seq
                yield event

    def close(self) -> None:
        """Readers get what they have not had, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
