"""How a process is told to end: by a signal or by one of its threads.

A signal's handler runs in the main thread between two of its instructions, so it must take no lock that this thread may hold just
then (`threading.Event.set` does); and a signal that comes just before a wait without end may never be seen. Hence a queue, whose
`put` is reentrant, and waits in short steps.
"""

from __future__ import annotations

import queue
from typing import Final

STEP: Final = 1.0
"""Seconds after which a signal that was missed by a wait is seen."""


class Stop:
    """An event that a signal handler may set, and that one thread waits for."""

    def __init__(self) -> None:
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        self._told.put(None)

    def is_set(self) -> bool:
        return not self._told.empty()

    def wait(self, seconds: float = STEP) -> bool:
        """Whether it was set before these seconds were over; stays set."""
        try:
            self._told.get(timeout=seconds)
        except queue.Empty:
            return False
        self.set()
        return True

    def wait_long(self) -> None:
        """Until it is set."""
        while not self.wait():
            pass
