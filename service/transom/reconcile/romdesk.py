"""The library as the API sees it: what is in it, handing files in, and what may go. The building is the builder's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from transom import errors, model
from transom.reconcile import backend, builder, desk, hub, keep, library, papers
from transom.spec import wish
from transom.store import blobs, records, store

KIND = "rom"
"""Of operations that hand in a file; their one share has no node."""
_SHORTEST = 6
_LONGEST = 24 * 3600.0
"""Seconds after which what may mend itself is not tried again for an operation; whoever still wants it asks again."""


class RomDesk:
    """Thread-safe. ``ring`` asks for a node's turn."""

    def __init__(
        self,
        kept: store.Store,
        sheets: papers.Papers,
        table: desk.Desk,
        events: hub.Hub,
        shelf: library.Library,
        *,
        now: Callable[[], float],
        nonce: Callable[[], str],
        ring: Callable[[str, str], None],
    ) -> None:
        self._store = kept
        self._papers = sheets
        self._desk = table
        self._library = shelf
        self._now = now
        self._nonce = nonce
        self._ring = ring
        self.builder = builder.Builder(shelf, events, self._ended, now=now)

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self, workers: int) -> None:
        """Go on with what was under way when the last daemon ended, and with what documents want."""
        self.builder.start(workers)
        for operation, share in self._store.operations.open():
            if operation.kind == KIND:
                self._take_up(operation, share)

    def _take_up(self, operation: records.Operation, share: records.Share) -> None:
        rom = self._asked(operation)
        if rom is None:
            self._desk.move(share, records.FAILED, reason="cut off before it began; hand the file in again")
        else:
            self.builder.want([rom], again=True)

    def _asked(self, operation: records.Operation) -> wish.RomWish | None:
        """What came with it."""
        said = self._store.meta.get(_meta(operation.id))
        return None if said is None else model.from_json(wish.RomWish, said)

    def _all_asked(self) -> list[wish.RomWish]:
        """Of the operations that are open."""
        found = [self._asked(operation) for operation, _ in self._store.operations.open() if operation.kind == KIND]
        return [rom for rom in found if rom]

    def want(self) -> None:
        """See to every ROM that documents declare."""
        self.builder.want(self._papers.roms())

    def _ended(self, rom: wish.RomWish, end: builder.Done | errors.TransomError) -> None:
        for operation, share in self._store.operations.open():
            if operation.kind == KIND and operation.target == builder.job_of(rom):
                self._settle(operation, share, end)
        for node in self._papers.all():
            if any(guest.rom and guest.rom.document == rom.document for guest in node.guests):
                self._ring(node.name, f"{rom.document}: the builder is done")

    def _settle(
        self, operation: records.Operation, share: records.Share, end: builder.Done | errors.TransomError
    ) -> None:
        if isinstance(end, builder.Done):
            self._desk.move(share, records.DONE, run=end.sha256, reason="built" if end.key else "kept")
        elif end.retry is errors.Retry.NEVER:
            self._desk.move(share, records.FAILED, reason=str(end))
        elif self._now() - operation.at >= _LONGEST:
            self._give_up(operation, share, f"given up after {_LONGEST / 3600:g} h: {end}")
        else:
            way_out = f"`transom cancel {operation.id}` withdraws it"
            self._desk.move(share, records.RUNNING, reason=f"tried again: {end}; {way_out}")
            return
        self._store.meta.drop(_meta(operation.id))

    def _give_up(self, operation: records.Operation, share: records.Share, reason: str) -> records.Share:
        self.builder.forget(operation.target)
        return self._desk.move(share, records.FAILED, reason=reason)

    def cancel(self, id: str, by: str) -> records.Operation:
        """Withdraw what was handed in; what has come of it so far stays in the library. Rejected when it has ended."""
        for operation, share in self._store.operations.open():
            if operation.id == id and operation.kind == KIND:
                said = f"withdrawn by {by}"
                if self._give_up(operation, share, said).reason == said:
                    self._store.meta.drop(_meta(id))
                    return operation
        raise errors.Rejected(f"operation {id} has ended already")

    # --- handing in --------------------------------------------------------------------------------------------------

    def receive(self) -> blobs.Incoming:
        return self._library.begin()

    def push(self, ask: backend.RomAsk, received: backend.Incoming | None, by: str) -> records.Operation:
        """As ``Backend.push``."""
        id = f"op-{self._nonce()[:16]}"
        rom = self._handed_in(ask, received, by, f" ({id})")
        operation = records.Operation(id, KIND, builder.job_of(rom), by, self._now())
        self._store.meta.put(_meta(id), model.to_json(rom))
        self._store.operations.ask(operation, [records.Share(id, "", 1, state="running")])
        self.builder.want([rom], again=True)
        return operation

    def push_now(
        self, ask: backend.RomAsk, received: backend.Incoming | None, by: str, say: library.Say
    ) -> backend.RomDetail:
        """The same without a daemon: seen to before this returns. RomError, SandboxError, Unreachable, Rejected."""
        rom = self._handed_in(ask, received, by)
        assert rom.build is not None
        if not ask.devices:
            return self.detail(self._library.keep(rom.build, rom.document, say).sha256)
        return self.detail(self._library.build(rom, rom.document, say).key)

    def _handed_in(
        self, ask: backend.RomAsk, received: backend.Incoming | None, by: str, which: str = ""
    ) -> wish.RomWish:
        sha256 = ask.sha256
        if received is not None:
            assert isinstance(received, blobs.Incoming)
            sha256 = self._keep(received, ask, by)
        name = ask.name or sha256[:12]
        return wish.RomWish(name, "", "", f"upload {name} by {by}{which}", build=_build(ask, sha256))

    def _keep(self, received: blobs.Incoming, ask: backend.RomAsk, by: str) -> str:
        if not received.size:
            raise errors.RomError("the file is empty")
        self._library.room_for(received.size)
        if ask.sha256 and ask.sha256 != received.sha256:
            raise errors.RomError(f"what came has sha256 {received.sha256}, not {ask.sha256}", hint="send it again")
        sha256 = received.keep()
        self._library.note_input(sha256, ask.name or sha256[:12], f"upload by {by}")
        return sha256

    # --- looking -----------------------------------------------------------------------------------------------------

    def rows(self) -> list[backend.RomRow]:
        """ROMs and inputs, newest first."""
        found = [_row(one) for one in self._store.roms.all()] + [_input_row(one) for one in self._store.roms.inputs()]
        return sorted(found, key=lambda row: (-row.at, row.kind, row.key))

    def detail(self, id: str) -> backend.RomDetail:
        """Rejected when there is none, or several."""
        row = self._find(id)
        nodes = tuple(node for node, sha256 in keep.placed(self._store, self._papers.all()) if sha256 == row.sha256)
        rom = self._store.roms.get(row.key) if row.kind == "rom" else None
        if rom is None:
            return backend.RomDetail(**vars(row))
        return backend.RomDetail(
            **vars(row),
            tool=rom.tool,
            inputs=tuple(rom.inputs),
            options=rom.options,
            answer=rom.answer,
            nodes=nodes,
        )

    def _find(self, id: str) -> backend.RomRow:
        rows = self.rows()
        exact = [row for row in rows if id in (row.key, row.sha256)]
        close = [row for row in rows if len(id) >= _SHORTEST and (row.key.startswith(id) or row.sha256.startswith(id))]
        found = exact or close
        if not found:
            raise errors.Rejected(f"the library has no {id!r}", hint="transom rom ls lists what there is")
        if len({row.sha256 or row.key for row in found}) > 1:
            raise errors.Rejected(f"{id!r} is the beginning of {len(found)} in the library", hint="give more of it")
        return found[0]

    def content(self, id: str) -> bytes:
        """VerifyFailed when it is damaged; Rejected when there is no such file."""
        row = self._find(id)
        if not row.sha256:
            raise errors.Rejected(f"{id!r} could not be built: {row.error}")
        return (self._store.built if row.kind == "rom" else self._store.inputs).read(row.sha256)

    def collect(self, *, dry_run: bool, days: int) -> list[backend.RomLeft]:
        return list(self._judged(dry_run=dry_run, days=days))

    def _judged(self, *, dry_run: bool, days: int) -> Iterator[backend.RomLeft]:
        since = self._now() - days * 86400
        judge = keep.Judge(self._store, self._library, self._papers, asked=self._all_asked(), since=since)
        rows = self.rows()
        if not dry_run:
            for files in (self._store.inputs, self._store.built):
                files.clear_abandoned({row.sha256 for row in rows})
        for row in rows:
            why = judge.why(row)
            dropped = not why and not dry_run
            if dropped:
                self._drop(row)
            yield backend.RomLeft(row.kind, row.sha256, row.name, row.size, why, dropped)

    def _drop(self, row: backend.RomRow) -> None:
        """The row first: a file without one is found and goes with the next collection; a row without its file would lie."""
        if row.kind == "input":
            self._store.roms.drop_input(row.sha256)
            self._store.inputs.drop(row.sha256)
            return
        self._store.roms.drop(row.key)
        if row.sha256 and all(other.sha256 != row.sha256 for other in self._store.roms.all()):
            self._store.built.drop(row.sha256)


