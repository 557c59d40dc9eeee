"""One lab at a time in a folder: a lock that the running lab holds, and that the kernel frees when its process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from transom import errors


def take(folder: Path) -> int:
    """The open file that holds the lock until it is closed; Busy when another process holds it."""
    handle = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise errors.Busy(f"a lab is running in {folder} already", hint="transom lab down") from error
    return handle


def is_free(folder: Path) -> bool:
    """Whether no lab runs in the folder."""
    try:
        os.close(take(folder))
    except errors.Busy:
        return False
    return True
