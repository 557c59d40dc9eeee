"""Operations: what was asked for, node by node. They outlive the daemon, and one key is one operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from transom.store import connect, documents, fleet, records, shape, tables


class Operations:
    """What was asked for, and how far it has got."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def ask(
        self,
        operation: records.Operation,
        shares: Iterable[records.Share],
        texts: Sequence[Mapping[str, Any]] = (),
        drop: Iterable[str] = (),
    ) -> records.Operation:
        """Store the operation and the documents that came with it, and drop those of ``Kind/name``; all or none. When one with
        this key and from the same asker is there already, that one is the answer and nothing is stored."""
        with connect.write(self._engine) as db:
            if operation.key is not None and (found := _by_key(db, operation.asked_by, operation.key)):
                return found
            documents.put(db, texts, operation.at)
            documents.drop(db, drop)
            db.execute(tables.operations.insert().values(shape.row(tables.operations, operation)))
            for share in shares:
                db.execute(tables.shares.insert().values(shape.row(tables.shares, share)))
        return operation

    def approve(
        self, hash: str, how: fleet.Change, operation: records.Operation | None, shares: Iterable[records.Share]
    ) -> None:
        """An approval and who follows it, in one moment: nobody sees a plan carried out that no share is there for. ``operation``
        is a new one; None when the shares are of one that is there already."""
        with connect.write(self._engine) as db:
            fleet.change(db, hash, how)
            if operation is not None:
                db.execute(tables.operations.insert().values(shape.row(tables.operations, operation)))
            for share in shares:
                found = _share(db, share)
                if found is None or found.state not in records.ENDED:
                    shape.upsert(db, tables.shares, shape.row(tables.shares, share))

    def by_key(self, asked_by: str, key: str) -> records.Operation | None:
        with connect.read(self._engine) as db:
            return _by_key(db, asked_by, key)

    def get(self, id: str) -> records.Operation | None:
        with connect.read(self._engine) as db:
            row = db.execute(sa.select(tables.operations).where(tables.operations.c.id == id)).mappings().first()
        return records.Operation(**row) if row else None

    def shares(self, operation: str) -> list[records.Share]:
        """In the order of the nodes in the documents."""
        table = tables.shares
        with connect.read(self._engine) as db:
            query = sa.select(table).where(table.c.operation == operation).order_by(table.c.position)
            return [records.Share(**row) for row in db.execute(query).mappings()]

    def open(self, node: str = "") -> list[tuple[records.Operation, records.Share]]:
        """Shares that have not ended, oldest operation first; of one node or of all."""
        shares, operations = tables.shares, tables.operations
        query = (
            sa.select(operations, *(column.label(f"share_{column.name}") for column in shares.columns))
            .join(shares, shares.c.operation == operations.c.id)
            .where(shares.c.state.not_in(records.ENDED))
            .order_by(operations.c.at, operations.c.id)
        )
        with connect.read(self._engine) as db:
            rows = db.execute(query.where(shares.c.node == node) if node else query).mappings().all()
        return [
            (_part(row, operations, "", records.Operation), _part(row, shares, "share_", records.Share)) for row in rows
        ]

    def change_share(
        self, share: records.Share, how: Callable[[records.Share], records.Share], *, drop: Iterable[str] = ()
    ) -> tuple[records.Share, records.Share]:
        """How far it had got and has got, decided on and written in one moment; one that has ended stays as it is. With it go the
        documents ``drop`` (``Kind/name``)."""
        with connect.write(self._engine) as db:
            documents.drop(db, drop)
            before = _share(db, share) or share
            after = before if before.state in records.ENDED else how(before)
            if after != before:
                shape.upsert(db, tables.shares, shape.row(tables.shares, after))
            return before, after


def _share(db: sa.Connection, share: records.Share) -> records.Share | None:
    """As it stands now."""
    table = tables.shares
    query = sa.select(table).where(table.c.operation == share.operation, table.c.node == share.node)
    row = db.execute(query).mappings().first()
    return records.Share(**row) if row else None


def _by_key(db: sa.Connection, asked_by: str, key: str) -> records.Operation | None:
    table = tables.operations
    query = sa.select(table).where(table.c.asked_by == asked_by, table.c.key == key)
    row = db.execute(query).mappings().first()
    return records.Operation(**row) if row else None


def _part(row: sa.RowMapping, table: sa.Table, prefix: str, kind: Any) -> Any:
    return kind(**{column.name: row[prefix + column.name] for column in table.columns})
