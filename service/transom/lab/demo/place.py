"""The folder of a demo: the demo's own, made anew for each showing. Nobody else's is ever emptied."""

from __future__ import annotations

import pathlib
import shutil

from transom import errors
from transom.lab import lock

LAB, STATE, LOG, TOKEN = "lab", "state", "daemon.log", "token"
_OURS = frozenset({LAB, STATE, LOG, TOKEN})


def fresh(folder: pathlib.Path) -> None:
    """Without what an earlier demo left there. Busy when one is running, Rejected when the folder holds anything else."""
    if not folder.exists():
        return
    others = sorted(path.name for path in folder.iterdir() if path.name not in _OURS)
    if others:
        raise errors.Rejected(f"{folder} holds {others[0]}, which is no demo's", hint="choose another --dir")
    if (folder / LAB).exists() and not lock.is_free(folder / LAB):
        raise errors.Busy(f"a demo is running in {folder} already", hint="end it with Ctrl-C, or choose another --dir")
    shutil.rmtree(folder)
