"""One command on one channel: input and both outputs move at the same time, within a time and a size."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

import paramiko

from transom import errors

_CHUNK = 1 << 15
_INLINE = 1 << 15
"""Input up to this size fits the server's first window (OpenSSH: 2 MiB), so that it needs no thread of its own."""


@dataclasses.dataclass(frozen=True)
class Completed:
    """How a command ended; ``exit`` is -1 when a signal ended it."""

    exit: int
    stdout: bytes
    stderr: bytes


class _Job(threading.Thread):
    """A thread that keeps what went wrong in it."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True, name="ssh-pump")
        self._work = work
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.error = error


class _Exec:
    """The state of one command; ``limit`` is for both outputs together, ``deadline`` on the monotonic clock."""

    def __init__(self, channel: paramiko.Channel, deadline: float, limit: int) -> None:
        self.channel = channel
        self.deadline = deadline
        self.limit = limit
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.overflow = False

    def left(self) -> float:
        return max(0.001, self.deadline - time.monotonic())

    def feed(self, data: bytes) -> None:
        """Send all of ``data``, then end of file."""
        view = memoryview(data)
        try:
            while view:
                sent = self.channel.send(bytes(view[:_CHUNK]))
                if sent == 0:
                    return
                view = view[sent:]
            self.channel.shutdown_write()
        except OSError:
            # Closed by the other side (killed before it had read all) or by us; the exit status tells the rest.
            return

    def drain(self, receive: Callable[[int], bytes], into: bytearray) -> None:
        """Collect until end of file; past the limit the channel is closed, which ends every other wait."""
        while chunk := receive(_CHUNK):
            into += chunk
            if len(self.stdout) + len(self.stderr) > self.limit:
                self.overflow = True
                self.channel.close()
                return


def run(channel: paramiko.Channel, command: str, *, stdin: bytes, timeout: float, limit: int) -> Completed:
    """Run ``command`` on a fresh ``channel`` and close it. Without ``stdin`` no end of input is sent: it must not wait for one.

    TimeoutError when it has not ended in ``timeout`` seconds (it may go on on the host), Garbled above ``limit`` bytes of
    output, paramiko's own errors when the line breaks.
    """
    state = _Exec(channel, time.monotonic() + timeout, limit)
    feeders: list[_Job] = []

    def rest() -> None:
        # The request for the exec waits without a limit in paramiko; here a close by the main thread ends that wait.
        channel.exec_command(command)
        if 0 < len(stdin) <= _INLINE:
            state.feed(stdin)
        elif stdin:
            feeders.append(_Job(lambda: state.feed(stdin)))
        state.drain(channel.recv_stderr, state.stderr)

    channel.settimeout(timeout)
    job = _Job(rest)
    try:
        _read_out(state, job)
    finally:
        channel.close()
        for thread in (job, *feeders):
            thread.join(1.0)
    if state.overflow:
        raise errors.Garbled(f"more than {limit} bytes of output")
    if job.error is not None:
        raise job.error
    return Completed(channel.exit_status, bytes(state.stdout), bytes(state.stderr))


def _read_out(state: _Exec, job: _Job) -> None:
    def receive(size: int) -> bytes:
        state.channel.settimeout(state.left())
        return state.channel.recv(size)

    state.drain(receive, state.stdout)
    job.join(state.left())
    # Exit status and close come after the end of the output.
    if job.is_alive() or not state.channel.status_event.wait(state.left()):
        raise TimeoutError
