"""Files on a host, read and changed one at a time: atomic, durable, guarded by what was expected, undoable to the byte.

Each change is one script (``files.sh``) under a lock on the host, so that a line that breaks leaves the old file or the new
one, never a half. Works on anything with ``script`` like ``client.Ssh``. Other programs do not take the lock: the present
content is compared last thing before the rename, which leaves them a window of about a millisecond.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.resources
import re
from collections.abc import Sequence
from typing import Protocol

from transom import errors
from transom.ssh import pump

LOCK = "/run/lock/transom.lock"
"""Held by every change of a file, of any path, on one host."""

_SCRIPT = importlib.resources.files("transom.ssh").joinpath("files.sh").read_text(encoding="utf-8")
_ABSENT_EXIT = 44
_READ = f"""
if [ -e "$1" ] || [ -L "$1" ]; then exec cat -- "$1"; fi
why=$(LC_ALL=C stat -- "$1" 2>&1)
case $why in *'No such file or directory'*) exit {_ABSENT_EXIT} ;; esac
printf '%s\\n' "$why" >&2
exit 1
"""
_HEX = re.compile(r"[0-9a-f]{64}")
_OWNER = re.compile(r"[0-9]+:[0-9]+")


class Scripted(Protocol):
    """A host that runs POSIX sh; ``client.Ssh`` is one."""

    def script(
        self, text: str, args: Sequence[str] = (), *, stdin: bytes = b"", timeout: float = 60, read_only: bool = False
    ) -> pump.Completed:
        """Run ``text`` with ``args`` as ``$1 …``."""


@dataclasses.dataclass(frozen=True)
class Kept:
    """One line of a backup's manifest. ``was`` is ``file``, ``absent`` or ``dir`` (a folder made for a file).

    ``sha256`` is also the name of the before-image; it, ``mode``, ``owner`` (``uid:gid``) and ``mtime`` (seconds) are None where
    nothing was.
    """

    path: str
    was: str
    sha256: str | None
    mode: int | None
    owner: str | None
    mtime: int | None


def sha256(data: bytes) -> str:
    """The hash by which this module knows content: 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def read(host: Scripted, path: str) -> bytes | None:
    """The bytes of ``path`` (symbolic links followed); None when there is nothing. Rejected when it cannot be read."""
    done = host.script(_READ, [_path(path)], read_only=True)
    if done.exit == _ABSENT_EXIT:
        return None
    if done.exit != 0:
        raise errors.Rejected(f"cannot read {path}: {_text(done.stderr)}")
    return done.stdout


def write(
    host: Scripted,
    path: str,
    data: bytes,
    *,
    mode: int,
    owner: str | None = None,
    expect: str | None,
    backup: str | None,
    on_pmxcfs: bool = False,
) -> bool:
    """Make ``path`` hold ``data``; False when it did already. Missing folders are made (0755).

    ``expect`` is the SHA-256 of what should be there now, None for nothing; ``owner`` is ``uid:gid``, by default as it is.
    ``backup`` is a folder for the before-image; its first image of a path stays. On pmxcfs (``/etc/pve``) mode and owner are
    not used. Void when something else is there; Busy when another change holds the lock for 10 s; Rejected for symbolic
    links, folders and devices, and when the host cannot do it; VerifyFailed when it reads back different.
    """
    if owner is not None and not _OWNER.fullmatch(owner):
        raise ValueError(f"owner is uid:gid in digits, not {owner!r}")
    wanted = sha256(data)
    tail = [wanted, f"{mode:04o}", owner or ""]
    return _change(host, "write", path, expect=expect, backup=backup, on_pmxcfs=on_pmxcfs, tail=tail, stdin=data)


def remove(host: Scripted, path: str, *, expect: str | None, backup: str | None, on_pmxcfs: bool = False) -> bool:
    """Remove the file ``path``; False when there was none. Arguments and errors as ``write``."""
    return _change(host, "remove", path, expect=expect, backup=backup, on_pmxcfs=on_pmxcfs)


