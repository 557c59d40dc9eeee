"""Where a running daemon is found: files in its state folder, readable by its own user only. Light to import, for the CLI.

``daemon.lock`` is held as long as the daemon lives (``daemon.open_keeper`` takes it; the kernel lets go of it, whatever kills the
process), ``serve.json`` says where it listens, ``serve.token`` holds a token that is good for this life of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator

from transom import errors
from transom.reconcile import locks

PLACE, TOKEN = "serve.json", "serve.token"


@dataclasses.dataclass(frozen=True)
class Place:
    """A daemon that can be asked."""

    url: str
    token: str = dataclasses.field(repr=False)


@contextlib.contextmanager
def published(folder: pathlib.Path, place: Place) -> Iterator[None]:
    """While the block runs, the daemon can be found."""
    _write(folder / TOKEN, place.token)
    _write(folder / PLACE, json.dumps({"url": place.url, "pid": os.getpid()}))
    try:
        yield
    finally:
        for name in (PLACE, TOKEN):
            (folder / name).unlink(missing_ok=True)


def find(folder: pathlib.Path) -> Place | None:
    """The daemon that works on ``folder``; None when none does. Busy while it starts or stops, Denied when it is another user's."""
    try:
        if not locks.is_held(folder / locks.DAEMON):
            return None
        said = json.loads((folder / PLACE).read_text())
        return Place(said["url"], (folder / TOKEN).read_text())
    except PermissionError as error:
        hint = "set TRANSOM_SERVER and TRANSOM_TOKEN_FILE to ask it as yourself"
        raise errors.Denied(f"{error.filename} is another user's", hint=hint) from error
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise errors.Busy(f"the daemon of {folder} is starting or stopping", hint="try again") from error


def _write(path: pathlib.Path, text: str) -> None:
    """Whole or not at all, and never readable by others."""
    partial = path.with_name(f".{path.name}.new")
    partial.unlink(missing_ok=True)
    with open(partial, "x", opener=lambda name, flags: os.open(name, flags, mode=0o600)) as file:
        file.write(text)
    partial.replace(path)
