"""Builds the ROMs that are wanted, beside the nodes' turns: a node looks at what became of it, and is rung when it is done."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable

from transom import errors, model
from transom.reconcile import hub, library, workqueue
from transom.spec import wish

_AGAIN = 300.0
"""Seconds after which a failure that may mend itself (no sandbox, a file that is not there) is tried again by a look."""
_TELL_EVERY = 1.0
"""Seconds between two events of one stage."""


@dataclasses.dataclass(frozen=True)
class Done:
    """What there is now: a ROM, or (without ``key``) an input that was only to be kept. ``sha256`` is the file's."""

    key: str
    sha256: str
    size: int


Ended = Callable[[wish.RomWish, Done | errors.TransomError], None]


class Builder:
    """Thread-safe. ``ended`` is called in the builder's thread for each build that has come to an end, well or not."""

    def __init__(self, kept: library.Library, events: hub.Hub, ended: Ended, *, now: Callable[[], float]) -> None:
        self._library = kept
        self._events = events
        self._ended = ended
        self._now = now
        self._wanted: dict[str, wish.RomWish] = {}
        self._lock = threading.Lock()
        self._queue: workqueue.WorkQueue | None = None

    def start(self, workers: int) -> None:
        self._queue = workqueue.WorkQueue(self._take, workers=workers)

    def close(self, timeout: float) -> None:
        """Start no more; a build under way that does not end in time is done again or found done by the next daemon."""
        if self._queue is not None:
            self._queue.close(timeout)

    def want(self, roms: Iterable[wish.RomWish], *, again: bool = False) -> None:
        """See to those that are neither built, nor under way, nor failed for good. ``again``: also to those that failed."""
        for rom in roms:
            if rom.build is not None and (again or self._due(rom)):
                job = job_of(rom)
                with self._lock:
                    self._wanted[job] = rom
                if self._queue is not None:
                    self._queue.ring(job, "wanted")

    def forget(self, job: str) -> None:
        """It is not tried again; one under way ends where it next tells how far it is."""
        with self._lock:
            self._wanted.pop(job, None)

    def settle(self, roms: Iterable[wish.RomWish], patience: float) -> None:
        """See to them, and wait at most ``patience`` seconds until none is under way."""
        chosen = [rom for rom in roms if rom.build is not None]
        self.want(chosen)
        until = time.monotonic() + patience
        while self._queue is not None and time.monotonic() < until:
            if all(self._library.result(rom).state != "building" for rom in chosen):
                return
            time.sleep(0.05)

    def _due(self, rom: wish.RomWish) -> bool:
        result = self._library.result(rom)
        if result.state == "building":
            return True
        failed = self._library.failed_at(rom) if result.state == "failed" else None
        return failed is not None and not self._for_good(rom) and self._now() - failed >= _AGAIN

    def _for_good(self, rom: wish.RomWish) -> bool:
        """These very bytes and options give no ROM."""
        assert rom.build is not None
        try:
            return self._library.row(rom.build) is not None
        except errors.TransomError:
            return False

    # --- in the builder's threads ------------------------------------------------------------------------------------

    def _take(self, job: str, reasons: tuple[str, ...]) -> None:
        del reasons
        with self._lock:
            rom = self._wanted.get(job)
        if rom is None:
            return
        tell = _Teller(self._events, rom, lambda: self._still(job))
        try:
            done = self._do(rom, tell)
        except errors.TransomError as error:
            said = {"error": type(error).__name__, "reason": str(error), "retry": error.retry.value}
            self._events.tell("rom.failed", data={"rom": rom.document, **said})
            self._end(job, rom, error)
            raise
        self._events.tell(
            "rom.built" if done.key else "rom.kept", data={"rom": rom.document, **dataclasses.asdict(done)}
        )
        self._end(job, rom, done)

    def _still(self, job: str) -> bool:
        with self._lock:
            return job in self._wanted

    def _do(self, rom: wish.RomWish, tell: _Teller) -> Done:
        if rom.build is not None and not rom.build.devices:  # only to be kept, for a document to come
            kept = self._library.keep(rom.build, rom.document, tell.progress)
            return Done("", kept.sha256, kept.size)
        row = self._library.build(rom, rom.document, tell.progress)
        return Done(row.key, row.sha256, row.size)

    def _end(self, job: str, rom: wish.RomWish, end: Done | errors.TransomError) -> None:
        if isinstance(end, Done) or end.retry is errors.Retry.NEVER:
            with self._lock:
                self._wanted.pop(job, None)
        self._ended(rom, end)


class _Teller:
    """Progress as events, not more than people can read. Rejected when nobody wants it any more."""

    def __init__(self, events: hub.Hub, rom: wish.RomWish, still: Callable[[], bool]) -> None:
        self._events, self._rom, self._still = events, rom, still
        self._last = ("", 0.0)

    def progress(self, told: library.Told) -> None:
        if not self._still():
            raise errors.Rejected(f"{self._rom.document} was withdrawn")
        stage, at = self._last
        now = time.monotonic()
        if told.stage == stage and now - at < _TELL_EVERY and told.done != told.total:
            return
        self._last = (told.stage, now)
        data = {"rom": self._rom.document, "stage": told.stage, "done": told.done, "total": told.total}
        self._events.tell("rom.progress", data=data)


def document_of(job: str) -> str:
    """Whose job it is."""
    return job.rpartition(" ")[0]


def job_of(rom: wish.RomWish) -> str:
    """One for each document and what it says: a document that has changed is another job."""
    said = json.dumps(model.to_json(rom.build), sort_keys=True)
    return f"{rom.document} {hashlib.sha256(said.encode()).hexdigest()[:12]}"
