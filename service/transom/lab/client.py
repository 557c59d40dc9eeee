"""What the ``lab`` commands do from outside the lab's process: start it, find it, show it, stop it. Light to import."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transom import errors
from transom.lab import control, lock

START = 60.0
"""Seconds that a detached lab may take to come up, or to go down."""


def text(lab: Mapping[str, Any]) -> str:
    """The description for people."""
    lines = [f"lab in {lab['folder']}", f"client key {lab['client_key']}"]
    for one in lab["nodes"]:
        lines.append(
            f"{one['name']} ({one['cluster']}) {one['state']}: ssh port {one['ssh_port']}, API {one['endpoint']}"
        )
        lines.append(f"  root {one['root']}, token {one['token_id']} in {one['token_file']}")
    copies = sorted(Path(lab["folder"], "documents").rglob("*.yaml"))
    return "\n".join([*lines, *(f"document {copy}" for copy in copies)])


def detach(folder: Path, arguments: Sequence[str]) -> None:
    """Starts ``transom lab up`` with ``arguments`` as a process of its own and waits until it is up; Unreachable with its last
    words when it ends before."""
    folder.mkdir(parents=True, exist_ok=True)
    if running(folder):
        raise errors.Busy(f"a lab is running in {folder} already", hint="transom lab down")
    log = folder / "supervisor.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", "from transom.cli import main; main.main()", "lab", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    end = time.monotonic() + START
    while time.monotonic() < end:
        if process.poll() is not None:
            raise errors.Unreachable(f"the lab did not start: {log.read_text(errors='replace')[-600:].strip()}")
        if running(folder):
            return
        time.sleep(0.05)
    process.terminate()
    raise errors.Unreachable(f"the lab was not up after {START:.0f} s", hint=f"see {log}")


def running(folder: Path) -> bool:
    """Whether a lab that is up answers there."""
    try:
        control.ask(folder, verb="status")
    except errors.Unreachable:
        return False
    return True


def down(folder: Path) -> None:
    """Stops the lab that runs in ``folder`` and waits until it is gone."""
    control.ask(folder, verb="down")
    end = time.monotonic() + START
    while not lock.is_free(folder):
        if time.monotonic() > end:
            raise errors.Busy(f"the lab in {folder} is still going down")
        time.sleep(0.05)


def show(folder: Path, *, as_json: bool) -> str:
    """The running lab's description."""
    described = control.ask(folder, verb="status")
    return json.dumps(described, indent=1) if as_json else text(described)
