"""The PVE API of each lab node: what the lab's machines mean as the API's worlds, and its servers started beside them."""

from __future__ import annotations

import dataclasses
import secrets
import shutil
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


def token(file: Path) -> str:
    """The token's secret, kept in ``file``; a new one when there is none."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)
        text = secrets.token_hex(16)
        file.write_text("-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])) + "\n")
    return file.read_text().strip()


def share_certificate(root: Path, folder: Path, cluster: str) -> None:
    """Gives a node the cluster's certificate, so that one pinned fingerprint fits every endpoint."""
    for path in certificate.ensure(folder, cluster):
        target = root / "etc/pve/local" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def serve(machine: world.LabNode, described: api_world.World, roots: Mapping[str, Path], port: int) -> server.Server:
    """Starts the API of one node; ``roots`` has every node of its cluster."""
    return server.serve(described, roots[machine.name], port, node=machine.name, roots=roots)
