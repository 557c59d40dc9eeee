"""A lab with one node, and the real daemon beside it in a process of its own, used from outside."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from patience import until
from transom import resources
from transom.lab import fleet


class Daemon:
    """``transom serve`` on a state folder, and the command as its client."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.state = folder / "state"
        self._log = folder / "serve.log"
        # scans do not come in between: a test says when
        own = {"TRANSOM_STATE": str(self.state), "TRANSOM_SCAN_EVERY": "3600", "TRANSOM_SCAN_JITTER": "0"}
        self.env = {**os.environ, **own}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            words = [*PROGRAM, "serve", "--listen", "127.0.0.1:0"]
            self.process = subprocess.Popen(words, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: (self.state / "serve.json").exists() and self._place()["pid"] == self.process.pid, self.log)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    @property
    def url(self) -> str:
        return str(self._place()["url"])

    def _place(self) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError, ValueError):
            found: dict[str, Any] = json.loads((self.state / "serve.json").read_text())
            return found
        return {"pid": 0}

    def log(self) -> str:
        return self._log.read_text()

    def transom(self, *words: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *map(str, words)],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, *words: str | pathlib.Path, code: int = 0) -> Any:
        done = self.transom(*words, "--json")
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)

    def token(self, name: str, scope: str) -> str:
        return str(self.json("token", "add", name, "--scope", scope)["token"])


PROGRAM = [sys.executable, "-m", "transom"]


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[fleet.Fleet]:
    with fleet.start(tmp_path / "lab") as running:
        yield running


@pytest.fixture
def seed(lab: fleet.Fleet) -> pathlib.Path:
    """The seed's documents, pointed at the lab."""
    return lab.stage(resources.examples_dir() / "seed.yaml")


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> Iterator[Daemon]:
    found = Daemon(tmp_path)
    found.start()
    try:
        yield found
    finally:
        if found.process and found.process.poll() is None:
            found.stop()
        assert "Traceback" not in found.log(), found.log()
