"""A lab and a daemon beside it: in this process, or as one of its own that can be killed."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from transom import daemon, resources
from transom.lab import fleet
from transom.reconcile import backend, keeper, settings
from transom.store import store

QUICK = settings.Settings(scan_every=2, scan_jitter=0.5, settle=0, stop_within=30)
CHILD = """
import pathlib, sys, time
from transom import daemon
from transom.reconcile import backend, settings
folder, document, key = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
with daemon.open_keeper(folder, settings.Settings(scan_every=2, scan_jitter=0.5, settle=0)) as keeper:
    asked = keeper.provision([backend.Text(str(document), document.read_text())], approve=True, key=key, by="test")
    print(asked.id, flush=True)
    time.sleep(600)
"""


class Bench:
    """A lab of one node or more, and a state folder."""

    def __init__(self, folder: pathlib.Path, lab: fleet.Fleet, documents: pathlib.Path | None = None) -> None:
        self.folder, self.lab = folder, lab
        self.state = folder / "state"
        self.seed = documents or lab.stage(resources.examples_dir() / "seed.yaml")

    def keeper(self, options: settings.Settings = QUICK) -> contextlib.AbstractContextManager[keeper.Keeper]:
        return daemon.open_keeper(self.state, options)

    def text(self, change: Callable[[str], str] = str) -> backend.Text:
        return backend.Text(str(self.seed), change(self.seed.read_text()))

    def child(self, document: pathlib.Path, key: str) -> subprocess.Popen[str]:
        """A daemon of its own that provisions ``document`` and stays; its first line is the operation."""
        command = [sys.executable, "-c", CHILD, str(self.state), str(document), key]
        with (self.folder / "stderr").open("a") as stderr:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)

    def store(self) -> contextlib.closing[store.Store]:
        return contextlib.closing(store.open_store(self.state))


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Iterator[Bench]:
    with fleet.start(tmp_path / "lab") as lab:
        yield Bench(tmp_path, lab)


@pytest.fixture
def bench_of() -> type[Bench]:
    """For labs of another make than one node."""
    return Bench
