"""Built things by the hash of what they are built from: a folder appears whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import time
from collections.abc import Callable, Iterator

ROOT = pathlib.Path(os.environ.get("TRANSOM_CACHE") or pathlib.Path(__file__).parents[3] / ".cache") / "bed"
_DAY = 24 * 3600.0


def key(*parts: str) -> str:
    """What the parts come to, as 12 hex digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def folder(name: str, digest: str, build: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """``ROOT/name-digest``, built first if it is not there; several processes may ask at once. Others of the name that nobody has
    asked for within a day go."""
    there = ROOT / f"{name}-{digest}"
    ROOT.mkdir(parents=True, exist_ok=True)
    with _locked(ROOT / f"{name}.lock"):
        if not there.is_dir():
            for old in ROOT.glob(f"{name}-*"):
                if time.time() - old.stat().st_mtime > _DAY:  # another checkout may have machines on it
                    shutil.rmtree(old)
            making = ROOT / f"{name}-{digest}.part"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            build(making)
            making.rename(there)
        os.utime(there)
    return there


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
