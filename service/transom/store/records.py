"""What the store gives back, frozen. JSON columns come back as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

RUNNING, APPLIED, FAILED, INTERRUPTED, UNDONE = "running", "applied", "failed", "interrupted", "undone"


@dataclasses.dataclass(frozen=True)
class Run:
    """One carrying out of a plan. ``kind`` is apply, adopt or undo; ``undoes`` names the run that an undo took back."""

    id: str
    node: str
    plan: str
    kind: str
    undoes: str
    state: str
    error: str
    boot_id: str
    """Of the boot in which it began."""
    ledger_before: dict[str, Any]
    """Ledger path → entry as JSON, for every path that the run may touch; None for those that were not there."""
    started_at: float
    ended_at: float | None


@dataclasses.dataclass(frozen=True)
class Event:
    """One line of a run's journal. ``step`` is 1-based, 0 for the run as a whole."""

    run: str
    seq: int
    at: float
    step: int
    phase: str
    text: str
    data: Any


@dataclasses.dataclass(frozen=True)
class StoredPlan:
    """A plan as it was shown. ``content`` is its JSON form."""

    hash: str
    node: str
    content: dict[str, Any]
    made_at: float


# --- what a daemon keeps ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Node:
    """One node as it was last looked at. ``state`` as in ``reconcile.backend.NodeRow``."""

    node: str
    state: str = "unknown"
    reason: str = ""
    plan: str = ""
    """Hash of the plan that the last look gave."""
    documents: str = ""
    """Fingerprint of the documents that it was last compared with."""
    accepted: str = ""
    """Fingerprint of the documents that it was last as declared by; empty after an undo."""
    differs: bool = False
    differs_since: float | None = None
    """When it last began to differ although its documents were the same."""
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    """What it was when it was last as declared: package → version, and as ``host.fingerprint`` names the rest."""
    good_since: float | None = None
    """Since when it had been so."""
    observed_at: float | None = None


@dataclasses.dataclass(frozen=True)
class Drift:
    """One difference or finding that stands. ``kind`` is drift or finding, ``detail`` its JSON form."""

    node: str
    kind: str
    key: str
    since: float
    seen: float
    detail: dict[str, Any]


PROPOSED, WAITING, APPROVED, REJECTED, VOID, HELD = "proposed", "waiting", "approved", "rejected", "void", "held"


@dataclasses.dataclass(frozen=True)
class Proposal:
    """What became of a plan. ``state`` is proposed, waiting, approved, applied, rejected, void, held or failed; an approval is
    good for one run, and the record of that run's beginning spends it."""

    hash: str
    node: str
    kind: str
    """apply, adopt, undo, release or remove."""
    state: str
    impact: str
    summary: str
    reason: str
    approved_by: str
    approved_at: float | None
    made_at: float
    run: str = ""
    """The run that spent the approval."""
    rests: int = 0
    """How often the approval was handed on, because its run was cut off."""

    @property
    def open(self) -> bool:
        """Approved, and no run has spent it."""
        return self.state == APPROVED and not self.run

    @property
    def withheld(self) -> bool:
        """Approved, and it waits all the same: another node's reboot has failed since."""
        return self.state == WAITING and self.approved_at is not None


@dataclasses.dataclass(frozen=True)
class Moment:
    """What stands in the moment in which a run begins: of its plan, and the store's single values by name."""

    proposal: Proposal | None
    meta: Mapping[str, Any]


QUEUED, DONE = "queued", "done"
ENDED = (DONE, FAILED)
"""States of a share that no turn changes any more."""


@dataclasses.dataclass(frozen=True)
class Share:
    """One node's part of an operation. ``approve``: the first plan that comes of ``documents`` is approved by whoever asked."""

    operation: str
    node: str
    position: int
    state: str = QUEUED
    plan: str = ""
    run: str = ""
    reason: str = ""
    approve: bool = False
    documents: str = ""
    """Fingerprint of the node's documents as they were asked for."""


@dataclasses.dataclass(frozen=True)
class Operation:
    """Something asked for. ``kind`` is provision, approve, undo, release or remove; ``target`` a document, a plan or a run."""

    id: str
    kind: str
    target: str
    asked_by: str
    at: float
    key: str | None = None
    """The Idempotency-Key; None when there was none."""
    content: str = ""
    """Hash of what was asked, to tell whether the same key came with the same content."""


@dataclasses.dataclass(frozen=True)
class Token:
    """One token of the API. ``scope`` is viewer, operator, approver or admin; ``sha256`` is that of the secret, in hex."""

    name: str
    scope: str
    sha256: str
    made_at: float


# --- the library of ROMs ---------------------------------------------------------------------------------------------

BUILT = "built"


@dataclasses.dataclass(frozen=True)
class Rom:
    """One ROM that was built, or could not be (``state`` is built or failed). ``key`` is the hash of everything that makes it what
    it is: the inputs' hashes, the options, the tool's version."""

    key: str
    state: str
    sha256: str
    """Of the finished file; empty when it failed."""
    size: int
    origin: str
    """The document or the upload that asked for it first: ``Rom/igd``, ``upload by admin``."""
    board: str
    tool: str
    inputs: list[dict[str, Any]]
    """``role``, ``name``, ``sha256``, in the order in which they were given."""
    options: dict[str, Any]
    answer: dict[str, Any]
    """What the builder said (docs/rom.md, ``build``): drivers, their versions, images, the verifier's word, warnings."""
    error: str
    at: float


@dataclasses.dataclass(frozen=True)
class RomInput:
    """A file that ROMs are built of, kept by its hash."""

    sha256: str
    name: str
    size: int
    origin: str
    at: float
