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


def parse_pci(row: Mapping[str, Any]) -> model.PciDevice:
    """A row of ``hardware/pci``: ids as ``0x8086``, the group -1 for none. The bound driver is not among it."""
    sub_vendor, sub_device = _hex(row.get("subsystem_vendor", "")), _hex(row.get("subsystem_device", ""))
    group = int(row.get("iommugroup", -1))
    return model.PciDevice(
        address=str(row["id"]),
        vendor=_hex(row["vendor"]),
        device=_hex(row["device"]),
        class_code=_hex(row["class"]).zfill(6),
        subsystem=f"{sub_vendor}:{sub_device}" if sub_vendor and sub_device else "",
        driver=model.Unknown("the PVE API does not tell the bound driver"),
        iommu_group=None if group < 0 else group,
    )


def _hex(value: Any) -> str:
    digits = str(value).lower().removeprefix("0x")
    if digits.strip("0123456789abcdef"):
        raise errors.Garbled(f"expected hex digits, got {str(value)[:40]!r}")
    return digits


def parse_mapping(row: Mapping[str, Any]) -> model.PciMapping:
    """A row of ``/cluster/mapping/pci?check-node=``."""
    entries, checks = row["map"], row.get("checks") or []
    if not isinstance(entries, list) or not isinstance(checks, list):
        raise errors.Garbled(f"mapping {row.get('id')!r}: no list of entries")
    said = [str(mapping(one).get("message", "")).strip() for one in checks]
    return model.PciMapping(str(row["id"]), tuple(map(str, entries)), str(row.get("digest", "")), tuple(said))


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
