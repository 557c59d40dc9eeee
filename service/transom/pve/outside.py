"""What the sessions of one process take from outside, and what they have in common: tickets, and turns to write."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

_WRITERS = 2
"""Writing calls under way at once on one node: pveproxy has three workers, and people use it, too."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Outside:
    """Time and chance."""

    now: Callable[[], float] = time.monotonic
    """Seconds that only rise."""
    wall: Callable[[], float] = time.time
    """Seconds since the epoch."""
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    """From 0 to below 1."""


class Common(Generic[T]):
    """One thing for each key, made when first asked for. Thread-safe."""

    def __init__(self) -> None:
        self._made: dict[Hashable, T] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What stands under ``key``."""
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]


class Turns:
    """Who may write now: a few at once on each node of a cluster. Thread-safe."""

    def __init__(self) -> None:
        self._slots: Common[threading.BoundedSemaphore] = Common()

    @contextlib.contextmanager
    def writing(self, cluster: Hashable, node: str) -> Iterator[None]:
        """Waits for a turn on ``node``; empty stands for the cluster itself."""
        with self._slots.get((cluster, node), lambda: threading.BoundedSemaphore(_WRITERS)):
            yield
