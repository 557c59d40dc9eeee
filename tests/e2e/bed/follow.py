"""A command under way: what it says is read as it comes, so that a test can act at a moment of it."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

_STEP = re.compile(r"\[(\d+)/(\d+)\]")


class Command:
    """Started at once; ``said`` are its lines so far, of both its outputs."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.said: list[str] = []
        self._process = subprocess.Popen(
            argv,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout:
            for line in self._process.stdout:
                self.said.append(line.rstrip())

    @property
    def step(self) -> tuple[int, int]:
        """The newest step that is told of, and how many there are; (0, 0) before the first."""
        found = [match for line in self.said if (match := _STEP.search(line))]
        return (int(found[-1][1]), int(found[-1][2])) if found else (0, 0)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self, within: float) -> int:
        """Its exit status. TimeoutExpired, with what it said, when it does not end."""
        try:
            code = self._process.wait(within)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"not at its end after {within} s:\n{self.text}") from error
        self._reader.join(10)
        return code

    def until(self, reached: Callable[[], bool], within: float) -> bool:
        """Waits for a moment; False when the command ended, or time is up, before it came."""
        end = time.monotonic() + within
        while not reached():
            if self.ended or time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def stop(self) -> None:
        """Kills it, if it still runs."""
        self._process.kill()
        self._process.wait()

    @property
    def text(self) -> str:
        return "\n".join(self.said)
