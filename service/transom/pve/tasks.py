"""PVE's tasks: what a UPID says, how a task ended, and following one to its end without ever cancelling it."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Callable
from typing import Any, Protocol

from transom import errors
from transom.pve import translate

TAIL = 20
"""Lines of a task's log that are kept with it."""
_PAGE = 500
_UPID = re.compile(
    r"UPID:([A-Za-z0-9.-]+):[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:[0-9A-Fa-f]{8}:([^:/\s]+):([^:/\s]*):[^:/\s]+:"
)
_WARNINGS = re.compile(r"WARNINGS: (\d+)")


@dataclasses.dataclass(frozen=True)
class Task:
    """A task as last seen. ``status`` is ``running`` or ``stopped``; ``log`` are the last lines, oldest first."""

    upid: str
    status: str
    exitstatus: str = ""
    """``OK``, ``WARNINGS: n``, or the error; empty while it runs."""
    log: tuple[str, ...] = ()

    @property
    def warnings(self) -> int:
        """How many warnings a successful task gave."""
        found = _WARNINGS.fullmatch(self.exitstatus)
        return int(found[1]) if found else 0

    @property
    def ok(self) -> bool:
        """Ended, and well: warnings are no failure."""
        return self.exitstatus == "OK" or _WARNINGS.fullmatch(self.exitstatus) is not None


class Source(Protocol):
    """Where a task's state and log come from; ``client.Pve`` is one."""

    def task_state(self, upid: str) -> Task:
        """The task without its log."""

    def task_log(self, upid: str, start: int, limit: int) -> list[str]:
        """Up to ``limit`` lines from the 0-based ``start``; limit 0 means all."""


def node(upid: str) -> str:
    """The node on which the task runs. Garbled when ``upid`` is no UPID."""
    return _taken_apart(upid)[1]


def kind(upid: str) -> str:
    """PVE's word for what the task does, as in ``qmcreate``. Garbled when ``upid`` is no UPID."""
    return _taken_apart(upid)[2]


def about(upid: str) -> str:
    """``task qmcreate of 100 on pve1 (UPID:…)``: what runs, and where. Garbled when ``upid`` is no UPID."""
    found = _taken_apart(upid)
    return (
        f"task {found[2]} of {found[3]} on {found[1]} ({upid})"
        if found[3]
        else f"task {found[2]} on {found[1]} ({upid})"
    )


def _taken_apart(upid: str) -> re.Match[str]:
    found = _UPID.fullmatch(upid)
    if not found:
        raise errors.Garbled(f"not a task's UPID: {upid[:100]!r}")
    return found


def parse_state(upid: str, data: Any) -> Task:
    """The answer of ``/tasks/UPID/status``. Garbled when it is another shape."""
    if not isinstance(data, dict) or data.get("status") not in ("running", "stopped"):
        raise errors.Garbled(f"task {upid}: status not understood: {str(data)[:100]}")
    return Task(upid, data["status"], str(data.get("exitstatus") or ""))


def parse_log(upid: str, data: Any) -> list[str]:
    """The lines of an answer of ``/tasks/UPID/log``, in order; PVE says ``no content`` where there are none."""
    if not isinstance(data, list) or not all(isinstance(line, dict) and "t" in line for line in data):
        raise errors.Garbled(f"task {upid}: log not understood: {str(data)[:100]}")
    lines = [str(line["t"]) for line in data]
    return [] if lines == ["no content"] else lines


def follow(
    source: Source,
    upid: str,
    *,
    timeout: float,
    sleep: Callable[[float], None],
    now: Callable[[], float],
    on_log: Callable[[str], None] | None = None,
) -> Task:
    """The task once it has ended, well or not; each log line is told once, in order.

    Contact that is lost in between, or an answer that makes no sense, is tried again until ``timeout`` (seconds), since a task goes
    on without us. Busy when it still runs then, Unreachable when nothing was heard; nothing is cancelled.
    """
    deadline = now() + timeout
    log = _Log(source, upid, on_log)
    pause = 0.2
    while True:
        lost: errors.TransomError | None = None
        try:
            task = source.task_state(upid)
            # After the state: so the log of an ended task is complete.
            log.follow()
            if task.status == "stopped":
                return dataclasses.replace(task, log=tuple(log.tail))
        except (errors.Unreachable, errors.Garbled, errors.Busy) as error:
            lost = error
        if now() >= deadline:
            what = about(upid)
            if lost is not None:
                hint = f"it may still run, nothing was cancelled; last: {lost}"
                raise errors.Unreachable(f"{what}: no news within {timeout:g} s", hint=hint) from lost
            raise errors.Busy(f"{what} still runs after {timeout:g} s", hint="it was left alone: look at it again")
        sleep(min(pause, max(0.0, deadline - now())))
        pause = min(2.0, pause * 1.5)


def judge(task: Task) -> Task:
    """The ended task when it went well; else Busy for a lock in its way, or Rejected with the tail of its log."""
    if task.ok:
        return task
    kind, hint = translate.judge(task.exitstatus)
    said = f"{about(task.upid)}: {task.exitstatus.strip() or 'ended without an exit status'}"
    log = [line for line in task.log if line.strip() and not line.startswith("TASK ERROR")]
    if log:
        said += "; log: " + " | ".join(log)
    raise kind(said, hint=hint)


class _Log:
    """How far a task's log has been read, and its last lines."""

    def __init__(self, source: Source, upid: str, tell: Callable[[str], None] | None) -> None:
        self._source = source
        self._upid = upid
        self._tell = tell
        self._seen = 0
        self.tail: collections.deque[str] = collections.deque(maxlen=TAIL)

    def follow(self) -> None:
        while True:
            lines = self._source.task_log(self._upid, self._seen, _PAGE)
            for line in lines:
                self._seen += 1
                self.tail.append(line)
                if self._tell is not None:
                    self._tell(line)
            if len(lines) < _PAGE:
                return
