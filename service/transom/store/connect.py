"""Engine and schema: SQLite in WAL mode with every commit on disk, migrated by Alembic when it is older than the code."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import stat
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from transom import errors

HEAD = "0007"
"""The newest revision in ``migrations/versions``; a test holds the two together."""
BUSY_MS = 10_000


def open_engine(path: pathlib.Path) -> sa.Engine:
    """The database at ``path``, made with mode 0600 in a folder with mode 0700. Rejected when it is newer than this program."""
    try:
        _prepare(path)
    except OSError as error:
        raise errors.Rejected(
            f"the state folder {path.parent} cannot be used: {error.strerror}", hint="choose another with --state"
        ) from error
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_MS / 1000})
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    try:
        with _alone(path.parent):
            _migrate(engine, path)
    except sa.exc.DatabaseError as error:
        engine.dispose()
        if _locked(error):
            raise errors.Busy(f"{path}: {error.orig}") from error
        raise errors.Rejected(
            f"{path} is not a usable database: {error.orig}", hint="move it away, or restore it"
        ) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextlib.contextmanager
def read(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that sees one state of everything and waits for no writer."""
    with _translated(engine), engine.connect() as db:
        yield db


@contextlib.contextmanager
def write(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that is on disk when the block has ended, and undone when it raises. Busy when others write on and on."""
    with _translated(engine), engine.connect() as plain:
        db = plain.execution_options(transom_writes=True)
        with db.begin():
            yield db


@contextlib.contextmanager
def _translated(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise errors.Busy(f"the store {engine.url.database}: no free connection") from error
    except sa.exc.DBAPIError as error:
        kind = errors.Busy if _locked(error) else errors.TransomError
        raise kind(f"the store {engine.url.database}: {error.orig}") from error


def _locked(error: sa.exc.DBAPIError) -> bool:
    return "locked" in str(error.orig)


def _prepare(path: pathlib.Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its other files the mode of this one.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Not opened: closing any descriptor of it would drop the locks that this process' other connections hold, and other
        # processes would then write over them (sqlite.org/howtocorrupt.html, 2.2).
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)


@contextlib.contextmanager
def _alone(folder: pathlib.Path) -> Iterator[None]:
    """One process at a time: a new database's change to WAL does not wait for others, it fails."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _configure(connection: Any, _record: object) -> None:
    # Transactions begin when we say so: Python's sqlite3 begins one only before the first write, after what it rests on was read.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(db: sa.Connection) -> None:
    writes = db.get_execution_options().get("transom_writes", False)
    db.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


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
    # Alembic reads % as ConfigParser does.
    config.set_main_option("script_location", str(pathlib.Path(__file__).parent / "migrations").replace("%", "%%"))
    with write(engine) as db:
        config.attributes["connection"] = db
        alembic.command.upgrade(config, "head")
