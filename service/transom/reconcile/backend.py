"""What the API needs of the daemon: the seam between HTTP and the loop. Values are frozen and JSON-dumpable (``model.to_json``).

It lies below the API, because the loop makes these values and must not know who asks.

Everything that takes ``by`` names who asked (the token's name), for the journal. Errors are those of ``transom.errors``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from transom import errors, model
from transom.reconcile import good


@dataclasses.dataclass(frozen=True)
class Text:
    """One file of documents, as it came."""

    name: str
    """For messages. An absolute path (the CLI sends one) also says what relative paths in the documents are relative to."""
    text: str


@dataclasses.dataclass(frozen=True)
class Share:
    """One node's part of an operation. ``state``: queued, observing, waiting (for approval), running, done, held, failed."""

    node: str
    state: str
    plan: str = ""
    """Hash of the plan, once there is one."""
    run: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Operation:
    """Something asked for that takes time. ``state``: running, waiting, done, held, failed; done when every share is."""

    id: str
    state: str
    shares: tuple[Share, ...]
    asked_by: str
    at: float
    rom: str = ""
    """Of a push: the SHA-256 of the ROM that came of it, or of the file that was only kept; its one share has no node."""
    kind: str = ""
    """provision, approve, undo, release, remove or rom."""
    target: str = ""
    """The document, plan, run or upload that it is about; empty for documents handed in."""


@dataclasses.dataclass(frozen=True)
class RomAsk:
    """A BIOS file or driver that is handed in, or fetched from ``url``. With ``devices`` a ROM is built of it by these options
    (those of ``transom rom build``); without, it is kept for documents that name it by its hash."""

    name: str = ""
    url: str = ""
    sha256: str = ""
    devices: tuple[str, ...] = ()
    driver: str = ""
    compress: bool = False
    pci23: bool = False
    class_code: int = 0
    revision: int = 0
    board: str = ""


@dataclasses.dataclass(frozen=True)
class RomRow:
    """One file of the library. ``kind`` is rom or input; ``state`` is built or failed, and kept of an input."""

    key: str
    """Of a ROM, what it was built from; of an input, its hash."""
    kind: str
    state: str
    sha256: str
    """Of the file; empty when there is none."""
    size: int
    name: str
    """What an input was called; of a ROM, what its first source was called."""
    origin: str
    """The document or the upload that asked for it."""
    devices: tuple[str, ...]
    drivers: tuple[str, ...]
    """Name and version of each driver in it."""
    board: str
    good: bool | None
    """The verifier's word; None where it was not asked."""
    error: str
    at: float


@dataclasses.dataclass(frozen=True)
class RomDetail(RomRow):
    """Where it comes from, whole."""

    tool: str = ""
    """The builder's version."""
    inputs: tuple[Mapping[str, Any], ...] = ()
    """``role``, ``name``, ``sha256``."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    answer: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The builder's answer (docs/rom.md, ``build``)."""
    nodes: tuple[str, ...] = ()
    """Nodes on which Transom has placed it."""


@dataclasses.dataclass(frozen=True)
class RomLeft:
    """One file of the library as the collector judges it. ``why``: what needs it; empty when nothing does."""

    kind: str
    sha256: str
    name: str
    size: int
    why: str
    dropped: bool


class Incoming(Protocol):
    """A file that is being handed in."""

    @property
    def limit(self) -> int:
        """Bytes."""

    def write(self, chunk: bytes) -> None:
        """RomError when there is more than the limit."""

    def drop(self) -> None:
        """In any case, when done with it."""


@dataclasses.dataclass(frozen=True)
class Preview:
    """What would be done to one node: its plan as JSON, or the error that kept one from being made."""

    node: str
    plan: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error: errors.TransomError | None = None


@dataclasses.dataclass(frozen=True)
class PlanRow:
    """One plan in a list. ``state``: proposed, waiting, approved, applied, rejected, void, held, failed."""

    hash: str
    node: str
    state: str
    impact: str
    summary: str
    made_at: float


@dataclasses.dataclass(frozen=True)
class DriftRow:
    """One difference or finding that stands now; it appears once and goes once."""

    node: str
    kind: str
    """``drift`` or ``finding``."""
    key: str
    """Path of the drift, or id and subject of the finding."""
    since: float
    seen: float
    detail: Mapping[str, Any]
    """The ``model.Drift`` or ``model.Finding`` as JSON."""
    state: str = "unknown"
    """How the node stands, as in ``NodeRow``."""
    reason: str = ""
    """Why the node is not put right, or what is about to put it right."""


