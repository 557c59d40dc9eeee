"""A fleet of lab nodes in one folder: started, found, broken, stopped; for tests and for ``transom lab up``.

with fleet.start(tmp_path / "lab", nodes=2) as lab:
    lab.node("pve1").reboot()
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shlex
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from transom import errors
from transom.lab import api, documents, keys, lock, machine, node, platform, shell, world


class FleetNode(node.Node):
    """A node that knows its fleet: what its cluster is, how to run a command on it."""

    def __init__(self, lab: Fleet, fixed: node.Fixed, *, usr: Path, client_key: str) -> None:
        self._lab = lab
        super().__init__(lab.home(fixed.hardware.name), fixed, usr=usr, client_key=client_key, serve=self._serve_api)

    def run(self, *command: str, timeout: float = 60) -> str:
        """What ``command`` prints on the node, over SSH as root; Rejected when it fails."""
        return self.ssh(shlex.join(command), timeout=timeout)

    def ssh(self, command: str, timeout: float = 60) -> str:
        """What a line of shell prints on the node, over SSH as root; Rejected when it fails."""
        return shell.run(
            shell.argv(self.ssh_port, self._lab.client_key, self._lab.known_hosts, command), timeout=timeout
        )

    @property
    def url(self) -> str:
        """The API's endpoint."""
        return f"https://127.0.0.1:{self.api_port}"

    def cluster_roots(self) -> tuple[Path, ...]:
        """Roots of all nodes of this one's cluster."""
        return tuple(self._lab.roots(self.hardware.cluster).values())

    def _serve_api(self, _: node.Node) -> node.Api:
        cluster = self.hardware.cluster
        roots = self._lab.roots(cluster)
        token = self._lab.token_file(cluster).read_text().strip()
        described = api.describe(self.hardware, tuple(roots), token)
        api.share_certificate(self.root, self.name, self._lab.certificate(cluster))
        return api.serve(self.hardware, described, roots, self.api_port)


class Fleet:
    """Running nodes by name. Everything that it owns lies in ``folder``; nothing outlives the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, FleetNode] = {}
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._lock = lock.take(folder)

    @property
    def client_key(self) -> Path:
        """The private key with which every node lets root in."""
        return self.folder / "ssh/id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Host keys of all nodes, for the ``ssh`` client."""
        return self.folder / "ssh/known_hosts"

    def home(self, name: str) -> Path:
        """The folder of one node."""
        return self.folder / "nodes" / name

    def token_file(self, cluster: str) -> Path:
        """The file that holds the secret of a cluster's API token."""
        return self.folder / "secrets" / f"{cluster}.token"

    def certificate(self, cluster: str) -> Path:
        """The folder that holds the certificate of a cluster's API, and its key."""
        return self.folder / "secrets" / cluster

    def node(self, name: str) -> FleetNode:
        """The node of that name; Rejected with the names that there are."""
        if name not in self.nodes:
            raise errors.Rejected(f"the lab has no node {name}", hint=f"it has {', '.join(self.nodes)}")
        return self.nodes[name]

    def clusters(self) -> dict[str, tuple[str, ...]]:
        """Node names by cluster."""
        found: dict[str, tuple[str, ...]] = {}
        for one in self.nodes.values():
            found[one.hardware.cluster] = (*found.get(one.hardware.cluster, ()), one.name)
        return found

    def roots(self, cluster: str) -> dict[str, Path]:
        """Roots of a cluster's nodes by name."""
        return {name: self.nodes[name].root for name in self.clusters()[cluster]}

    def stage(self, source: Path) -> Path:
        """Copies a document (or a folder of them) so that it points at this lab; returns the copy in ``folder/documents``."""
        target = self.folder / "documents"
        if not source.is_dir():
            return documents.stage(source, target, self._cluster_links([source]), self._node_links())
        sources = sorted([*source.glob("*.yaml"), *source.glob("*.yml")])
        links = self._cluster_links(sources)
        for one in sources:
            documents.stage(one, target / source.name, links, self._node_links())
        return target / source.name

    def _node_links(self) -> dict[str, documents.NodeLink]:
        return {
            one.name: documents.NodeLink(one.hardware.cluster, one.ssh_port, one.host_key)
            for one in self.nodes.values()
        }

    def _cluster_links(self, sources: Sequence[Path]) -> dict[str, documents.ClusterLink]:
        """Links by the name that the documents give a cluster: the one that its nodes are in."""
        links: dict[str, documents.ClusterLink] = {}
        for source in sources:
            for name, cluster in documents.members(source.read_text()).items():
                if name in self.nodes and cluster not in links:
                    links[cluster] = self._cluster_link(self.nodes[name])
        return links

    def _cluster_link(self, first: FleetNode) -> documents.ClusterLink:
        cluster = first.hardware.cluster
        urls = tuple(self.nodes[name].url for name in self.clusters()[cluster])
        return documents.ClusterLink(urls, first.fingerprint, str(self.token_file(cluster)), str(self.client_key))

    def describe(self) -> dict[str, object]:
        """Where everything is, as JSON: what ``transom lab status`` shows."""
        return {
            "folder": str(self.folder),
            "client_key": str(self.client_key),
            "known_hosts": str(self.known_hosts),
            "nodes": [
                {
                    "name": one.name,
                    "cluster": one.hardware.cluster,
                    "state": one.state,
                    "root": str(one.root),
                    "ssh_port": one.ssh_port,
                    "host_key": one.host_key,
                    "endpoint": one.url,
                    "fingerprint": one.fingerprint,
                    "token_id": api.TOKEN,
                    "token_file": str(self.token_file(one.hardware.cluster)),
                }
                for one in self.nodes.values()
            ],
        }

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
    nodes: int | Sequence[world.LabNode] | None = None,
    clusters: int = 1,
    vms: int = 0,
    flavour: str = "seed",
) -> Fleet:
    """Starts a lab in ``folder`` and waits until every node answers: one node, or those that are asked for.

    A folder that has a lab already starts it as it was left; Rejected when other nodes are asked for.
    """
    platform.check()
    lab = Fleet(folder.resolve())
    with contextlib.ExitStack() as failed:
        failed.callback(lab.close)
        fresh = _make(lab, _fixed(lab.folder / "nodes", nodes, clusters, flavour))
        for one in lab.nodes.values():
            one.switch_on()
        for one in lab.nodes.values():
            one.power_on()
        for at, one in enumerate(lab.nodes.values()):
            if one.name in fresh:
                _first_boot(one, plain_vms(vms, first=1000 + 100 * at))
        failed.pop_all()
    (lab.folder / "lab.json").write_text(json.dumps(lab.describe(), indent=1))
    return lab


