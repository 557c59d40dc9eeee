"""``transom serve`` as a process beside the demo: started, found, ended. It dies with the demo, also when that is killed."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

from transom import errors
from transom.lab import platform
from transom.lab.demo import place

PROGRAM = (sys.executable, "-m", "transom")
START, STOP = 60.0, 75.0
"""Seconds to come up, and to end: longer than its own ``stop_within``."""


class Daemon:
    """A daemon on the state in ``folder/state``. ``url`` and ``token`` are what an outsider needs."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.state = folder / place.STATE
        self.log = folder / place.LOG
        self.token_file = folder / place.TOKEN
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def token(self) -> str:
        return self.token_file.read_text().strip()

    def configure(self, settings: str) -> None:
        """``settings`` are those of ``transom.yaml``; and a token for the demo, kept where only its user reads it."""
        self.state.mkdir(parents=True, mode=0o700)
        (self.state / "transom.yaml").write_text(settings)
        words = [*PROGRAM, "token", "add", "demo", "--scope", "approver", "--state", str(self.state)]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=_env())
        if done.returncode:
            raise errors.Rejected(f"`transom token add` failed: {done.stderr.strip()}")
        with open(self.token_file, "x", opener=lambda name, flags: os.open(name, flags, mode=0o600)) as file:
            file.write(done.stdout)

    def start(self) -> None:
        """On any free port of loopback; returns without waiting for it."""
        words = [*PROGRAM, "serve", "--listen", "127.0.0.1:0", "--state", str(self.state)]
        # a session of its own: Ctrl-C is for the demo, which then ends this in order
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [platform.program("setpriv"), "--pdeathsig", "TERM", *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_env(), start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Until it listens; Unreachable with its last words when it has ended, or is too slow."""
        end = time.monotonic() + START
        found = self.state / "serve.json"
        while not found.exists():
            self.check()
            if time.monotonic() > end:
                raise errors.Unreachable(f"the daemon was not up after {START:.0f} s", hint=f"see {self.log}")
            time.sleep(0.05)
        self.url = str(json.loads(found.read_text())["url"])

    def check(self) -> None:
        """Unreachable with its last words when it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise errors.Unreachable(f"the daemon has ended: {self.log.read_text(errors='replace')[-600:].strip()}")

    def stop(self) -> None:
        """In order, so that runs under way finish; by force when that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def started(folder: pathlib.Path, settings: str) -> Iterator[Daemon]:
    """A daemon that comes up while the block runs (``wait``) and ends with it."""
    one = Daemon(folder)
    one.configure(settings)
    one.start()
    try:
        yield one
    finally:
        one.stop()


def _env() -> dict[str, str]:
    """This one's, without the user's own choices for Transom: the demo's daemon is nobody else's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRANSOM_")}
