"""Whose turn it is: rings of a node become one run, a node has one run at a time, no ring is lost, no node waits for another.

``Queue`` is all that the rest knows, so that a queue in a database can take this one's place. ``WorkQueue`` gives every run a
thread of its own, since runs block, and a node that hangs keeps only its own.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from transom import errors
from transom.reconcile import agenda

log = logging.getLogger(__name__)

_LONGEST_WAIT = 3600.0
"""Seconds; longer ones are waited for in parts (``threading.TIMEOUT_MAX``)."""
_NO_THREAD = 1.0
"""Seconds until another try when the system gives no thread."""


@dataclasses.dataclass(frozen=True)
class Again:
    """What a run asks for: the node's next turn in ``delay`` seconds, when something else should have gone on by then."""

    delay: float
    reason: str


Work = Callable[[str, tuple[str, ...]], Again | None]
"""(node, reasons of the rings) → nothing, or another turn. It may raise anything; the error's class decides on another try."""


class Queue(Protocol):
    """Where everything that happens to a node is rung in: by the schedule, the API, a watcher."""

    def ring(self, node: str, reason: str, delay: float = 0) -> None:
        """The node gets a turn after this call, in ``delay`` seconds or sooner; also when one is under way.

        A turn that comes sooner takes waiting rings with it: a run that finds it too early asks for another (``Again``).
        """

    def close(self, timeout: float) -> tuple[str, ...]:
        """Start no more runs and wait for those under way, in seconds; the nodes whose run has not ended by then."""


Retry = Callable[[Exception, int, random.Random], float | None]
"""(error, failures in a row, randomness) → seconds until another try, or None."""


# --- another try -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _BackOff:
    """Seconds: the first delay, doubled with every failure up to the longest."""

    first: float
    longest: float

    def after(self, attempts: int) -> float:
        return min(self.longest, self.first * 2.0 ** min(attempts - 1, 32))


_BACK_OFF: Mapping[errors.Retry, _BackOff] = {
    errors.Retry.REPLAN: _BackOff(1, 60),
    errors.Retry.SOON: _BackOff(5, 60),
    errors.Retry.LATER: _BackOff(10, 900),
}


def retry(error: Exception, attempts: int, rng: random.Random) -> float | None:
    """Seconds until another try after ``attempts`` (1 or more) failures in a row; None when trying again cannot help.

    An error that is none of ours is a mistake of Transom or of a library: tried later, since it may go with what caused it. Half of
    the delay is random, so that nodes that failed together do not come back together.
    """
    kind = error.retry if isinstance(error, errors.TransomError) else errors.Retry.LATER
    if kind is errors.Retry.NEVER:
        return None
    return _BACK_OFF[kind].after(attempts) * (0.5 + 0.5 * rng.random())


# --- threads ---------------------------------------------------------------------------------------------------------


class WorkQueue:
    """The queue of one process: a dispatcher, and a thread for every run under way, at most ``workers`` of them.

    A limit is for the machine's sake; below the number of nodes, as many hanging nodes as ``workers`` delay the others. Rings after
    ``close``, and those still waiting then, are dropped: whoever starts the next queue rings every node.
    """

    def __init__(
        self,
        work: Work,
        *,
        workers: int = 256,
        retry: Retry = retry,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work = work
        self._retry = retry
        self._workers = workers
        self._clock = clock
        self._rng = rng or random.Random()
        self._agenda = agenda.Agenda()
        self._changed = threading.Condition()
        self._closed = False
        self._dispatcher = threading.Thread(target=self._dispatch, name="queue", daemon=True)
        self._dispatcher.start()

    def ring(self, node: str, reason: str, delay: float = 0) -> None:
        with self._changed:
            self._ring(node, reason, delay)

    def under_way(self) -> dict[str, float]:
        """Node → seconds that its run has taken so far."""
        with self._changed:
            now = self._clock()
            return {node: now - began for node, began in self._agenda.under_way().items()}

    @property
    def alive(self) -> bool:
        """Whether rings lead to runs."""
        return self._dispatcher.is_alive() and not self._closed

    def close(self, timeout: float) -> tuple[str, ...]:
        until = time.monotonic() + timeout
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._agenda.under_way(), timeout)
            rest = tuple(sorted(self._agenda.under_way()))
        self._dispatcher.join(max(0.0, until - time.monotonic()))
        return rest

    def _ring(self, node: str, reason: str, delay: float) -> None:
        self._agenda.ring(node, reason, self._clock() + max(0.0, delay))
        self._changed.notify_all()

    def _dispatch(self) -> None:
        """The only place where runs begin."""
        while (turn := self._wait_for_turn()) is not None:
            self._begin(*turn)

    def _wait_for_turn(self) -> tuple[str, tuple[str, ...]] | None:
        """The next turn, which is taken; None once the queue is closed."""
        with self._changed:
            while not self._closed:
                if turn := self._next_turn():
                    return turn
                self._changed.wait(self._patience())
            return None

    def _next_turn(self) -> tuple[str, tuple[str, ...]] | None:
        if len(self._agenda.under_way()) >= self._workers:
            return None
        return self._agenda.take(self._clock())

    def _patience(self) -> float | None:
        """Seconds until there may be something to do without anybody saying so; None when there never is."""
        due = self._agenda.next_due()
        if due is None or len(self._agenda.under_way()) >= self._workers:
            return None
        return min(max(0.0, due - self._clock()), _LONGEST_WAIT)

    def _begin(self, node: str, reasons: tuple[str, ...]) -> None:
        thread = threading.Thread(target=self._run, args=(node, reasons), name=f"run {node}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            log.error("no thread for a run on %s, another try in %g s: %s", node, _NO_THREAD, error)
            self._end(node, None, [Again(_NO_THREAD, reason) for reason in reasons])

    def _run(self, node: str, reasons: tuple[str, ...]) -> None:
        """One run. Whatever it raises ends here, and the node's turn is given back in any case."""
        again: Again | None = None
        failure: Exception | None = None
        try:
            again = self._work(node, reasons)
        except errors.TransomError as error:
            log.warning("%s: %s", node, error)
            failure = error
        except Exception as error:  # the one broad except of all: a mistake on one node must not stop the others
            log.exception("%s: the run failed by a mistake in Transom", node)
            failure = error
        finally:
            self._end(node, failure, [again] if again else [])

    def _end(self, node: str, failure: Exception | None, agains: Sequence[Again]) -> None:
        """Give the node's turn back, and ring for what follows from the run."""
        with self._changed:
            failures = self._agenda.end(node, failed=failure is not None)
            delay = self._retry(failure, failures, self._rng) if failure else None
            if delay is not None:
                self._ring(node, f"try {failures + 1} after {type(failure).__name__}", delay)
            for again in agains:
                self._ring(node, again.reason, again.delay)
            self._changed.notify_all()
