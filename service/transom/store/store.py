"""Opening the database, and every query there is, one small method each. Thread-safe; several processes may have it open."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from transom import model
from transom.store import blobs, connect, fleet, operations, records, roms, shape, tables, tokens
from transom.store import documents as documents_table

FILE = "transom.db"
ROMS = "roms"
"""Folder of the library's files."""


class Store:
    """Made by ``open_store``. Each method is one transaction, on disk when it returns."""

    def __init__(self, engine: sa.Engine, folder: pathlib.Path) -> None:
        self._engine = engine
        self.folder = folder
        self.tell: Callable[[records.Run | records.Event], None] = _to_nobody
        """Called after a run has begun or ended and after its journal has grown; it must not block."""
        self.meta = fleet.Meta(engine)
        self.lives = fleet.Lives(engine)
        self.nodes = fleet.Nodes(engine)
        self.drift = fleet.DriftLog(engine)
        self.proposals = fleet.Proposals(engine)
        self.operations = operations.Operations(engine)
        self.tokens = tokens.Tokens(engine)
        self.roms = roms.Roms(engine)
        self.built = blobs.Blobs(folder / ROMS / "built")
        self.inputs = blobs.Blobs(folder / ROMS / "inputs")

    def close(self) -> None:
        self._engine.dispose()

    # --- documents ---

    def put_documents(self, documents: Iterable[Mapping[str, Any]], at: float) -> None:
        """Store documents in the plain form of ``spec.bundle.dump``, replacing those of the same kind and name; all or none."""
        with connect.write(self._engine) as db:
            documents_table.put(db, documents, at)

    def documents(self) -> list[dict[str, Any]]:
        """Every document in its plain form, in the order in which they first came."""
        with connect.read(self._engine) as db:
            return documents_table.all(db)

    def documents_stamp(self) -> tuple[Any, ...]:
        """Another one whenever the stored documents have changed."""
        with connect.read(self._engine) as db:
            return documents_table.stamp(db)

    # --- plans ---

    def put_plan(self, hash: str, node: str, content: Mapping[str, Any], at: float) -> None:
        """Store a plan under its hash; the same hash is the same plan, so a second time changes nothing."""
        row = {"hash": hash, "node": node, "content": json.dumps(content, sort_keys=True), "made_at": at}
        with connect.write(self._engine) as db:
            db.execute(sqlite.insert(tables.plans).values(row).on_conflict_do_nothing())

    def plan(self, hash: str) -> records.StoredPlan | None:
        with connect.read(self._engine) as db:
            row = db.execute(sa.select(tables.plans).where(tables.plans.c.hash == hash)).mappings().first()
        return records.StoredPlan(**{**row, "content": json.loads(row["content"])}) if row else None

    # --- runs and their journal ---

    def start_run(self, run: records.Run, may: Callable[[records.Moment], None] = lambda _: None) -> None:
        """Write down that it begins, which spends the approval of its plan. ``may`` raises when it must not begin after all: it is
        given what stands, in a moment in which nobody else writes to the store."""
        row = shape.row(tables.runs, run)
        with connect.write(self._engine) as db:
            moment = records.Moment(fleet.proposal(db, run.plan), fleet.values(db))
            may(moment)
            fleet.change(db, run.plan, lambda old: dataclasses.replace(old, run=run.id) if old and old.open else None)
            db.execute(tables.runs.insert().values(row | {"ledger_before": json.dumps(run.ledger_before)}))
        self.tell(run)

    def end_run(self, run: str, state: str, at: float, error: str = "") -> None:
        with connect.write(self._engine) as db:
            db.execute(
                tables.runs.update().where(tables.runs.c.id == run).values(state=state, ended_at=at, error=error)
            )
        if ended := self.run(run):
            self.tell(ended)

    def mark_undone(self, run: str) -> None:
        """The run has been taken back; its end stays as it was."""
        with connect.write(self._engine) as db:
            db.execute(tables.runs.update().where(tables.runs.c.id == run).values(state=records.UNDONE))

    def run(self, run: str) -> records.Run | None:
        with connect.read(self._engine) as db:
            row = db.execute(sa.select(tables.runs).where(tables.runs.c.id == run)).mappings().first()
        return _run(row) if row else None

    def runs(
        self, node: str | None = None, *, state: str = "", kind: str = "", plan: str = "", since: float | None = None
    ) -> list[records.Run]:
        """Newest first; of one node, or of all; only those of a state, kind or plan, or that began after ``since``."""
        table = tables.runs
        wanted = {table.c.node: node, table.c.state: state, table.c.kind: kind, table.c.plan: plan}
        query = sa.select(table).where(*(column == value for column, value in wanted.items() if value))
        return self._runs(query if since is None else query.where(table.c.started_at > since))

    def newest_run(self, node: str) -> records.Run | None:
        return next(iter(self._runs(sa.select(tables.runs).where(tables.runs.c.node == node).limit(1))), None)

    def _runs(self, query: sa.Select[Any]) -> list[records.Run]:
        ordered = query.order_by(tables.runs.c.started_at.desc(), tables.runs.c.id.desc())
        with connect.read(self._engine) as db:
            return [_run(row) for row in db.execute(ordered).mappings()]

    def append(self, run: str, step: int, phase: str, text: str, data: Any, at: float) -> None:
        """One more line of the run's journal."""
        with connect.write(self._engine) as db:
            event = _append(db, run, step, phase, text, data, at)
        self.tell(event)

    def events(self, run: str) -> list[records.Event]:
        events = tables.events
        with connect.read(self._engine) as db:
            rows = db.execute(sa.select(events).where(events.c.run == run).order_by(events.c.seq)).mappings().all()
        return [records.Event(**{**row, "data": json.loads(row["data"])}) for row in rows]

    # --- ledger ---

    def ledger(self, node: str) -> dict[str, model.Entry]:
        """Path → entry of one node, sorted by path."""
        query = sa.select(tables.ledger).where(tables.ledger.c.node == node).order_by(tables.ledger.c.path)
        with connect.read(self._engine) as db:
            rows = db.execute(query).mappings().all()
        return {row["path"]: model.Entry(**row) for row in rows}

    def put_ledger(self, entries: Iterable[model.Entry]) -> None:
        """Write entries. The ``before`` of a path that has one already stays: it is what was there before Transom came."""
        with connect.write(self._engine) as db:
            for entry in entries:
                row = shape.row(tables.ledger, entry)
                shape.upsert(db, tables.ledger, row, keep=("before",))

    def reset_ledger(self, node: str, entries: Mapping[str, model.Entry | None]) -> None:
        """Set paths to exactly these entries; None drops the path."""
        table = tables.ledger
        with connect.write(self._engine) as db:
            for path, entry in entries.items():
                db.execute(table.delete().where(table.c.node == node, table.c.path == path))
                if entry is not None:
                    db.execute(table.insert().values(shape.row(table, entry)))

    def move_ledger(self, node: str, old: str, new: str, run: str, phase: str, text: str, data: Any, at: float) -> None:
        """Rename ``old`` and everything below it, and say so in the run's journal: both or neither. What stood at ``new`` goes."""
        table = tables.ledger
        with connect.write(self._engine) as db:
            event = _append(db, run, 0, phase, text, data, at)
            paths = list(db.scalars(sa.select(table.c.path).where(table.c.node == node)))
            for path in paths:
                if _within(path, new):
                    db.execute(table.delete().where(table.c.node == node, table.c.path == path))
            for path in paths:
                if _within(path, old):
                    to = new + path.removeprefix(old)
                    db.execute(table.update().where(table.c.node == node, table.c.path == path).values(path=to))
        self.tell(event)

    def drop_ledger(self, node: str, paths: Sequence[str]) -> None:
        self.reset_ledger(node, dict.fromkeys(paths))


def open_store(folder: pathlib.Path) -> Store:
    """The store in ``folder``, made or brought up to date when needed. Rejected when it is newer than this program."""
    return Store(connect.open_engine(folder / FILE), folder)


def _to_nobody(record: records.Run | records.Event) -> None:
    del record


def _within(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


def _append(db: sa.Connection, run: str, step: int, phase: str, text: str, data: Any, at: float) -> records.Event:
    events = tables.events
    last = db.scalar(sa.select(sa.func.max(events.c.seq)).where(events.c.run == run)) or 0
    row = {"run": run, "seq": last + 1, "at": at, "step": step, "phase": phase, "text": text}
    db.execute(events.insert().values(row | {"data": json.dumps(data)}))
    return records.Event(run, last + 1, at, step, phase, text, data)


def _run(row: sa.RowMapping) -> records.Run:
    return records.Run(**{**row, "ledger_before": json.loads(row["ledger_before"])})
