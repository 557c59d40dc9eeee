"""Which node is next: the bookkeeping of the work queue, without threads and without a clock."""

from __future__ import annotations

import dataclasses

_MOST_REASONS = 50
"""Reasons kept of one node's rings: a node that hangs for days must not fill the memory."""


@dataclasses.dataclass
class _Slot:
    """One node: its next turn, if it has one, and how the last ones went."""

    due: float = 0.0
    number: int = 0
    """Of the first ring for the next turn: who has waited longest goes first."""
    reasons: dict[str, None] = dataclasses.field(default_factory=dict)
    """In order, each once; empty when there is no next turn."""
    started: float | None = None
    """When the run under way began; None when there is none."""
    failures: int = 0


class Agenda:
    """Which node is next. Not safe for threads; times are seconds of any one clock."""

    def __init__(self) -> None:
        self._slots: dict[str, _Slot] = {}
        self._rings = 0

    def ring(self, node: str, reason: str, due: float) -> None:
        """The node's next turn is at ``due`` or, when it had an earlier one, then."""
        slot = self._slots.setdefault(node, _Slot())
        self._rings += 1
        if not slot.reasons:
            slot.due, slot.number = due, self._rings
        slot.due = min(slot.due, due)
        if len(slot.reasons) < _MOST_REASONS:
            slot.reasons[reason] = None

    def take(self, now: float) -> tuple[str, tuple[str, ...]] | None:
        """The node that has been due longest, with its reasons; its run begins. None when none is due that has no run under way."""
        waiting = [(slot.due, slot.number, node) for node, slot in self._waiting() if slot.due <= now]
        if not waiting:
            return None
        node = min(waiting)[2]
        slot = self._slots[node]
        reasons, slot.reasons, slot.started = tuple(slot.reasons), {}, now
        return node, reasons

    def end(self, node: str, *, failed: bool) -> int:
        """The node's run has ended; how many have failed in a row."""
        slot = self._slots[node]
        slot.started = None
        slot.failures = slot.failures + 1 if failed else 0
        if not slot.reasons and not failed:
            del self._slots[node]
        return slot.failures

    def next_due(self) -> float | None:
        """When ``take`` will give a node next, as things stand; None when it will not."""
        return min((slot.due for _, slot in self._waiting()), default=None)

    def under_way(self) -> dict[str, float]:
        """Node → when its run began."""
        return {node: slot.started for node, slot in self._slots.items() if slot.started is not None}

    def _waiting(self) -> list[tuple[str, _Slot]]:
        return [(node, slot) for node, slot in self._slots.items() if slot.reasons and slot.started is None]
