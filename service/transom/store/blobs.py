"""Files by their content under the state folder: whole or not there, looked through again before they are used."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import secrets
import time
from collections.abc import Collection, Iterator

from transom import errors

_CHUNK = 1 << 20
_ABANDONED = 24 * 3600.0
"""Seconds after which what was begun and never ended is cleared away."""

Stamp = tuple[int, int, int, int]


class Blobs:
    """One folder of files that are called by their SHA-256. Thread-safe; several processes may use it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._seen: dict[pathlib.Path, tuple[Stamp, str]] = {}

    def path(self, sha256: str) -> pathlib.Path:
        return self._folder / sha256

    def has(self, sha256: str) -> bool:
        """Whether it is there with the right bytes; a damaged one is none, and goes."""
        path = self.path(sha256)
        try:
            found = self.digest(path)
        except OSError:
            return False
        if found != sha256:
            path.unlink(missing_ok=True)
        return found == sha256

    def read(self, sha256: str) -> bytes:
        """VerifyFailed when it is not there, or damaged."""
        with contextlib.suppress(OSError):
            data = self.path(sha256).read_bytes()
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
        raise errors.VerifyFailed(f"{self.path(sha256)} is not there with the bytes of its name", hint="build it again")

    def digest(self, path: pathlib.Path) -> str:
        """SHA-256 of any file; read again only when its size, times or inode have changed. OSError."""
        status = path.stat()
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._seen.get(path)
        if known is None or known[0] != stamp:
            with path.open("rb") as stream:
                known = self._seen[path] = (stamp, hashlib.file_digest(stream, "sha256").hexdigest())
        return known[1]

    def put(self, data: bytes) -> str:
        with self.receive(len(data)) as incoming:
            incoming.write(data)
            return incoming.keep()

    @contextlib.contextmanager
    def receive(self, limit: int) -> Iterator[Incoming]:
        """A file that is about to come; what was not kept by the end of the block is gone."""
        incoming = self.begin(limit)
        try:
            yield incoming
        finally:
            incoming.drop()

    def begin(self, limit: int) -> Incoming:
        """As ``receive``, for who must end it by hand. Rejected when it cannot be written."""
        with writing(self._folder):
            return Incoming(self, self.partial(secrets.token_hex(8)), limit)

    def partial(self, name: str) -> pathlib.Path:
        """Where an unfinished file may grow."""
        folder = self._folder / "partial"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / name

    def adopt(self, partial: pathlib.Path, sha256: str) -> None:
        """A finished file takes its place; its bytes are on the disk before its name is."""
        descriptor = os.open(partial, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(self.path(sha256))

    def names(self) -> list[str]:
        """Of all that is kept, whatever anybody knows of it."""
        if not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir() if path.is_file())

    def size(self) -> int:
        return sum(self.path(name).stat().st_size for name in self.names())

    def drop(self, sha256: str) -> None:
        self.path(sha256).unlink(missing_ok=True)

    def clear_abandoned(self, known: Collection[str]) -> None:
        """What a process that was killed has left: half a file, or a whole one that is not among the ``known``."""
        for path in [*self._folder.glob("partial/*"), *(self._folder / name for name in self.names())]:
            with contextlib.suppress(OSError):
                if path.name not in known and time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()


class Incoming:
    """One file on its way in; ``drop`` in any case when done with it."""

    def __init__(self, blobs: Blobs, partial: pathlib.Path, limit: int) -> None:
        self._blobs, self._partial, self.limit = blobs, partial, limit
        self._hash = hashlib.sha256()
        self.size = 0
        self._stream = open(partial, "wb", opener=_private)  # noqa: SIM115 - ends with keep or drop

    def write(self, chunk: bytes) -> None:
        """RomError when there is more than the limit; Rejected when it cannot be written."""
        self.size += len(chunk)
        if self.size > self.limit:
            raise errors.RomError(f"larger than {self.limit} bytes")
        self._hash.update(chunk)
        with writing(self._partial):
            self._stream.write(chunk)

    def copy(self, source: pathlib.Path) -> None:
        """Write a whole file. RomError, OSError."""
        with source.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                self.write(chunk)

    @property
    def sha256(self) -> str:
        """Of what has come so far."""
        return self._hash.hexdigest()

    def keep(self) -> str:
        """It is whole; its hash. Rejected when it cannot be written."""
        with writing(self._partial):
            self._stream.close()
            self._blobs.adopt(self._partial, self.sha256)
        return self.sha256

    def drop(self) -> None:
        with contextlib.suppress(OSError):  # what a full disk has not taken is written once more by a close
            self._stream.close()
        self._partial.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Rejected instead of OSError: a full or read-only disk, a folder that is not ours."""
    try:
        yield
    except OSError as error:
        raise errors.Rejected(
            f"cannot read or write {error.filename or path}: {error.strerror or error}",
            hint="make room where the state folder is; `transom rom gc` drops what nothing needs",
        ) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
