"""Engine and schema: SQLite in WAL mode with every commit on disk, migrated by Alembic when it is older than the code."""

from __future__ import annotations

import pathlib
from typing import Any

import sqlalchemy as sa

from transom import errors

HEAD = "0001"
"""The newest revision in ``migrations/versions``; a test holds the two together."""
BUSY_MS = 10_000


def open_engine(path: pathlib.Path) -> sa.Engine:
    """The database at ``path``, made with mode 0600 in a folder with mode 0700. Rejected when it is newer than this program."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
    sa.event.listen(engine, "connect", _pragmas)
    try:
        _migrate(engine, path)
    except sa.exc.DatabaseError as error:
        engine.dispose()
        raise errors.Rejected(
            f"{path} is not a usable database: {error.orig}", hint="move it away, or restore it"
        ) from error
    return engine


def _pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def revision(engine: sa.Engine) -> str:
    """The schema's revision; empty for a new database."""
    with engine.connect() as db:
        if not sa.inspect(db).has_table("alembic_version"):
            return ""
        return db.scalar(sa.text("SELECT version_num FROM alembic_version")) or ""


def _migrate(engine: sa.Engine, path: pathlib.Path) -> None:
    found = revision(engine)
    if found == HEAD:
        return
    if found > HEAD:
        raise errors.Rejected(f"{path} was made by a newer Transom (revision {found}, this one knows {HEAD})")
    # Only when it is needed: Alembic costs a fifth of a second to import.
    import alembic.command
    import alembic.config

    config = alembic.config.Config()
    config.set_main_option("script_location", str(pathlib.Path(__file__).parent / "migrations"))
    with engine.begin() as db:
        config.attributes["connection"] = db
        alembic.command.upgrade(config, "head")
