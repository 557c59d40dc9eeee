"""What is true: on the lab's nodes, read from their files and over SSH, and in the daemon's own words, read over its API."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Sequence
from typing import Any

from transom.lab import fleet
from transom.lab.demo import asking

IGPU = "0000:00:02.0"


def hashes(root: pathlib.Path, tops: Sequence[str], *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Path → SHA-256 of every file under ``tops`` of a node's root; paths that begin as one of ``without`` are left out."""
    found = {}
    for top in tops:
        for path in sorted((root / top).rglob("*")):
            name = str(path.relative_to(root))
            if path.is_file() and not path.is_symlink() and not name.startswith(without):  # links lead to files here
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def lines(root: pathlib.Path, tops: Sequence[str]) -> dict[str, list[bytes]]:
    """Path → the lines of every file under ``tops``, sorted: a line that was taken out comes back in another place."""
    paths = (path for top in tops for path in (root / top).rglob("*"))
    files = (path for path in paths if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(root)): sorted(path.read_bytes().splitlines()) for path in files}


def driver(node: fleet.FleetNode) -> str:
    """That has the iGPU now."""
    return node.ssh(f"basename $(readlink /sys/bus/pci/devices/{IGPU}/driver)").strip()


def conf(node: fleet.FleetNode, vmid: int) -> str:
    """A VM's configuration."""
    return (node.root / f"etc/pve/nodes/{node.name}/qemu-server/{vmid}.conf").read_text()


# --- what the daemon says --------------------------------------------------------------------------------------------


def state(api: asking.Api, node: str) -> str:
    """How the node stands: as-declared, drifted, held, waiting …"""
    return next(str(row["state"]) for row in api.items("/v1/nodes") if row["name"] == node)


def drifts(api: asking.Api, node: str, kind: str = "drift") -> list[dict[str, Any]]:
    """What stands on the node: differences, or with ``kind`` finding those."""
    return [row for row in api.items("/v1/drift", node=node) if row["kind"] == kind]


def runs(api: asking.Api) -> list[dict[str, Any]]:
    """Newest first."""
    return api.items("/v1/runs")


def waiting(api: asking.Api, node: str) -> list[dict[str, Any]]:
    """The node's plans that wait for approval."""
    return api.items("/v1/plans", node=node, state="waiting")
