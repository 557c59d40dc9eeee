"""What the API's answers hold, as values; Garbled for what has not the shape that PVE gives it. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from transom import errors, model


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of the cluster, as the one asked sees it."""

    name: str
    online: bool


@dataclasses.dataclass(frozen=True)
class ClusterStatus:
    """Whether ``/etc/pve`` can be written; ``name`` is empty for a node that is alone, which is always quorate."""

    name: str
    quorate: bool


@dataclasses.dataclass(frozen=True)
class Pending:
    """One key of a VM: the value now, and what a restart makes of it. None means none; ``delete`` that it will go."""

    key: str
    value: str | None
    pending: str | None = None
    delete: bool = False


def mapping(data: Any, *keys: str) -> dict[str, Any]:
    """``data`` itself, when it is a mapping that has ``keys``."""
    if not isinstance(data, dict) or any(key not in data for key in keys):
        raise errors.Garbled(f"expected a mapping with {', '.join(keys) or 'any keys'}, got {str(data)[:80]!r}")
    return data


def rows(data: Any, *keys: str) -> list[dict[str, Any]]:
    """``data`` itself, when it is a list of mappings that each have ``keys``."""
    if not isinstance(data, list):
        raise errors.Garbled(f"expected a list, got {str(data)[:80]!r}")
    return [mapping(row, *keys) for row in data]


def flag(value: Any) -> bool:
    """PVE's booleans are 1 and 0, now and then as text."""
    return str(value) == "1"


def number(value: Any) -> int:
    """A VMID and the like: an integer, or its digits as text."""
    if not str(value).isdecimal():
        raise errors.Garbled(f"expected a number, got {str(value)[:40]!r}")
    return int(value)


def parse_state(row: Mapping[str, Any]) -> model.GuestState:
    """A row of the list of VMs, or the answer of ``status/current`` with its vmid."""
    return model.GuestState(
        vmid=number(row["vmid"]),
        status=str(row["status"]),
        lock=str(row.get("lock") or ""),
        qemu=str(row.get("running-qemu") or ""),
    )


def parse_pending(row: Mapping[str, Any]) -> Pending:
    """A row of ``pending``; its ``delete`` is 1, or 2 when it was forced."""
    value, pending = row.get("value"), row.get("pending")
    return Pending(
        key=str(row["key"]),
        value=None if value is None else str(value),
        pending=None if pending is None else str(pending),
        delete=bool(row.get("delete")),
    )
