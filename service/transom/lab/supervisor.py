"""The process behind ``transom lab up``: keeps a fleet running and answers the other ``lab`` commands until it is told to stop."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transom import errors, stopping
from transom.lab import breaks, client, control, documents, fleet, world


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
    stop = stopping.Stop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    with fleet.start(folder, nodes=nodes, clusters=clusters, vms=vms, flavour=flavour) as lab:
        for source in sources:
            lab.stage(source)
        server = control.Server(lab.folder, lambda request: answer(lab, stop, request))
        try:
            print(client.text(lab.describe()), flush=True)
            stop.wait_long()
        finally:
            server.close()


def answer(lab: fleet.Fleet, stop: stopping.Stop, request: Mapping[str, Any]) -> Any:
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


def machines(sources: Sequence[Path], flavour: str) -> list[world.LabNode]:
    """The nodes that the documents name, for a lab that is made after them."""
    files = [one for source in sources for one in (sorted(source.glob("*.y*ml")) if source.is_dir() else [source])]
    members = {name: cluster for one in files for name, cluster in documents.members(one.read_text()).items()}
    return [world.FLAVOURS[flavour](name, cluster=cluster) for name, cluster in sorted(members.items())]


def kinds() -> str:
    """The registry of breaks as a table for people."""
    rows = (
        f"{one.kind:22} {'repairable' if one.repairable else 'reported  '}  {one.summary}"
        for one in breaks.KINDS.values()
    )
    return "\n".join(rows)
