"""Tasks: their UPIDs, logs and ends, one pair of files each, so that they outlive the process that ran them.

A running task holds flock on its log: when no end was written and nobody holds the lock, its process died.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from transom.lab.pve import access, files, replies

UPID = re.compile(
    r"UPID:([a-zA-Z0-9](?:[a-zA-Z0-9\-]*[a-zA-Z0-9])?):([0-9A-Fa-f]{8}):([0-9A-Fa-f]{8,9}):([0-9A-Fa-f]{8}):"
    r"([^:\s]+):([^:\s]*):([^:\s]+):"
)


class Interrupted(Exception):
    """Somebody ended the task by DELETE."""


@dataclass(frozen=True)
class Upid:
    text: str
    node: str
    pid: int
    pstart: int
    starttime: int
    type: str
    id: str
    caller: access.Caller


def decode(text: str) -> Upid:
    """400 when the text is no UPID."""
    found = UPID.fullmatch(text)
    if not found:
        replies.bad_parameters({"upid": "unable to parse worker upid"})
    node, pid, pstart, start, kind, name, user = found.groups()
    return Upid(text, node, int(pid, 16), int(pstart, 16), int(start, 16), kind, name, access.Caller(user))


class Log:
    """What a running task writes, and how it notices that it shall stop."""

    def __init__(self, path: Path, echo: Callable[[str], None] | None = None) -> None:
        self.handle = path.open("a", buffering=1)
        fcntl.flock(self.handle, fcntl.LOCK_EX)
        self.stop_file = path.with_name(f"{path.name}.stop")
        self.echo = echo

    def __call__(self, text: str) -> None:
        self.handle.write(f"{text}\n")
        if self.echo:
            self.echo(text)

    def sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.stop_file.exists():
                raise Interrupted
            time.sleep(min(0.05, left))


Work = Callable[[Log], None]


class Tasks:
    """The tasks of one node."""

    def __init__(self, place: files.NodeFiles, background: bool = True, echo: Callable[[str], None] | None = None):
        self.place, self.background, self.echo = place, background, echo
        self.last_error = ""

    def start(self, kind: str, name: str, caller: access.Caller, work: Work) -> str:
        """Runs `work` as a task (in a thread, or here when not in the background); returns its UPID."""
        number = files.count(self.place.path("run/pve-task-number"), 1000)
        ticks = int(time.monotonic() * 100) & 0xFFFFFFFF
        upid = f"UPID:{self.place.node}:{number:08X}:{ticks:08X}:{int(time.time()):08X}:{kind}:{name}:{caller.name}:"
        log = Log(self.place.tasks / upid, self.echo)
        if self.background:
            threading.Thread(target=self._run, args=(upid, log, work), daemon=True).start()
        else:
            self._run(upid, log, work)
        return upid

    def _run(self, upid: str, log: Log, work: Work) -> None:
        status = "unexpected status"
        try:
            work(log)
            status = "OK"
        except replies.Refused as error:
            status = error.as_death()
        except Interrupted:
            status = "received interrupt"
        except OSError as error:
            status = str(error)
        finally:
            self.last_error = "" if status == "OK" else status
            status = status.replace("\n", " ")
            log.echo = None
            log("TASK OK" if status == "OK" else f"TASK ERROR: {status}")
            self._end(upid, status)
            log.handle.close()

    def _end(self, upid: str, status: str) -> None:
        files.write_json(self.place.tasks / f"{upid}.end", {"endtime": int(time.time()), "status": status})

    def find(self, text: str) -> Upid:
        """400 when there is no such task."""
        upid = decode(text)
        if not (self.place.tasks / text).exists():
            replies.bad_parameters({"upid": "no such task"})
        return upid

    def end(self, upid: str) -> tuple[int, str] | None:
        """(time, status) of a task that has ended."""
        if end := files.read_json(self.place.tasks / f"{upid}.end"):
            return int(str(end["endtime"])), str(end["status"])
        with contextlib.suppress(OSError), (self.place.tasks / upid).open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if end := files.read_json(self.place.tasks / f"{upid}.end"):
                return int(str(end["endtime"])), str(end["status"])
            return int(time.time()), "unexpected status"
        return None

    def stop(self, upid: str) -> None:
        """Interrupts a running task; returns when it has ended (it looks for the sign many times a second)."""
        if self.end(upid) is None:
            (self.place.tasks / f"{upid}.stop").touch()
            self.wait(upid, 2)

    def wait(self, upid: str, seconds: float) -> str | None:
        """The status once the task has ended, None when it has not in time."""
        limit = time.monotonic() + seconds
        while (end := self.end(upid)) is None:
            if time.monotonic() >= limit:
                return None
            time.sleep(0.02)
        return end[1]

    def lines(self, upid: str) -> list[str]:
        return files.read_text(self.place.tasks / upid).splitlines()

    def newest_first(self) -> Iterator[Upid]:
        names = [path.name for path in self.place.tasks.glob("UPID:*:") if UPID.fullmatch(path.name)]
        yield from sorted(map(decode, names), key=lambda one: (one.starttime, one.pid), reverse=True)
