"""What a daemon keeps about the fleet: itself, nodes as last seen, drift that stands, and what became of plans."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa

from transom.store import connect, records, shape, tables


class Meta:
    """Single values by name, as JSON."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, name: str) -> Any:
        """None when there is none."""
        with connect.read(self._engine) as db:
            return _value(db, name)

    def put(self, name: str, value: Any) -> None:
        with connect.write(self._engine) as db:
            shape.upsert(db, tables.meta, {"name": name, "value": json.dumps(value)})

    def put_first(self, name: str, value: Any) -> Any:
        """What stands under ``name``; ``value`` when nothing did, and then that stands there."""
        with connect.write(self._engine) as db:
            present = _value(db, name)
            if present is None:
                shape.upsert(db, tables.meta, {"name": name, "value": json.dumps(value)})
            return value if present is None else present

    def under(self, prefix: str) -> dict[str, Any]:
        """Every value whose name begins so."""
        query = sa.select(tables.meta).where(tables.meta.c.name.startswith(prefix, autoescape=True))
        with connect.read(self._engine) as db:
            return {name: json.loads(text) for name, text in db.execute(query.order_by(tables.meta.c.name))}

    def drop(self, name: str, value: Any = None) -> None:
        """With ``value``: only while that stands there."""
        query = tables.meta.delete().where(tables.meta.c.name == name)
        with connect.write(self._engine) as db:
            db.execute(query if value is None else query.where(tables.meta.c.value == json.dumps(value)))

    def raise_to(self, name: str, least: int) -> int:
        """Count ``name`` up by one, and to at least ``least``; the new number."""
        with connect.write(self._engine) as db:
            number = max((_value(db, name) or 0) + 1, least)
            shape.upsert(db, tables.meta, {"name": name, "value": json.dumps(number)})
            return number


def values(db: sa.Connection) -> dict[str, Any]:
    """All of ``Meta``, within whoever's transaction it is."""
    return {name: json.loads(text) for name, text in db.execute(sa.select(tables.meta))}


def _value(db: sa.Connection, name: str) -> Any:
    text = db.scalar(sa.select(tables.meta.c.value).where(tables.meta.c.name == name))
    return json.loads(text) if text is not None else None


class Lives:
    """Lives of daemons and commands on this store that have written leases, and how far each has come."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def all(self) -> dict[str, int]:
        """Life → the highest generation of a lease that it may have written. That of no name: before lives were kept."""
        with connect.read(self._engine) as db:
            return {row.life: row.generation for row in db.execute(sa.select(tables.lives))}

    def writes(self, life: str, generation: int) -> None:
        """A lease that is about to be written, or is known to be ours."""
        table = tables.lives
        with connect.write(self._engine) as db:
            known = db.scalar(sa.select(table.c.generation).where(table.c.life == life))
            if known is None or known < generation:
                shape.upsert(db, table, {"life": life, "generation": generation})


class Nodes:
    """Nodes as they were last looked at."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, node: str) -> records.Node:
        """One that was never looked at is unknown."""
        with connect.read(self._engine) as db:
            row = db.execute(sa.select(tables.nodes).where(tables.nodes.c.node == node)).mappings().first()
        return _node(row) if row else records.Node(node)

    def all(self) -> dict[str, records.Node]:
        with connect.read(self._engine) as db:
            rows = db.execute(sa.select(tables.nodes)).mappings().all()
        return {row["node"]: _node(row) for row in rows}

    def put(self, node: records.Node) -> None:
        row = shape.row(tables.nodes, node)
        with connect.write(self._engine) as db:
            shape.upsert(db, tables.nodes, row | {"versions": json.dumps(node.versions)})

    def accept_nothing(self, node: str) -> None:
        """The policy keeps the node as no documents say, before it has been as declared once more."""
        with connect.write(self._engine) as db:
            db.execute(tables.nodes.update().where(tables.nodes.c.node == node).values(accepted=""))

    def drop(self, node: str) -> None:
        """The node is nobody's any more, and nothing stands about it."""
        with connect.write(self._engine) as db:
            db.execute(tables.nodes.delete().where(tables.nodes.c.node == node))
            db.execute(tables.drift.delete().where(tables.drift.c.node == node))


class DriftLog:
    """Differences and findings that stand now."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def all(self, node: str = "") -> list[records.Drift]:
        """Of one node or of all, by node, kind and key."""
        table = tables.drift
        query = sa.select(table).order_by(table.c.node, table.c.kind, table.c.key)
        with connect.read(self._engine) as db:
            rows = db.execute(query.where(table.c.node == node) if node else query).mappings().all()
        return [records.Drift(**{**row, "detail": json.loads(row["detail"])}) for row in rows]

    def change(self, gone: Iterable[records.Drift], seen: Iterable[records.Drift]) -> None:
        """Take rows out, and put rows in; ``since`` of one that stands already stays."""
        table = tables.drift
        with connect.write(self._engine) as db:
            for one in gone:
                where = (table.c.node == one.node, table.c.kind == one.kind, table.c.key == one.key)
                db.execute(table.delete().where(*where))
            for one in seen:
                row = shape.row(table, one) | {"detail": json.dumps(one.detail, sort_keys=True)}
                shape.upsert(db, table, row, keep=("since",))


Change = Callable[[records.Proposal | None], records.Proposal | None]
"""From what stands to what shall stand; None leaves it. What it raises leaves everything as it was."""


def change(db: sa.Connection, hash: str, how: Change) -> tuple[records.Proposal | None, records.Proposal | None]:
    """As ``Proposals.change``, within whoever's transaction it is."""
    before = proposal(db, hash)
    after = how(before)
    if after is None or after == before:
        return before, before
    shape.upsert(db, tables.proposals, shape.row(tables.proposals, after))
    return before, after


def proposal(db: sa.Connection, hash: str) -> records.Proposal | None:
    row = db.execute(sa.select(tables.proposals).where(tables.proposals.c.hash == hash)).mappings().first()
    return records.Proposal(**row) if row else None


class Proposals:
    """What became of plans."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, hash: str) -> records.Proposal | None:
        with connect.read(self._engine) as db:
            return proposal(db, hash)

    def all(self, node: str = "", states: Iterable[str] = ()) -> list[records.Proposal]:
        """Newest first; of one node or of all, in any of ``states`` or in whichever."""
        table = tables.proposals
        query = sa.select(table).order_by(table.c.made_at.desc(), table.c.hash)
        query = query.where(table.c.node == node) if node else query
        wanted = tuple(states)
        query = query.where(table.c.state.in_(wanted)) if wanted else query
        with connect.read(self._engine) as db:
            rows = db.execute(query).mappings().all()
        return [records.Proposal(**row) for row in rows]

    def change(self, hash: str, how: Change) -> tuple[records.Proposal | None, records.Proposal | None]:
        """What stood under ``hash`` and what stands now, decided on and written in one moment."""
        with connect.write(self._engine) as db:
            return change(db, hash, how)


def _node(row: sa.RowMapping) -> records.Node:
    return records.Node(**{**row, "versions": json.loads(row["versions"])})
