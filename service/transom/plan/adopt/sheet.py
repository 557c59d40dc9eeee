"""What is to be written down of one node: its host settings, devices, VMs and ROMs, and what was left out and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from transom.plan import ledger_paths
from transom.plan.adopt import express
from transom.spec import bundle, documents

Plain = dict[str, Any]
"""A document, or a part of one, in JSON types: what pydantic reads and ``bundle.content`` gives."""


@dataclasses.dataclass(frozen=True)
class Item:
    """One item of a host setting, and where it was found."""

    setting: str
    value: str
    place: str

    @property
    def path(self) -> str:
        return str(ledger_paths.Host(self.setting, self.value))


@dataclasses.dataclass(frozen=True)
class Device:
    """A PCI function by the name that it gets in the Node document. ``known``: the document has it already."""

    name: str
    id: str
    """With the subsystem, where there is one."""
    address: str
    needs_address: bool
    says: str
    known: bool = False
    mapping: str = ""
    """The cluster's resource mapping by which VMs get it."""

    @property
    def spec(self) -> Plain:
        address = {"address": self.address} if self.needs_address else {}
        return {"id": self.id} | address | ({"mapping": self.mapping} if self.mapping else {})


@dataclasses.dataclass(frozen=True)
class Rom:
    """An option ROM that VMs name. ``known``: a document describes it already."""

    name: str
    filename: str
    sha256: str
    known: bool = False

    @property
    def copy(self) -> str:
        """The name of the copy beside the documents."""
        return f"{self.name}-{self.sha256[:12]}.rom"

    @property
    def spec(self) -> Plain:
        own = self.filename == self.copy
        return {"file": self.copy, "sha256": self.sha256} | ({} if own else {"filename": self.filename})


@dataclasses.dataclass(frozen=True)
class Vm:
    """One VM. ``values``: the keys that the document shall name, in PVE's own text; ``hostpci0`` may be said by ``device``, with
    ``options`` and ``rom``, instead."""

    vmid: int
    name: str
    identity: str
    values: Mapping[str, str]
    notes: tuple[str, ...] = ()
    device: str = ""
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rom: str = ""
    recipe: str = ""

    @property
    def path(self) -> str:
        return str(ledger_paths.guest(self.vmid))

    def key(self, key: str) -> str:
        return str(ledger_paths.guest(self.vmid, key=key))

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted({*self.values, *(["hostpci0"] if self.device else [])}))


@dataclasses.dataclass(frozen=True)
class Sheet:
    """One node. ``left``: path (``host/…``, ``qemu/112``, ``qemu/112/args``) → why it is not in the documents."""

    node: bundle.Loaded
    items: tuple[Item, ...] = ()
    devices: tuple[Device, ...] = ()
    vms: tuple[Vm, ...] = ()
    roms: tuple[Rom, ...] = ()
    left: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def without(self, path: str, reason: str) -> Sheet:
        return dataclasses.replace(self, left={**self.left, path: reason})

    def has(self, path: str) -> bool:
        return path not in self.left

    @property
    def kept(self) -> tuple[Vm, ...]:
        """The VMs that get a document."""
        return tuple(vm for vm in self.vms if self.has(vm.path))

    @property
    def named_roms(self) -> tuple[Rom, ...]:
        """The ROMs that a document is to be written for."""
        used = {vm.rom for vm in self.kept if vm.rom and self.has(vm.key("hostpci0"))}
        return tuple(rom for rom in self.roms if rom.name in used and not rom.known)

    def node_spec(self) -> Plain:
        """The Node document's own, with what was found added to it."""
        spec: Plain = dict(bundle.content(self.node)["spec"])
        host: Plain = {key: list(values) for key, values in spec.get("host", {}).items()}
        for item in self.items:
            if self.has(item.path) and item.value not in host.get(item.setting, []):
                host.setdefault(item.setting, []).append(item.value)
        devices = dict(spec.get("devices", {}))
        for one in self.devices:
            if not one.known:
                devices[one.name] = one.spec
        return spec | ({"host": host} if host else {}) | ({"devices": devices} if devices else {})

    def vm_spec(self, vm: Vm) -> tuple[Plain, Mapping[str, str]]:
        """The VM's document, and key → why it cannot be said in one."""
        values = {key: value for key, value in vm.values.items() if self.has(vm.key(key))}
        said = express.express(values)
        spec: Plain = {"node": self.node.name, "vmid": vm.vmid, "identity": vm.identity}
        if vm.recipe:
            spec["recipe"] = vm.recipe
        if vm.device and self.has(vm.key("hostpci0")):
            spec["device"] = vm.device
            spec |= {"hostpci": dict(vm.options)} if vm.options else {}
            spec |= {"rom": vm.rom} if vm.rom else {}
        spec |= {name: part for name, part in said.parts.items() if part}
        return spec, said.left

    def documents(self) -> list[Plain]:
        """The Node, the VMs and the ROMs, in this order."""
        found = [_document("Node", self.node.name, self.node_spec(), self._labels())]
        found += [_document("VirtualMachine", vm.name, self.vm_spec(vm)[0]) for vm in self.kept]
        return [*found, *(_document("Rom", rom.name, rom.spec) for rom in self.named_roms)]

    def _labels(self) -> Mapping[str, str]:
        return self.node.document.metadata.labels


def _document(kind: str, name: str, spec: Plain, labels: Mapping[str, str] | None = None) -> Plain:
    metadata: Plain = {"name": name} | ({"labels": dict(labels)} if labels else {})
    return {"apiVersion": documents.API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