@dataclasses.dataclass(frozen=True)
class NodeRow:
    """One node in a list. ``state``: as-declared, drifted, held, waiting, unreachable, unknown (not looked at
    yet, or a look came to no decision)."""

    name: str
    cluster: str
    mode: str
    state: str
    reason: str
    observed_at: float | None


@dataclasses.dataclass(frozen=True)
class VmRow:
    """One declared VM. ``state`` is PVE's, or ``absent``, or ``unknown``."""

    name: str
    node: str
    vmid: int | None
    state: str
    recipe: str


@dataclasses.dataclass(frozen=True)
class Event:
    """One line of the event stream; ``seq`` rises without gaps within one life of the daemon, ``kind`` as in ``run.step``."""

    seq: int
    at: float
    kind: str
    node: str
    data: Mapping[str, Any]


class Backend(Protocol):
    """The daemon as the API sees it; thread-safe."""

    # documents
    def documents(self) -> list[dict[str, Any]]: ...
    def provision(self, texts: Sequence[Text], *, approve: bool, key: str, by: str) -> Operation:
        """Store the documents and see to every node that they concern; without texts, those stored once more. ``approve``: exactly
        the plans that come of it. ``key``: the Idempotency-Key, empty for none; Rejected when it came with other content before."""

    def reserved(self, texts: Sequence[Text]) -> tuple[str, ...]:
        """What in them works without a plan's approval, and so is for an approver to hand in; one line each. SpecError."""

    def operation(self, id: str) -> Operation: ...
    def release(self, name: str, *, by: str) -> Operation: ...
    def remove(self, name: str, *, confirm: str, plan: str = "", by: str) -> Operation:
        """``plan``: the hash of the one that was shown; only that is approved by the name. Empty: the first that comes of it."""

    def operations(self) -> list[Operation]:
        """Those that are open, oldest first."""

    def cancel(self, id: str, *, by: str) -> Operation:
        """Withdraw a release, removal or undo that has not begun, or a push that has not ended."""

    def preview_parting(self, kind: str, name: str) -> list[Preview]:
        """Of ``release`` or ``remove``; empty when the document has nothing on any node."""

    # what is true
    def nodes(self) -> list[NodeRow]: ...
    def facts(self, node: str) -> model.Facts: ...
    def last_good(self, node: str) -> good.LastGood: ...
    def vms(self) -> list[VmRow]: ...
    def drift(self, node: str = "") -> list[DriftRow]: ...
    def scan(self, node: str, *, by: str) -> None: ...

    # plans and runs
    def preview(
        self, texts: Sequence[Text], node: str = "", *, take_over: bool = False, simulate: bool = False
    ) -> list[Preview]:
        """``simulate``: each plan is tried aside on its node as well, in a folder that goes again."""

    def plans(self, node: str = "", state: str = "") -> list[PlanRow]: ...
    def plan(self, hash: str) -> dict[str, Any]: ...
    def approve(self, hash: str, *, by: str) -> Operation: ...
    def reject(self, hash: str, reason: str, *, by: str) -> PlanRow: ...
    def runs(self, node: str = "") -> list[dict[str, Any]]: ...
    def run(self, id: str) -> dict[str, Any]: ...
    def preview_undo(self, run: str) -> dict[str, Any]: ...
    def undo(self, run: str, *, approved: str, by: str) -> Operation: ...

    # the library of option ROMs
    def roms(self) -> list[RomRow]: ...
    def rom(self, id: str) -> RomDetail:
        """``id``: a key or hash, or the beginning of one, at least six digits. Rejected when there is none, or several."""

    def rom_content(self, id: str) -> bytes:
        """The bytes, looked through. VerifyFailed when they are damaged."""

    def receive(self) -> Incoming: ...
    def push(self, ask: RomAsk, received: Incoming | None, *, by: str) -> Operation:
        """Keep what was ``received``, or fetch ``ask.url``; build what is asked for."""

    def collect_roms(self, *, dry_run: bool, days: int) -> list[RomLeft]:
        """Drop what nothing needs and is older than ``days``; every file with the reason why it stays."""

    # control
    def pause(self, reason: str, *, by: str) -> None: ...
    def resume(self, *, by: str) -> None: ...
    def resume_node(self, node: str, *, by: str) -> None:
        """A person has seen that the node went back by itself. Rejected when it did not."""

    def status(self) -> dict[str, Any]: ...
    def ready(self) -> dict[str, str]:
        """Part (``store``, ``documents``, ``scheduler``) → ``ok``, or why it is not. Never asks a node."""

    def events(self, after: int = 0) -> Iterator[Event | None]:
        """Events with ``seq`` above ``after``, those that are still kept first, then as they come. None at least once a second
        while nothing happens, so that the reader can stop; ends when the daemon stops."""
