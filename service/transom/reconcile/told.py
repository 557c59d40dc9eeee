"""Reading a node to which SSH is not granted: what its API tells, and nothing made up for the rest, which is Unknown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TypeVar

from transom import errors, model
from transom.guest import told
from transom.host import facts as host_facts
from transom.reconcile import world as w

T = TypeVar("T")
_WHY = "the node has no SSH, and the PVE API does not tell it"


def facts(world: w.World) -> model.Facts:
    """What is not a VM's, of the node: devices, versions. What only a shell can see is Unknown."""
    bare = host_facts.unknown(world.node, _WHY)
    kernel = ask("kernel", lambda: world.api.kernel(world.node))
    cpus = ask("CPUs", lambda: world.api.cpus(world.node))
    return dataclasses.replace(
        bare,
        boot=dataclasses.replace(bare.boot, kernel=kernel or model.Unknown(_WHY)),
        pci=ask("PCI devices", lambda: world.api.pci(world.node)),
        supplies=model.Supplies(cpus) if isinstance(cpus, int) else cpus,
        packages=ask("packages", lambda: world.api.packages(world.node)),
    )


def ask(what: str, call: Callable[[], T]) -> T | model.Unknown:
    """What the API answers; Unknown when it does not."""
    try:
        return call()
    except errors.TransomError as error:
        return model.Unknown(f"{what} (PVE API): {error}")


def files(vmids: Iterable[int], world: w.World) -> dict[int, model.GuestFile]:
    """The configurations of these VMs; one that cannot be read, or has just gone, is Unknown by itself."""
    return {vmid: _file(vmid, world) for vmid in sorted(vmids)}


def file(vmid: int, world: w.World) -> model.GuestFile:
    """The VM's configuration as its API tells it, with the digest of the file."""
    rows, digest = world.api.pending(world.node, vmid)
    return model.GuestFile(vmid, told.text(rows), digest)


def _file(vmid: int, world: w.World) -> model.GuestFile:
    try:
        return file(vmid, world)
    except errors.TransomError as error:
        return model.GuestFile(vmid, model.Unknown(f"VM {vmid} (PVE API): {error}"), "")
