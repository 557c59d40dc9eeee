"""One reader of the loop's events for all who listen: a thread takes them in, keeps the latest, and gives each listener its own
bounded queue. Who does not keep up is dropped, never waited for."""

from __future__ import annotations

import asyncio
import collections
import threading
from collections.abc import Callable, Iterator, Sequence

from transom.reconcile import backend

KEPT = 4096
"""Events that a client can still ask for after it was away."""
BEHIND = 1024
"""Events that a listener may be behind."""
LISTENERS = 512


class Full(Exception):
    """There are ``LISTENERS`` already."""


class Listener:
    """One client's queue, used in its event loop only. ``dropped`` is called when it is too far behind."""

    def __init__(self, backlog: Sequence[backend.Event], limit: int) -> None:
        self.dropped: Callable[[], None] = lambda: None
        self.ended = False
        self._loop = asyncio.get_running_loop()
        self._waiting = collections.deque(backlog)
        self._limit = len(backlog) + limit
        self._some = asyncio.Event()
        if backlog:
            self._some.set()

    async def take(self) -> list[backend.Event]:
        """Everything that is waiting, at least one event; nothing once the feed has ended."""
        await self._some.wait()
        self._some.clear()
        taken = list(self._waiting)
        self._waiting.clear()
        if self.ended:
            self._some.set()
        return taken

    def send(self, event: backend.Event | None) -> None:
        """From any thread; None ends it."""
        try:
            self._loop.call_soon_threadsafe(self._put, event)
        except RuntimeError:  # its loop is closed, so nobody listens
            self.ended = True

    def _put(self, event: backend.Event | None) -> None:
        if event is None:
            self.ended = True
        elif len(self._waiting) >= self._limit:
            self._waiting.clear()
            self.dropped()
        else:
            self._waiting.append(event)
        self._some.set()


class Feed:
    """``life`` names this life of the daemon: sequence numbers of another one mean nothing here."""

    def __init__(
        self, source: Callable[[], Iterator[backend.Event | None]], life: str, *, kept: int = KEPT, behind: int = BEHIND
    ) -> None:
        self.life = life
        self._source = source
        self._behind = behind
        self._kept: collections.deque[backend.Event] = collections.deque(maxlen=kept)
        self._listeners: set[Listener] = set()
        self._changing = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._read, name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Every listener's stream ends; the thread does within a second or so, and is not waited for."""
        self._stopped.set()
        self._end()

    def listen(self, after: int | None) -> tuple[Listener, bool]:
        """A listener that gets what came after event ``after`` (None: from now on), and whether some of that is lost. Full."""
        with self._changing:
            if len(self._listeners) >= LISTENERS:
                raise Full
            backlog = [] if after is None else [event for event in self._kept if event.seq > after]
            listener = Listener(backlog, self._behind)
            self._listeners.add(listener)
            if self._stopped.is_set():
                listener.send(None)
            return listener, after is not None and self._lost(after)

    def leave(self, listener: Listener) -> None:
        with self._changing:
            self._listeners.discard(listener)

    def _lost(self, after: int) -> bool:
        """Whether events after ``after`` are kept no longer, or ``after`` has never been."""
        if not self._kept:
            return after > 0
        return not self._kept[0].seq - 1 <= after <= self._kept[-1].seq

    def _read(self) -> None:
        for event in self._source():
            if self._stopped.is_set():
                break
            if event is not None:
                self._spread(event)
        self._end()

    def _spread(self, event: backend.Event) -> None:
        with self._changing:
            self._kept.append(event)
            for listener in self._listeners:
                listener.send(event)

    def _end(self) -> None:
        with self._changing:
            for listener in self._listeners:
                listener.send(None)
