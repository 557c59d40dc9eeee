"""Tokens of the API: names, scopes, and hashes of the secrets; the secrets themselves are kept nowhere."""

from __future__ import annotations

import sqlalchemy as sa

from transom import errors
from transom.store import connect, records, shape, tables


class Tokens:
    """Each method is one transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, token: records.Token) -> None:
        """Rejected when the name is taken."""
        table = tables.tokens
        with connect.write(self._engine) as db:
            if db.scalar(sa.select(table.c.name).where(table.c.name == token.name)) is not None:
                raise errors.Rejected(f"there is a token {token.name!r} already", hint="transom token ls lists them")
            db.execute(table.insert().values(shape.row(table, token)))

    def drop(self, name: str) -> bool:
        """Whether there was one."""
        table = tables.tokens
        with connect.write(self._engine) as db:
            return db.execute(table.delete().where(table.c.name == name)).rowcount > 0

    def all(self) -> list[records.Token]:
        """By name."""
        with connect.read(self._engine) as db:
            rows = db.execute(sa.select(tables.tokens).order_by(tables.tokens.c.name)).mappings().all()
        return [records.Token(**row) for row in rows]

    def by_hash(self, sha256: str) -> records.Token | None:
        with connect.read(self._engine) as db:
            row = db.execute(sa.select(tables.tokens).where(tables.tokens.c.sha256 == sha256)).mappings().first()
        return records.Token(**row) if row else None
