"""A fleet of lab nodes in one folder: started, found, stopped; the way for tests and for ``transom lab up``.

with fleet.start(tmp_path / "lab", nodes=2) as lab:
    lab.node("pve1").reboot()
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from transom import errors
from transom.lab import keys, node, platform, world


class Fleet:
    """Running nodes by name. Everything that it owns lies in ``folder``; nothing outlives the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, node.Node] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder)

    @property
    def client_key(self) -> Path:
        """The private key with which every node lets root in."""
        return self.folder / "ssh/id_ed25519"

    def node(self, name: str) -> node.Node:
        """The node of that name; Rejected with the names that there are."""
        if name not in self.nodes:
            raise errors.Rejected(f"the lab has no node {name}", hint=f"it has {', '.join(self.nodes)}")
        return self.nodes[name]

    def close(self) -> None:
        """Powers everything off."""
        for one in self.nodes.values():
            one.close()
        os.close(self._lock)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start(
    folder: Path,
    *,
    nodes: int | Sequence[world.LabNode] = 1,
    clusters: int = 1,
    flavour: str = "seed",
) -> Fleet:
    """Starts a lab in ``folder`` and waits until every node answers. A folder that has one already starts it again as it was."""
    platform.check()
    fleet = Fleet(folder.resolve())
    try:
        client = keys.ensure(fleet.client_key, "transom-lab")
        usr = platform.build(fleet.folder / "platform")
        for fixed in _fixed(fleet.folder / "nodes", nodes, clusters, flavour):
            home = fleet.folder / "nodes" / fixed.hardware.name
            fleet.nodes[fixed.hardware.name] = node.Node(home, fixed, usr=usr, client_key=client)
        for one in fleet.nodes.values():
            one.power_on()
    except BaseException:
        fleet.close()
        raise
    return fleet


def _fixed(folder: Path, nodes: int | Sequence[world.LabNode], clusters: int, flavour: str) -> list[node.Fixed]:
    """The nodes that are kept in the folder, or else fresh ones on free ports."""
    kept = sorted(folder.glob("*/node.json"))
    if kept:
        return [node.load(path.parent) for path in kept]
    machines = describe(nodes, clusters, world.FLAVOURS[flavour]) if isinstance(nodes, int) else list(nodes)
    ports = free_ports(2 * len(machines))
    return [node.Fixed(one, ports[2 * at], ports[2 * at + 1]) for at, one in enumerate(machines)]


def describe(count: int, clusters: int, kind: Callable[..., world.LabNode]) -> list[world.LabNode]:
    """``pve1`` … ``pveN``, dealt out over the clusters ``home``, ``home2`` …"""
    names = ["home", *(f"home{number}" for number in range(2, clusters + 1))]
    return [kind(f"pve{at + 1}", cluster=names[at % clusters]) for at in range(count)]


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _lock(folder: Path) -> int:
    """Held while the lab runs, by this process only; Busy when another one holds it."""
    handle = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise errors.Busy(f"a lab is running in {folder} already", hint="transom lab down") from error
    return handle


def clusters_of(fleet: Fleet) -> Mapping[str, tuple[str, ...]]:
    """Node names by cluster."""
    found: dict[str, tuple[str, ...]] = {}
    for one in fleet.nodes.values():
        found[one.hardware.cluster] = (*found.get(one.hardware.cluster, ()), one.name)
    return found
