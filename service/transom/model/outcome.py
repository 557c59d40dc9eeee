"""What comes of a comparison: differences, findings with their evidence, and the lines of the ledger."""

from __future__ import annotations

import dataclasses

from transom.model.words import Impact, Level, Who


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What was read, where: ``source`` is ``/etc/default/grub:6`` or a command."""

    source: str
    says: str


@dataclasses.dataclass(frozen=True)
class Drift:
    """One difference between what a document wants and what is there."""

    path: str
    desired: str | None
    observed: str | None
    level: Level
    impact: Impact
    document: str
    why: str = ""
    held: bool = False
    """A finding keeps the VM that it is about waiting: this plan does not put it right."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """A diagnosis with its evidence. ``holds``: while it stands, nothing is done to the VMs of ``documents`` nor to what exists for
    them alone; where it names none, nothing is done to the node."""

    id: str
    subject: str
    summary: str
    remedy: str
    who: Who
    evidence: tuple[Evidence, ...] = ()
    holds: bool = False
    documents: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Noop:
    """Nothing to do, and why: ``provided by /etc/default/grub:6``."""

    path: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of the ledger: Transom changed ``path`` on ``node`` from ``before`` to ``applied`` for ``document``.

    Paths are those of ``plan.ledger_paths``.
    None means that there was nothing.
    """

    node: str
    path: str
    before: str | None
    applied: str | None
    document: str
    run: str
