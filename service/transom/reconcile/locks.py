"""Locks between the processes that share a state folder: files, which the kernel lets go of whatever kills their holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator

from transom import errors

DAEMON = "daemon.lock"
"""Held as long as a daemon lives."""


@contextlib.contextmanager
def hold(path: pathlib.Path, busy: str, hint: str) -> Iterator[None]:
    """Ours while the block runs; Busy, with these words, when it is another's."""
    with open(path, "w", opener=_private) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise errors.Busy(busy, hint=hint) from None
        yield


def is_held(path: pathlib.Path) -> bool:
    """Whether somebody holds it; makes no file. PermissionError when it is another user's."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def turn(folder: pathlib.Path, node: str) -> Iterator[None]:
    """One writer a node. Busy while another has the turn."""
    turns = folder / "turns"
    turns.mkdir(mode=0o700, exist_ok=True)
    with hold(turns / node, f"another run is at work on {node}", "transom run ls shows it"):
        yield


@contextlib.contextmanager
def reboot(folder: pathlib.Path, cluster: str, node: str) -> Iterator[None]:
    """One node of a cluster at a time. Busy, with its name, while another is rebooted; the file says who has it."""
    reboots = folder / "reboots"
    reboots.mkdir(mode=0o700, exist_ok=True)
    with open(reboots / cluster, "a+", opener=_private) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            who = handle.read().strip() or "another node"
            raise errors.Busy(
                f"{who} of cluster {cluster} is being rebooted, and {node} waits for it", hint="tried again soon"
            ) from None
        handle.truncate(0)
        handle.write(node)
        handle.flush()
        yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