def _make(lab: Fleet, machines: Sequence[node.Fixed]) -> set[str]:
    """Puts the nodes into the fleet; returns the names of those that are new."""
    client = keys.ensure(lab.client_key, "transom-lab")
    usr = platform.build(lab.folder / "platform")
    fresh = {one.hardware.name for one in machines if not lab.home(one.hardware.name).exists()}
    for fixed in machines:
        lab.nodes[fixed.hardware.name] = FleetNode(lab, fixed, usr=usr, client_key=client)
    for cluster in lab.clusters():  # before nodes boot side by side, and each looks for them
        api.secrets_of(cluster, lab.token_file(cluster), lab.certificate(cluster))
    lines = (f"[127.0.0.1]:{one.ssh_port} {one.host_key}\n" for one in lab.nodes.values())
    lab.known_hosts.write_text("".join(lines))
    return fresh


def _first_boot(one: FleetNode, vms: Mapping[str, str]) -> None:
    """What the installer leaves to the first boot: the whole boot menu, as old as the rest; and the VMs of others."""
    one.run("update-grub")
    machine.age(one.root / "boot/grub/grub.cfg", machine.DAY)
    for vmid, text in vms.items():
        (one.root / f"etc/pve/nodes/{one.name}/qemu-server/{vmid}.conf").write_text(text)


def _fixed(folder: Path, nodes: int | Sequence[world.LabNode] | None, clusters: int, flavour: str) -> list[node.Fixed]:
    """The nodes that are kept in the folder, or else fresh ones on free ports."""
    kept = [node.load(path.parent) for path in sorted(folder.glob("*/node.json"))]
    if kept and nodes is None:
        return kept
    asked = 1 if nodes is None else nodes
    machines = describe(asked, clusters, world.FLAVOURS[flavour]) if isinstance(asked, int) else list(asked)
    if not kept:
        ports = free_ports(2 * len(machines))
        return [node.Fixed(one, ports[2 * at], ports[2 * at + 1]) for at, one in enumerate(machines)]
    here = {one.hardware.name: one.hardware.cluster for one in kept}
    if here != {one.name: one.cluster for one in machines}:
        names = ", ".join(f"{name} ({cluster})" for name, cluster in here.items())
        raise errors.Rejected(f"{folder.parent} holds a lab of {names}", hint="choose another --dir, or remove it")
    return kept


def describe(count: int, clusters: int, kind: Callable[..., world.LabNode]) -> list[world.LabNode]:
    """``pve1`` … ``pveN``, dealt out over the clusters ``home``, ``home2`` …"""
    names = ["home", *(f"home{number}" for number in range(2, clusters + 1))]
    return [kind(f"pve{at + 1}", cluster=names[at % clusters]) for at in range(count)]


def plain_vms(count: int, *, first: int) -> dict[str, str]:
    """VMs of somebody else's: VMID → configuration."""
    made = int(time.time())
    return {
        str(first + at): f"boot: order=net0\ncores: 1\nmemory: 512\nmeta: creation-qemu=7.1.0,ctime={made}\n"
        f"name: other-{first + at}\nnet0: virtio=02:00:00:00:{at // 256:02X}:{at % 256:02X},bridge=vmbr0\nostype: l26\n"
        for at in range(count)
    }


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free now, all different, and below those that the kernel gives to outgoing connections: a node's
    port is nobody's while it reboots, and must be free again afterwards."""
    found: list[int] = []
    for port in random.sample(range(20000, 32768), 12768):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise errors.Busy(f"there are no {count} free ports between 20000 and 32767")
