"""The library of option ROMs: what documents and uploads ask for, built once, kept by content, known by where it came from.

Building is slow (a download, the sandbox) and belongs to ``builder``; asking what became of a ROM answers at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from transom import errors, model
from transom.reconcile import defect, fetch
from transom.rom import order
from transom.spec import wish
from transom.store import blobs, records, store

INPUT_LIMIT = 128 * 2**20
"""Bytes of one input; the sandbox takes no more."""


class Built(Protocol):
    """What the sandbox gave back."""

    @property
    def result(self) -> Mapping[str, Any]: ...
    @property
    def payload(self) -> bytes: ...


@dataclasses.dataclass(frozen=True)
class Input:
    """One file for the sandbox: where it lies, what it is for, what it is called."""

    path: pathlib.Path
    role: str
    name: str


Sandbox = Callable[[tuple[Input, ...], Mapping[str, Any], Callable[[str], None]], Built]
"""(inputs, ``driver`` and ``options``, told each stage) → the ROM; RomError, SandboxError."""


@dataclasses.dataclass(frozen=True)
class Told:
    """How far a build is: ``stage`` in words; bytes where something is counted."""

    stage: str
    done: int = 0
    total: int | None = None

    @property
    def text(self) -> str:
        """``fetching bios.zip: 3 of 16 MiB``"""
        if not self.done:
            return self.stage
        return f"{self.stage}: {self.done >> 20} of {self.total >> 20 if self.total else '?'} MiB"


Say = Callable[[Told], None]


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bytes: of one upload or download, and of all inputs that are kept."""

    upload: int = 64 * 2**20
    inputs: int = 2 * 2**30


@dataclasses.dataclass(eq=False)
class _Work:
    """One build under way."""

    build: wish.RomBuild
    stage: str = "begins"
    inputs: tuple[str, ...] = ()
    """SHA-256 of those that are there."""
    answered: bool = False
    """Whether its failure is kept, as the answer for these very inputs: others under the same names may do better at once."""


