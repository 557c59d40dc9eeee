"""A VM's configuration as the API tells it (``/pending``), written as the file that it stands for.

Main section and pending changes are all there. Snapshots, and lines that qemu-server cannot parse, are not told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from transom.guest import conf


class Row(Protocol):
    """One key: the value now and what a restart makes of it; None means none. ``pve.Pending`` is one."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> str | None: ...
    @property
    def pending(self) -> str | None: ...
    @property
    def delete(self) -> bool: ...


def text(rows: Iterable[Row]) -> str:
    """What ``conf.parse`` reads the same values from, current and pending."""
    return conf.render(parse(rows))


def parse(rows: Iterable[Row]) -> conf.GuestConf:
    """The configuration without its snapshots."""
    found = {row.key: row for row in rows}
    note = found.pop("description", None)
    coming = {key: _stored(row.pending) for key, row in found.items() if row.pending is not None}
    going = {row.key for row in (*found.values(), *([note] if note else [])) if row.delete}
    noted = note.pending if note else None
    return conf.GuestConf(
        main={key: _stored(row.value) for key, row in found.items() if row.value is not None},
        pending=coming,
        pending_delete=frozenset(going),
        description=((note.value if note else None) or "").rstrip(),
        pending_description=None if noted is None else noted.rstrip(),
        has_pending=bool(coming or going or noted is not None),
    )


def _stored(value: str) -> str:
    """An empty value comes as one blank."""
    return "" if value == " " else value
