"""The library's rows: what was built of what, and the files that were handed in. Their bytes are in ``blobs``."""

from __future__ import annotations

import json

import sqlalchemy as sa

from transom.store import connect, records, shape, tables

_JSON = ("inputs", "options", "answer")


class Roms:
    """Each method is one transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def put(self, rom: records.Rom) -> None:
        """By its key; what stood there goes."""
        row = shape.row(tables.roms, rom) | {name: json.dumps(getattr(rom, name)) for name in _JSON}
        with connect.write(self._engine) as db:
            shape.upsert(db, tables.roms, row)

    def get(self, key: str) -> records.Rom | None:
        with connect.read(self._engine) as db:
            row = db.execute(sa.select(tables.roms).where(tables.roms.c.key == key)).mappings().first()
        return _rom(row) if row else None

    def all(self) -> list[records.Rom]:
        """Newest first."""
        query = sa.select(tables.roms).order_by(tables.roms.c.at.desc(), tables.roms.c.key)
        with connect.read(self._engine) as db:
            return [_rom(row) for row in db.execute(query).mappings()]

    def drop(self, key: str) -> None:
        with connect.write(self._engine) as db:
            db.execute(tables.roms.delete().where(tables.roms.c.key == key))

    def put_input(self, one: records.RomInput) -> None:
        """By its hash; who handed it in first, and when it was last asked for, stay known."""
        with connect.write(self._engine) as db:
            shape.upsert(db, tables.rom_inputs, shape.row(tables.rom_inputs, one), keep=("name", "origin"))

    def input(self, sha256: str) -> records.RomInput | None:
        table = tables.rom_inputs
        with connect.read(self._engine) as db:
            row = db.execute(sa.select(table).where(table.c.sha256 == sha256)).mappings().first()
        return records.RomInput(**row) if row else None

    def inputs(self) -> list[records.RomInput]:
        """Newest first."""
        table = tables.rom_inputs
        with connect.read(self._engine) as db:
            rows = db.execute(sa.select(table).order_by(table.c.at.desc(), table.c.sha256)).mappings().all()
        return [records.RomInput(**row) for row in rows]

    def drop_input(self, sha256: str) -> None:
        with connect.write(self._engine) as db:
            db.execute(tables.rom_inputs.delete().where(tables.rom_inputs.c.sha256 == sha256))


def _rom(row: sa.RowMapping) -> records.Rom:
    return records.Rom(**{**row, **{name: json.loads(row[name]) for name in _JSON}})