class Library:
    """Thread-safe; several processes may use the same one."""

    def __init__(
        self, kept: store.Store, sandbox: Sandbox, *, tool: str, now: Callable[[], float], limits: Limits | None = None
    ) -> None:
        self._store = kept
        self._sandbox = sandbox
        self._tool = tool
        self._now = now
        self.limits = limits or Limits()
        self._under_way: list[_Work] = []
        self._failures: dict[wish.RomBuild, tuple[float, str]] = {}
        self._lock = threading.Lock()
        self._fetching: weakref.WeakValueDictionary[str, threading.Lock] = weakref.WeakValueDictionary()

    # --- what became of it -------------------------------------------------------------------------------------------

    def result(self, rom: wish.RomWish) -> model.RomResult:
        """What is known of a ROM that is to be built. Never waits."""
        assert rom.build is not None
        try:
            row = self.row(rom.build)
        except errors.TransomError as error:
            return model.RomResult("failed", reason=str(error))
        if row is not None and row.state == records.BUILT and self._store.built.has(row.sha256):
            return model.RomResult("built", row.sha256, str(self._store.built.path(row.sha256)))
        with self._lock:
            stages = [work.stage for work in self._under_way if work.build == rom.build]
            failed = self._failures.get(rom.build)
        if stages:
            return model.RomResult("building", reason=stages[-1])
        if row is not None and row.state == records.FAILED:
            return model.RomResult("failed", reason=row.error)
        return model.RomResult("failed", reason=failed[1]) if failed else model.RomResult("building", reason="queued")

    def in_use(self) -> frozenset[str]:
        """The inputs of what is being built just now."""
        with self._lock:
            return frozenset(sha256 for work in self._under_way for sha256 in work.inputs)

    def failed_at(self, rom: wish.RomWish) -> float | None:
        """When something that may mend itself last kept this ROM from being built."""
        with self._lock:
            failed = self._failures.get(rom.build) if rom.build else None
        return failed[0] if failed else None

    def row(self, build: wish.RomBuild) -> records.Rom | None:
        """What is kept under the key that the inputs give now; None when nothing is, or an input must be fetched first. Rejected
        when a file cannot be read."""
        hashes = [self._hash(one) for one in build.inputs]
        return self._store.roms.get(order.key(build, hashes, self._tool))

    def _hash(self, one: wish.RomInput) -> str:
        """Of a file that nothing pins, the hash that it has now."""
        if one.sha256:
            return one.sha256
        try:
            return self._store.inputs.digest(pathlib.Path(one.file))
        except OSError as error:
            raise _unreadable(one.file, error) from error

    # --- building ----------------------------------------------------------------------------------------------------

    def build(self, rom: wish.RomWish, origin: str, say: Say = lambda _: None) -> records.Rom:
        """Get the inputs, build in the sandbox, keep the result. A ROM that is there is only looked up. RomError (kept as the
        answer for these very inputs), SandboxError, Unreachable, Rejected, Defect."""
        build = rom.build
        assert build is not None

        work = _Work(build)

        def told(one: Told) -> None:
            work.stage = one.stage
            say(one)

        with self._lock:
            self._under_way.append(work)
        try:
            with self._faults(origin):
                done = self._build(work, origin, told)
            with self._lock:
                self._failures.pop(build, None)
            return done
        except errors.TransomError as error:
            with self._lock:
                if work.answered:
                    self._failures.pop(build, None)
                else:
                    self._failures[build] = (self._now(), str(error))
            raise
        finally:
            with self._lock:
                self._under_way = [one for one in self._under_way if one is not work]

    def _build(self, work: _Work, origin: str, say: Say) -> records.Rom:
        build, found = work.build, []
        for one in work.build.inputs:
            found.append(self._get(one, origin, say))
            work.inputs = (*work.inputs, found[-1][0].sha256)
        inputs = tuple(Input(self._store.inputs.path(row.sha256), one.role, row.name) for row, one in found)
        key = order.key(build, [row.sha256 for row, _ in found], self._tool)
        known = self._store.roms.get(key)
        if known is not None and known.state == records.BUILT and self._store.built.has(known.sha256):
            return known
        options = order.options(build)
        row = records.Rom(
            key=key,
            state=records.FAILED,
            sha256="",
            size=0,
            origin=origin,
            board=build.board,
            tool=self._tool,
            inputs=[{"role": one.role, "name": kept.name, "sha256": kept.sha256} for kept, one in found],
            options=options | {"driver": build.driver},
            answer={},
            error="",
            at=self._now(),
        )
        try:
            answer = self._sandbox(
                inputs, {"driver": build.driver, "options": options}, lambda stage: say(Told(f"sandbox: {stage}"))
            )
        except errors.RomError as error:
            self._store.roms.put(dataclasses.replace(row, error=str(error)))
            work.answered = True
            raise
        sha256 = self._store.built.put(answer.payload)
        done = dataclasses.replace(
            row, state=records.BUILT, sha256=sha256, size=len(answer.payload), answer=dict(answer.result)
        )
        self._store.roms.put(done)
        return done

    def keep(self, build: wish.RomBuild, origin: str, say: Say) -> records.RomInput:
        """Only get the first input, for a document to come."""
        with self._faults(origin):
            return self._get(build.inputs[0], origin, say)[0]

    @contextlib.contextmanager
    def _faults(self, origin: str) -> Iterator[None]:
        """A full disk, or a mistake of ours, ends the build with its reason: nobody would ever be told otherwise."""
        with defect.told(origin), blobs.writing(self._store.built.path("")):
            yield

    def _get(self, one: wish.RomInput, origin: str, say: Say) -> tuple[records.RomInput, wish.RomInput]:
        """The input with its bytes in the library."""
        if one.sha256 and self._store.inputs.has(one.sha256):
            row = self._store.roms.input(one.sha256)
            return row or self.note_input(one.sha256, one.sha256[:12], origin), one
        if one.file:
            return self._copied(one, origin, say), one
        if one.url:
            return self._fetched(one, origin, say), one
        raise errors.RomError(
            f"the library has no upload with sha256 {one.sha256}", hint="hand the file in: transom rom push FILE"
        )

    def _copied(self, one: wish.RomInput, origin: str, say: Say) -> records.RomInput:
        path = pathlib.Path(one.file)
        say(Told(f"reading {path.name}"))
        try:
            self.room_for(path.stat().st_size)
            with self._store.inputs.receive(INPUT_LIMIT) as incoming:
                incoming.copy(path)
                if one.sha256 and incoming.sha256 != one.sha256:
                    raise errors.Rejected(
                        f"{one.file} has sha256 {incoming.sha256}, the document says {one.sha256}",
                        hint="put the right file there, or the right hash into the document",
                    )
                sha256 = incoming.keep()
        except OSError as error:
            raise _unreadable(one.file, error) from error
        return self.note_input(sha256, path.name, origin)

    def _fetched(self, one: wish.RomInput, origin: str, say: Say) -> records.RomInput:
        name = fetch.shown(one.url).rstrip("/").rpartition("/")[2] or "download"
        self.room_for(0)
        partial = self._store.inputs.partial(one.sha256)
        say(Told(f"fetching {name}"))
        with self._lock:
            alone = self._fetching.setdefault(one.sha256, threading.Lock())
        with alone:  # two may want the same file
            if not self._store.inputs.has(one.sha256):
                fetch.fetch(
                    one.url,
                    one.sha256,
                    partial,
                    limit=self.limits.upload,
                    progress=lambda done, total: say(Told(f"fetching {name}", done, total)),
                )
                self._store.inputs.adopt(partial, one.sha256)
        return self.note_input(one.sha256, name, origin)

    # --- inputs ------------------------------------------------------------------------------------------------------

    def begin(self) -> blobs.Incoming:
        """A file that is being handed in. Rejected when the library is full."""
        self.room_for(0)
        return self._store.inputs.begin(self.limits.upload)

    def room_for(self, size: int) -> None:
        """Rejected when the inputs would be more than the limit."""
        if self._store.inputs.size() + size > self.limits.inputs:
            raise errors.Rejected(
                f"the inputs of the library would be more than {self.limits.inputs} bytes",
                hint="`transom rom gc` drops those that nothing needs",
            )

    def note_input(self, sha256: str, name: str, origin: str) -> records.RomInput:
        """Whose file it is, and what it was called."""
        size = self._store.inputs.path(sha256).stat().st_size
        row = records.RomInput(sha256, name[:512], size, origin, self._now())
        self._store.roms.put_input(row)
        return self._store.roms.input(sha256) or row


def _unreadable(path: str, error: OSError) -> errors.Rejected:
    return errors.Rejected(
        f"cannot read {path}: {error.strerror or error}",
        hint="the Rom document names this file; it is read on this side",
    )
