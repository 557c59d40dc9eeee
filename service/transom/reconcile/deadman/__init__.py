"""The way back that a node goes by itself: kept copies, two units and a script on the node (``*.sh``), and talking to it.

The mark ``armed`` on the node decides: while it is there, the next boot goes back unless ``disarm`` takes it away in time. A boot
that has begun to go back cannot be confirmed any more.
"""

from __future__ import annotations

import contextlib
import importlib.resources
from collections.abc import Sequence

from transom import errors, model
from transom.host.probes import keeping
from transom.plan import actions as acts
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.ssh import files as remote

_PARTS = ("restore.sh", "onboot.sh", "deadman.sh")
SCRIPT = "".join(importlib.resources.files(__name__).joinpath(part).read_text(encoding="utf-8") for part in _PARTS)
FOLDER = f"{eff.KEEP}/rollback"
MISSING = "missing"
"""Phase of the journal: what kept the boot from being confirmed, which the node cannot know; its data is a list of that."""
_LIMIT = 600
"""Seconds for copying images of some hundred megabytes on a slow disk."""
_LOG = 200
"""Lines of the failed boot's journal that a run keeps."""


def keep(host: w.Host, run: str, action: acts.KeepBoot, boot_id: str) -> str:
    """Copies of what boots now and of the files that are to change; what they are. Rejected when there is no room for them."""
    word, detail = _call(host, "keep", run, boot_id, action.kernel, *action.paths)
    if word == "short":
        need, free = detail.split()
        raise errors.Rejected(
            f"{FOLDER} needs {int(need) // 1024} MiB for copies of what boots now, and {int(free) // 1024} MiB are free",
            hint="make room on the node, or remove kernels that are not used",
        )
    _need(word, "kept", detail)
    return detail


def left(host: w.Host, run: str) -> None:
    """Before the reboot: what the run has made of the files, so that what is somebody else's later is not lost. Rejected."""
    word, detail = _call(host, "left", run)
    _need(word, "left", detail)


def arm(host: w.Host, run: str, boot_id: str, within: int, card: str) -> None:
    """From now on the node's next boot goes back after ``within`` seconds unless ``disarm`` comes first. Rejected."""
    word, detail = _call(host, "arm", run, boot_id, str(within), card, stdin=SCRIPT.encode())
    _need(word, "armed", detail)


def mark(host: w.Host) -> model.Armed | None:
    """Which run has armed the node, in which boot; Garbled when that cannot be understood."""
    data = remote.read(host, f"{FOLDER}/armed")
    try:
        return None if data is None else keeping.armed_by(data.decode("utf-8", "replace"))
    except ValueError as error:
        raise errors.Garbled(str(error)) from error


def disarm(host: w.Host, run: str) -> None:
    """Take everything of ``run`` away again but the list of guests whose ``onboot`` is held; nothing to do is fine too.
    VerifyFailed when the node has begun to go back."""
    word, detail = _call(host, "disarm", run)
    if word in ("rolling", "rolled"):
        raise errors.VerifyFailed(f"the node has begun to go back to what was before run {run}")
    _need(word, "disarmed", detail)


def given(host: w.Host, run: str) -> None:
    """``onboot`` has been given back: the node's own unit has nothing to do any more. Rejected or Busy."""
    word, detail = _call(host, "given", run)
    _need(word, "given", detail)


def forget(host: w.Host, run: str) -> None:
    """A person has seen that the node went back from ``run``: its mark and what it kept go. Rejected when it did not."""
    word, detail = _call(host, "forget", run)
    _need(word, "forgotten", detail)


def log(host: w.Host, run: str) -> str:
    """The end of the failed boot's journal, as the node kept it; empty when it kept none."""
    data = remote.read(host, f"{FOLDER}/{run}/journal") or b""
    return "\n".join(data.decode("utf-8", "replace").splitlines()[-_LOG:])


def waits(facts: model.Facts) -> model.Armed | None:
    """What the node waits to have confirmed, in the boot after the change."""
    armed = None if isinstance(facts.keeping, model.Unknown) else facts.keeping.armed
    return armed if armed and armed.boot_id != facts.boot.boot_id else None


def rolled_back(facts: model.Facts) -> model.RolledBack | None:
    """That the node went back by itself, and nobody has seen to it yet."""
    return None if isinstance(facts.keeping, model.Unknown) else facts.keeping.rolled_back


def tells(host: w.Host) -> model.RolledBack | None:
    """The same, asked by itself, for while the node is not whole; None also when it cannot be asked."""
    with contextlib.suppress(errors.TransomError, ValueError):
        done = host.script(keeping.PROBE.command, timeout=10, read_only=True)
        return keeping.parse(done.stdout).rolled_back if done.exit == 0 else None
    return None


def why(reason: str, missing: Sequence[str]) -> str:
    """The node's own ``reason`` for going back, with what was missing before that."""
    return f"{reason}; what was missing: {'; '.join(missing)}" if missing else reason


def went_back(node: str, gone: model.RolledBack, missing: Sequence[str]) -> errors.WentBack:
    """The error of the run that meets its node so."""
    return errors.WentBack(
        f"the node went back by itself: {why(gone.reason, missing)}",
        hint=f"`transom run logs {gone.run}` shows how that boot went; `transom resume {node}` once the cause is found",
    )


def _call(host: w.Host, *args: str, stdin: bytes = b"") -> tuple[str, str]:
    """The script's answer: a word, and what it says. In a mount namespace of its own, where it may mount ESPs."""
    argv = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", SCRIPT, "sh", *args]
    done = host.run(argv, stdin=stdin, timeout=_LIMIT)
    word, _, detail = done.stdout.decode("utf-8", "replace").strip().partition(" ")
    if done.exit != 0 or not word:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[-500:]
        raise errors.Rejected(f"the node's way back: {args[0]} ended with {done.exit}: {said}")
    return word, detail


def _need(word: str, wanted: str, detail: str) -> None:
    if word == "busy":
        raise errors.Busy(f"another change has held {detail} for 10 s")
    if word != wanted:
        raise errors.Rejected(f"the node's way back: {detail or word}")
