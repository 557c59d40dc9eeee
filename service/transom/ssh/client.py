"""A host over SSH: ``run`` takes argv, ``script`` takes POSIX sh and arguments. Errors are those of ``transom.errors``."""

from __future__ import annotations

import dataclasses
import shlex
import threading
from collections.abc import Sequence
from types import TracebackType

import paramiko

from transom import errors
from transom.spec import wish
from transom.ssh import keys, line, pump

OUTPUT_LIMIT = 64 << 20
"""Bytes of both outputs of one command together."""


class Ssh:
    """A kept connection to one host; safe to use from several threads at once. Made by ``connect``."""

    def __init__(self, access: wish.Access, timeouts: line.Timeouts) -> None:
        self._access = access
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self._closed = False
        self._line = line.open_line(access, timeouts)

    @property
    def host(self) -> str:
        """``address:port``, for messages."""
        return f"{self._access.ssh_host}:{self._access.ssh_port}"

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 60, read_only: bool = False
    ) -> pump.Completed:
        """Run ``argv`` and wait for its end; an exit status other than 0 is an answer, not an error.

        ``timeout`` in seconds, for everything. A ``read_only`` command that meets a dead connection is run again, once, on a
        new one. Unreachable when the line breaks or time is up (the command may have happened, or go on: read first);
        Garbled when the output exceeds ``OUTPUT_LIMIT``; Denied when connecting again is refused.
        """
        if isinstance(argv, str) or not argv:
            raise TypeError("argv is a sequence of words, not a string")
        current = self._line
        try:
            return self._exec(current, argv, stdin, timeout)
        except errors.Unreachable:
            if not read_only or current.alive():
                raise
        return self._exec(self._again(current), argv, stdin, timeout)

    def script(
        self, text: str, args: Sequence[str] = (), *, stdin: bytes = b"", timeout: float = 60, read_only: bool = False
    ) -> pump.Completed:
        """Run ``text`` with ``sh -c``; ``args`` are its ``$1 …``. Otherwise as ``run``."""
        return self.run(["sh", "-c", text, "sh", *args], stdin=stdin, timeout=timeout, read_only=read_only)

    def close(self) -> None:
        """End the connection; commands under way fail with Unreachable."""
        with self._lock:
            self._closed = True
            self._line.close()

    def __enter__(self) -> Ssh:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _again(self, dead: line.Line) -> line.Line:
        """A living connection in place of ``dead``; when another thread has made one already, that one."""
        with self._lock:
            if self._closed:
                raise errors.Unreachable(f"the connection to {self.host} has been closed")
            if self._line is dead:
                dead.close()
                self._line = line.open_line(self._access, self._timeouts)
            return self._line

    def _exec(self, current: line.Line, argv: Sequence[str], stdin: bytes, timeout: float) -> pump.Completed:
        what = f"{self.host}: `{_short(argv)}`"
        try:
            channel = current.transport.open_session(timeout=min(timeout, self._timeouts.answer))
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise errors.Unreachable(f"{what} was not started: {error or 'connection lost'}") from error
        try:
            done = pump.run(channel, _line(argv, bool(stdin)), stdin=stdin, timeout=timeout, limit=OUTPUT_LIMIT)
        except TimeoutError as error:
            raise errors.Unreachable(f"{what} has not ended after {timeout:g} s", hint="it may still run") from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise errors.Unreachable(f"{what}: connection lost: {error}", hint="it may have happened") from error
        except errors.Garbled as error:
            raise errors.Garbled(f"{what}: {error.message}") from error
        if done.exit == -1 and not current.alive():
            raise errors.Unreachable(f"{what}: connection lost", hint="it may have happened")
        return done


def connect(access: wish.Access, *, timeouts: line.Timeouts | None = None) -> Ssh:
    """Open a connection as ``access`` says. Unreachable, or Denied: host key other than pinned, key refused or unreadable."""
    return Ssh(access, timeouts or line.Timeouts())


@dataclasses.dataclass(frozen=True)
class HostKey:
    """A host's public key: ``text`` as documents pin it (``ssh-ed25519 AAAA…``), ``fingerprint`` as ``ssh-keygen -l`` prints it."""

    text: str
    fingerprint: str


def host_key(access: wish.Access, *, timeouts: line.Timeouts | None = None) -> tuple[HostKey, HostKey]:
    """The pinned key, and the one that the host shows now; nobody logs in. Unreachable; Denied when what is pinned is no key."""
    shown = line.shown_key(access, timeouts or line.Timeouts())
    return _public(keys.parse_host_key(access.ssh_host_key)), _public(shown)


def _public(key: paramiko.PKey) -> HostKey:
    return HostKey(f"{key.get_name()} {key.get_base64()}", f"{key.get_name()} {key.fingerprint}")


_READ_TO_THE_END = '"$@"; status=$?; cat >/dev/null; exit $status'


def _line(argv: Sequence[str], fed: bool) -> str:
    """What the login shell gets; it gives way to the program (``exec``), so that its end is seen as it is.

    A channel's end of input must reach sshd before the channel's own end, or sshd drops the whole connection ("packet referred
    to nonexistent channel"), and paramiko may send them the other way round when a command ends quickly. So a command without
    input gets /dev/null and no end of input is sent, and one with input ends only after all of it was read.
    """
    if not fed:
        return f"exec {shlex.join(argv)} </dev/null"
    return f"exec {shlex.join(['sh', '-c', _READ_TO_THE_END, 'sh', *argv])}"


def _short(argv: Sequence[str]) -> str:
    text = shlex.join(argv).split("\n", 1)[0]
    return text if len(text) <= 60 else text[:57] + "..."