def _build(ask: backend.RomAsk, sha256: str) -> wish.RomBuild:
    return wish.RomBuild(
        inputs=(wish.RomInput("source", url=ask.url, sha256=sha256),),
        devices=ask.devices,
        driver=ask.driver,
        compress=ask.compress,
        pci23=ask.pci23,
        class_code=ask.class_code,
        revision=ask.revision,
        board=ask.board,
    )


def _meta(operation: str) -> str:
    return f"rom {operation}"


def _row(one: records.Rom) -> backend.RomRow:
    parts = [part["driver"] for part in one.answer.get("parts", []) if part.get("driver")]
    named = (f"{part['name'] or part['guid']} {part.get('gop_version') or ''}".strip() for part in parts)
    drivers = tuple(name for name in named if name)
    vendor = one.options.get("vendor", 0)
    return backend.RomRow(
        key=one.key,
        kind="rom",
        state=one.state,
        sha256=one.sha256,
        size=one.size,
        name=one.inputs[0]["name"] if one.inputs else "",
        origin=one.origin,
        devices=tuple(f"{vendor:04x}:{device:04x}" for device in one.options.get("devices", [])),
        drivers=drivers,
        board=one.board,
        good=one.answer.get("good"),
        error=one.error,
        at=one.at,
    )


def _input_row(one: records.RomInput) -> backend.RomRow:
    return backend.RomRow(
        one.sha256, "input", "kept", one.sha256, one.size, one.name, one.origin, (), (), "", None, "", one.at
    )
