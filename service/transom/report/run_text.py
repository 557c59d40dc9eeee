"""How runs and their journals read."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from transom import errors
from transom.store import records

SIGNS = {"before": "…", "after": "✓", "failed": "✗", "finding": "!", "taken": "↻", "missing": "!"}
"""Of the phases that are said aloud while a run goes on; a task says itself line by line."""


def table(runs: Iterable[records.Run]) -> str:
    """One line a run, newest first as given; a sentence when there is none."""
    lines = [f"{run.id:34} {run.kind:6} {run.state:12} {_when(run.started_at)}  plan {run.plan}" for run in runs]
    return "\n".join(lines) + "\n" if lines else "No runs yet.\n"


def journal(run: records.Run, events: Iterable[records.Event]) -> str:
    lines = [f"Run {run.id}: {run.kind} of plan {run.plan} on {run.node}, {run.state}"]
    if run.undoes:
        lines.append(f"  takes back {run.undoes}")
    lines += [f"  {line(event_data(event))}" for event in events]
    if run.error:
        lines.append(f"  error: {run.error}")
    return "\n".join(lines) + "\n"


CARD = "card"
"""Phase of the journal that carries the rescue card of a reboot."""


def card(run: records.Run, events: Iterable[records.Event]) -> str:
    """The newest rescue card of ``run``. Rejected when it reboots nothing, or has not come so far."""
    found = [event.data["card"] for event in events if event.phase == CARD]
    if not found:
        raise errors.Rejected(
            f"{run.id} has no rescue card", hint="only a run that reboots its node has one, right before"
        )
    return str(found[-1])


def line(event: Mapping[str, Any]) -> str:
    """One line of a journal, from ``event_data``."""
    return f"{_when(event['at'])}  {event['step'] or '-':>2} {event['phase']:7} {event['text']}"


def as_data(run: records.Run) -> dict[str, Any]:
    """For ``--json``; without the ledger's copy, which is for undo only."""
    data = dataclasses.asdict(run)
    del data["ledger_before"]
    return data


def from_data(data: Mapping[str, Any]) -> records.Run:
    """The run that ``as_data`` gave."""
    return records.Run(**data, ledger_before={})


def event_data(event: records.Event) -> dict[str, Any]:
    data = dataclasses.asdict(event)
    del data["run"]
    return data


def event_from_data(run: str, data: Mapping[str, Any]) -> records.Event:
    """The line of ``run``'s journal that ``event_data`` gave."""
    return records.Event(run=run, **data)


def _when(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, tz=datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
