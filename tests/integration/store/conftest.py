"""A real store on disk, and rows for it."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator

import pytest

from transom.store import records, store


def make_run(name: str = "r1", **changes: object) -> records.Run:
    given = {
        "id": name, "node": "pve1", "plan": "a" * 64, "kind": "apply", "undoes": "", "state": records.RUNNING,
        "error": "", "boot_id": "", "ledger_before": {}, "started_at": 1.0, "ended_at": None,
    }  # fmt: skip
    return records.Run(**{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture
def run() -> Callable[..., records.Run]:
    return make_run


@pytest.fixture
def kept(tmp_path: pathlib.Path) -> Iterator[store.Store]:
    """An open store that knows plan ``aaa…``."""
    opened = store.open_store(tmp_path / "state")
    opened.put_plan("a" * 64, "pve1", {}, 1.0)
    yield opened
    opened.close()