def restore(host: Scripted, path: str, *, expect: str | None, backup: str, on_pmxcfs: bool = False) -> bool:
    """Bring back what ``backup`` kept of ``path``: bytes, mode and owner, or its absence; False when it is so already.

    ``expect`` is what we left there (SHA-256, None for nothing): anything else is somebody's later work, and Void. The time
    of change is not set back: what is built from the file is now older than it. Folders made for the file go when empty.
    """
    return _change(host, "restore", path, expect=expect, backup=backup, on_pmxcfs=on_pmxcfs)


def keep(host: Scripted, path: str, *, backup: str, on_pmxcfs: bool = False) -> None:
    """Keep the before-image of ``path`` (or that it is absent) in ``backup``, for a change that somebody else carries out.

    The first image of a path stays. Busy and Rejected as ``write``.
    """
    _change(host, "retain", path, expect=None, backup=backup, on_pmxcfs=on_pmxcfs)


def kept(host: Scripted, backup: str) -> tuple[Kept, ...]:
    """What ``backup`` keeps, oldest first; empty when there is no such folder."""
    manifest = read(host, f"{backup}/manifest") or b""
    return tuple(_parse_kept(line) for line in manifest.decode("utf-8").splitlines())


def _parse_kept(line: str) -> Kept:
    fields = line.split("\t")
    if len(fields) != 6:
        raise errors.Garbled(f"a line of a backup's manifest is not understood: {line!r}")
    path, was, digest, mode, owner, mtime = (None if field == "-" else field for field in fields)
    return Kept(path or "", was or "", digest, int(mode, 8) if mode else None, owner, int(mtime) if mtime else None)


def _change(
    host: Scripted,
    operation: str,
    path: str,
    *,
    expect: str | None,
    backup: str | None,
    on_pmxcfs: bool,
    tail: Sequence[str] = (),
    stdin: bytes = b"",
) -> bool:
    if expect is not None and not _HEX.fullmatch(expect):
        raise ValueError(f"expect is a SHA-256 in lower-case hex, not {expect!r}")
    kind = "pmxcfs" if on_pmxcfs else "disk"
    args = [operation, LOCK, _path(path), kind, expect or "absent", _path(backup) if backup else "", *tail]
    done = host.script(_SCRIPT, args, stdin=stdin, timeout=120)
    word, _, detail = done.stdout.decode("utf-8", "replace").strip().partition(" ")
    if done.exit != 0 or not word:
        raise errors.Rejected(f"cannot {operation} {path}: exit {done.exit}: {_text(done.stderr)}")
    return _judge(word, detail, path, expect, _text(done.stderr))


def _judge(word: str, detail: str, path: str, expect: str | None, stderr: str) -> bool:
    if word in ("written", "removed", "restored", "kept", "same"):
        return word != "same"
    if word == "changed":
        raise errors.Void(
            f"{path} is {detail}, expected was {expect or 'absent'}", hint="someone changed it: plan again"
        )
    if word == "busy":
        raise errors.Busy(f"{path}: another change has held {detail} for 10 s")
    if word == "differs":
        raise errors.VerifyFailed(f"{path} was changed and reads back as {detail}")
    if word == "torn":
        raise errors.Unreachable(f"{path}: not all bytes arrived; it was left as it was")
    if word in ("refused", "unkept"):
        raise errors.Rejected(f"{path} {detail}")
    if word == "broke":
        raise errors.Rejected(f"{path}: {detail}: {stderr}")
    raise errors.Garbled(f"{path}: the host answered {word!r}")


def _path(path: str) -> str:
    parts = path.split("/")
    if parts[0] or len(parts) < 2 or any(part in ("", ".", "..") for part in parts[1:]) or not path.isprintable():
        raise ValueError(f"not a plain absolute path: {path!r}")
    return path


def _text(output: bytes) -> str:
    return " ".join(output.decode("utf-8", "replace").split())[-500:]
