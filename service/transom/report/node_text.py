"""How the facts of a node read: what a person asks first."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from transom import model
from transom.reconcile import good


def text(facts: model.Facts) -> str:
    rows = [
        ("board", _said(facts.hardware.board)),
        ("BIOS", _said(facts.hardware.bios)),
        ("CPU", _said(facts.hardware.cpu)),
        ("VT-d (ACPI DMAR)", _said(facts.hardware.dmar)),
        ("kernel", _said(facts.boot.kernel)),
        ("command line", _said(facts.boot.cmdline)),
        ("boot loader", _said(facts.boot.loader)),
        *_packages(facts),
        ("quorate", _said(facts.quorate)),
    ]
    lines = [f"Node {facts.node}", *(f"  {name:18} {value}" for name, value in rows)]
    lines += ["  PCI devices", *_pci(facts)]
    lines += ["  VMs", *_guests(facts)]
    return "\n".join(lines) + "\n"


def last_good(last: good.LastGood) -> str:
    """The fingerprint but for files, of which only those count that differ."""
    if not last.fingerprint:
        return "  Last good: not since Transom has known it\n"
    since = datetime.datetime.fromtimestamp(last.since or 0, tz=datetime.UTC)
    when = f" since {since:%Y-%m-%d %H:%M:%S} UTC" if last.since else ""
    files = sum(name.startswith("file ") for name in last.fingerprint)
    lines = [f"  Last good{when}"]
    lines += [
        f"    {name} {value[:12] if name.startswith(('rom ', 'VM ')) else value}"
        for name, value in sorted(last.fingerprint.items())
        if not name.startswith("file ")
    ]
    lines.append(f"    {files} files of the configuration")
    lines += [f"  ≠ {one.said}" for one in last.differs] or ["  = nothing of that is another now"]
    return "\n".join(lines) + "\n"


def _said(value: object) -> str:
    if isinstance(value, model.Unknown):
        return f"unknown: {value.unknown}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _packages(facts: model.Facts) -> Iterator[tuple[str, str]]:
    if isinstance(facts.packages, model.Unknown):
        yield "packages", _said(facts.packages)
        return
    yield from sorted(facts.packages.items())


def _pci(facts: model.Facts) -> Iterator[str]:
    if isinstance(facts.pci, model.Unknown):
        yield f"    {_said(facts.pci)}"
        return
    for dev in facts.pci:
        group = "-" if dev.iommu_group is None else dev.iommu_group
        yield f"    {dev.address} {dev.id} class {dev.class_code} group {group:>3} driver {dev.driver_name or '-'}"


def _guests(facts: model.Facts) -> Iterator[str]:
    if isinstance(facts.states, model.Unknown):
        yield f"    {_said(facts.states)}"
        return
    for state in facts.states.values():
        yield f"    {state.vmid} {state.status}{f' locked ({state.lock})' if state.lock else ''}"
