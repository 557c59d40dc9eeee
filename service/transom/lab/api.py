"""The PVE API of each lab node: what the lab's machines mean as the API's worlds, and its servers started beside them."""

from __future__ import annotations

import dataclasses
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from transom.lab import world
from transom.lab.pve import certificate, server
from transom.lab.pve import world as api_world

TOKEN = "transom@pve!transom"


def describe(machine: world.LabNode, members: Sequence[str], token: str) -> api_world.World:
    """The API's world of ``machine``: its storages, bridges and versions. Devices are read from the node's own sysfs."""
    base = api_world.lab_world(node=machine.name, cluster=tuple(members))
    version = machine.packages["pve-qemu-kvm"]
    return dataclasses.replace(
        base,
        cluster=machine.cluster if len(members) > 1 else "",
        tokens=(api_world.Token(TOKEN, token, privsep=False),),
        storages=tuple(
            api_world.Storage(one.name, one.kind, one.path, ",".join(one.content)) for one in machine.storages
        ),
        bridges=machine.bridges,
        manager=machine.packages["pve-manager"],
        qemu_server=machine.packages["qemu-server"],
        qemu=version.partition("-")[0],
        kernel=machine.kernel,
    )


def secrets_of(cluster: str, token: Path, certificates: Path) -> None:
    """Makes the token's secret and the certificate of a cluster where there are none yet."""
    certificates.mkdir(parents=True, exist_ok=True)
    certificate.ensure(certificates, cluster)
    if not token.exists():
        token.touch(0o600)
        token.write_text(f"{uuid.uuid4()}\n")


def share_certificate(root: Path, name: str, folder: Path) -> None:
    """Gives the node ``name`` the cluster's certificate, so that one pinned fingerprint fits every endpoint."""
    target = root / "etc/pve/nodes" / name
    target.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        shutil.copyfile(path, target / path.name)


def serve(machine: world.LabNode, described: api_world.World, roots: Mapping[str, Path], port: int) -> server.Server:
    """Starts the API of one node; ``roots`` has every node of its cluster."""
    return server.serve(described, roots[machine.name], port, node=machine.name, roots=roots)
