"""Rows of tables to and from frozen records, and the one way to insert or update; shared by all managers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite


def upsert(db: sa.Connection, table: sa.Table, row: Mapping[str, Any], *, keep: Sequence[str] = ()) -> None:
    """Insert, or update all but the key and ``keep``."""
    key = [column.name for column in table.primary_key]
    insert = sqlite.insert(table).values(row)
    changed = {name: insert.excluded[name] for name in row if name not in (*key, *keep)}
    db.execute(insert.on_conflict_do_update(index_elements=key, set_=changed))


def row(table: sa.Table, value: object) -> dict[str, Any]:
    """The columns of ``table`` from the attributes of the same names."""
    return {column.name: getattr(value, column.name) for column in table.columns}
