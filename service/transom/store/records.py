"""What the store gives back, frozen. JSON columns come back as plain values."""

from __future__ import annotations

import dataclasses
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
