"""What the API needs of the daemon: the seam between HTTP and the loop. Values are frozen and JSON-dumpable (``model.to_json``).

It lies below the API, because the loop makes these values and must not know who asks.

Everything that takes ``by`` names who asked (the token's name), for the journal. Errors are those of ``transom.errors``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from transom import errors, model


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


@dataclasses.dataclass(frozen=True)
class NodeRow:
    """One node in a list. ``state``: as-declared, drifted, held, waiting, unreachable, unknown (not looked at yet)."""

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

    def operation(self, id: str) -> Operation: ...
    def release(self, name: str, *, by: str) -> Operation: ...
    def remove(self, name: str, *, confirm: str, by: str) -> Operation: ...
    def preview_parting(self, kind: str, name: str) -> list[Preview]:
        """Of ``release`` or ``remove``; empty when the document has nothing on any node."""

    # what is true
    def nodes(self) -> list[NodeRow]: ...
    def facts(self, node: str) -> model.Facts: ...
    def vms(self) -> list[VmRow]: ...
    def drift(self, node: str = "") -> list[DriftRow]: ...
    def scan(self, node: str, *, by: str) -> None: ...

    # plans and runs
    def preview(self, texts: Sequence[Text], node: str = "", *, take_over: bool = False) -> list[Preview]: ...
    def plans(self, node: str = "", state: str = "") -> list[PlanRow]: ...
    def plan(self, hash: str) -> dict[str, Any]: ...
    def approve(self, hash: str, *, by: str) -> Operation: ...
    def reject(self, hash: str, reason: str, *, by: str) -> PlanRow: ...
    def runs(self, node: str = "") -> list[dict[str, Any]]: ...
    def run(self, id: str) -> dict[str, Any]: ...
    def preview_undo(self, run: str) -> dict[str, Any]: ...
    def undo(self, run: str, *, approved: str, by: str) -> Operation: ...

    # control
    def pause(self, reason: str, *, by: str) -> None: ...
    def resume(self, *, by: str) -> None: ...
    def status(self) -> dict[str, Any]: ...
    def ready(self) -> dict[str, str]:
        """Part (``store``, ``scheduler``) → ``ok``, or why it is not. Never asks a node."""

    def events(self, after: int = 0) -> Iterator[Event | None]:
        """Events with ``seq`` above ``after``, those that are still kept first, then as they come. None at least once a second
        while nothing happens, so that the reader can stop; ends when the daemon stops."""
