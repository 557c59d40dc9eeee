"""SQLite's locks are the process': whatever closes the database's file must not drop them."""

from __future__ import annotations

import subprocess
import sys

from transom.store import store


def test_a_second_store_in_the_same_process_keeps_the_locks_of_the_first(tmp_path):
    """Another process that believes to be alone would take the write-ahead log away from under us when it leaves."""
    first = store.open_store(tmp_path)
    first.put_plan("a" * 16, "pve1", {}, 1.0)
    second = store.open_store(tmp_path)
    second.close()
    other = "import pathlib, sys; from transom.store import store; store.open_store(pathlib.Path(sys.argv[1])).close()"
    subprocess.run([sys.executable, "-c", other, str(tmp_path)], check=True)
    assert (tmp_path / f"{store.FILE}-wal").exists()
    first.put_plan("b" * 16, "pve1", {}, 2.0)
    first.close()
