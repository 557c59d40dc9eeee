"""The process behind ``transom lab up``: keeps a fleet running and answers the other ``lab`` commands until it is told to stop."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transom import errors
from transom.lab import breaks, control, documents, fleet, world

START = 60.0
"""Seconds that a detached lab may take to come up."""


def run(
    folder: Path,
    *,
    nodes: int | Sequence[world.LabNode] | None,
    clusters: int,
    vms: int,
    flavour: str,
    sources: Sequence[Path],
) -> None:
    """Runs a lab in this process until SIGTERM, SIGINT or ``lab down``; prints where everything is once it is up."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    with fleet.start(folder, nodes=nodes, clusters=clusters, vms=vms, flavour=flavour) as lab:
        for source in sources:
            lab.stage(source)
        server = control.Server(lab.folder, lambda request: answer(lab, stop, request))
        try:
            print(text(lab.describe()), flush=True)
            stop.wait()
        finally:
            server.close()


def answer(lab: fleet.Fleet, stop: threading.Event, request: Mapping[str, Any]) -> Any:
    """What the running lab says to one request of ``control``."""
    verb, name = request.get("verb"), str(request.get("node", ""))
    if verb == "status":
        return lab.describe()
    if verb == "down":
        stop.set()
        return "going down"
    if verb == "break":
        return breaks.find(str(request.get("kind", ""))).apply(lab, lab.node(name))
    if verb == "stage":
        return str(lab.stage(Path(str(request.get("source", "")))))
    power = {"on": lab.node(name).power_on, "off": lab.node(name).power_cut, "reboot": lab.node(name).reboot}
    if verb not in power:
        raise errors.Rejected(f"the lab does not know {verb!r}")
    power[str(verb)]()
    return f"{name} is {lab.node(name).state}"


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


def machines(sources: Sequence[Path], flavour: str) -> list[world.LabNode]:
    """The nodes that the documents name, for a lab that is made after them."""
    files = [one for source in sources for one in (sorted(source.glob("*.y*ml")) if source.is_dir() else [source])]
    members = {name: cluster for one in files for name, cluster in documents.members(one.read_text()).items()}
    return [world.FLAVOURS[flavour](name, cluster=cluster) for name, cluster in sorted(members.items())]


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


def kinds() -> str:
    """The registry of breaks as a table for people."""
    rows = (
        f"{one.kind:22} {'repairable' if one.repairable else 'reported  '}  {one.summary}"
        for one in breaks.KINDS.values()
    )
    return "\n".join(rows)


def down(folder: Path) -> None:
    """Stops the lab that runs in ``folder`` and waits until it is gone."""
    control.ask(folder, verb="down")
    end = time.monotonic() + START
    while running(folder) and time.monotonic() < end:
        time.sleep(0.05)
    lock_free(folder, end)


def lock_free(folder: Path, end: float) -> None:
    """Waits until the lab's lock is free, which is the last thing that it lets go."""
    while time.monotonic() < end:
        try:
            lab = fleet.Fleet(folder)
        except errors.Busy:
            time.sleep(0.02)
            continue
        lab.close()
        return
    raise errors.Busy(f"the lab in {folder} is still going down")


def show(folder: Path, *, as_json: bool) -> str:
    """The running lab's description."""
    described = control.ask(folder, verb="status")
    return json.dumps(described, indent=1) if as_json else text(described)
