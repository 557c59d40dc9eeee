"""Several processes and threads at once, and one that is killed: nothing committed is lost, nothing collides."""

from __future__ import annotations

import pathlib
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent import futures

import pytest

from patience import PATIENCE
from transom import errors
from transom.store import store

APPEND = """
import pathlib, sys
from transom.store import store
kept = store.open_store(pathlib.Path(sys.argv[1]))
number = 0
while number != int(sys.argv[2]):
    number += 1
    kept.append("r1", 1, "info", f"{sys.argv[3]}{number}", None, 1.0)
    print(number, flush=True)
"""


def child(code: str, *args: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "error", "-c", code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_every_commit_goes_to_the_disk(kept):
    with kept._engine.connect() as db:
        pragmas = [db.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "journal_mode")]
    assert pragmas == [2, "wal"]


def test_killed_while_writing_it_keeps_all_that_was_told(kept, run, tmp_path):
    kept.start_run(run())
    writer = child(APPEND, tmp_path / "state", -1, "x")
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(60)]
    writer.send_signal(signal.SIGKILL)
    told += [int(line) for line in writer.communicate()[0].split()]
    events = kept.events("r1")
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.text for event in events] == [f"x{number}" for number in range(1, len(events) + 1)]
    # The last one may have been on disk before it was told.
    assert len(told) <= len(events) <= len(told) + 1


def test_two_processes_write_the_same_journal(kept, run, tmp_path):
    kept.start_run(run())
    writers = [child(APPEND, tmp_path / "state", 60, name) for name in "ab"]
    for writer in writers:
        stderr = writer.communicate(timeout=PATIENCE)[1]
        assert writer.returncode == 0, stderr.decode()
    events = kept.events("r1")
    assert [event.seq for event in events] == list(range(1, 121))
    for name in "ab":
        mine = [event.text for event in events if event.text.startswith(name)]
        assert mine == [f"{name}{number}" for number in range(1, 61)]


def test_threads_share_a_store(kept, run):
    kept.start_run(run())
    with futures.ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: kept.append("r1", 0, "info", str(number), None, 1.0), range(120)))
    assert sorted(int(event.text) for event in kept.events("r1")) == list(range(120))


def test_two_processes_open_a_new_store(tmp_path):
    openers = [child(APPEND, tmp_path / "state", 0, "x") for _ in range(4)]
    for opener in openers:
        stderr = opener.communicate(timeout=PATIENCE)[1]
        assert opener.returncode == 0, stderr.decode()


def test_readers_do_not_wait_for_a_writer_and_writers_are_told_busy(kept, run, tmp_path):
    kept.start_run(run())
    other = sqlite3.connect(tmp_path / "state" / store.FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert kept.run("r1") == run()
        start = time.monotonic()
        with pytest.raises(errors.Busy):
            kept.append("r1", 1, "info", "x", None, 1.0)
        assert 5 < time.monotonic() - start < 20
    finally:
        other.execute("ROLLBACK")
        other.close()
    kept.append("r1", 1, "info", "x", None, 1.0)


def test_what_is_refused_half_way_leaves_nothing(kept, run):
    kept.start_run(run())
    with pytest.raises(errors.TransomError):
        kept.append("no such run", 1, "info", "x", None, 1.0)
    with pytest.raises(KeyError):
        kept.put_documents([{"document": {"kind": "Node", "metadata": {"name": "a"}}}, {"document": {}}], 1.0)
    assert kept.documents() == []


def test_folder_and_file_are_private(tmp_path):
    store.open_store(tmp_path / "state").close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / store.FILE).stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path):
    store.open_store(tmp_path).close()
    (tmp_path / store.FILE).chmod(0o644)
    store.open_store(tmp_path).close()
    assert (tmp_path / store.FILE).stat().st_mode & 0o777 == 0o600


def test_reopened_it_is_as_it_was(kept, run, tmp_path):
    kept.start_run(run())
    again = store.open_store(tmp_path / "state")
    assert again.runs() == [run()]
    again.close()


def test_a_newer_database_is_refused_in_plain_words(tmp_path):
    store.open_store(tmp_path).close()
    db = sqlite3.connect(tmp_path / store.FILE)
    db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.commit()
    db.close()
    with pytest.raises(errors.Rejected, match=r"made by a newer Transom .*9999"):
        store.open_store(tmp_path)


@pytest.mark.parametrize("content", [b"not a database at all, not even nearly" * 99])
def test_what_is_no_database_is_refused(tmp_path: pathlib.Path, content: bytes):
    (tmp_path / store.FILE).write_bytes(content)
    with pytest.raises(errors.Rejected, match="not a usable database"):
        store.open_store(tmp_path)
    assert (tmp_path / store.FILE).read_bytes() == content
