"""Stored documents, in the order in which they first came; within whoever's transaction it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from transom.store import shape, tables


def put(db: sa.Connection, documents: Iterable[Mapping[str, Any]], at: float) -> None:
    """In the plain form of ``spec.bundle.dump``; those of the same kind and name are replaced in their place."""
    last = db.scalar(sa.select(sa.func.max(tables.documents.c.position))) or 0
    for number, plain in enumerate(documents, last + 1):
        row = {
            "kind": plain["document"]["kind"],
            "name": plain["document"]["metadata"]["name"],
            "content": json.dumps(plain, sort_keys=True),
            "stored_at": at,
            "position": number,
        }
        shape.upsert(db, tables.documents, row, keep=("position",))


def all(db: sa.Connection) -> list[dict[str, Any]]:
    found = db.execute(sa.select(tables.documents.c.content).order_by(tables.documents.c.position))
    return [json.loads(content) for (content,) in found]


def drop(db: sa.Connection, titles: Iterable[str]) -> None:
    """Those of ``Kind/name``; others than these stay, and one that is gone already is no mistake."""
    table = tables.documents
    for title in titles:
        kind, _, name = title.partition("/")
        db.execute(table.delete().where(table.c.kind == kind, table.c.name == name))


def stamp(db: sa.Connection) -> tuple[Any, ...]:
    """Another one after each ``put`` and ``drop``: a replaced document has a later time."""
    table = tables.documents
    row = db.execute(sa.select(sa.func.count(), sa.func.max(table.c.stored_at), sa.func.sum(table.c.stored_at))).one()
    return tuple(row)
