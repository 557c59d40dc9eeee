"""What rules look at: the host as observed beside what its documents want of it.

A VM is judged as it would be started after the plan: its observed configuration with everything wanted laid over it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

from transom import model
from transom.guest import conf, identity, props, registry
from transom.guest import hostpci as guest_hostpci
from transom.guest.fields import hostpci
from transom.host import devices, kernel_args, versions
from transom.spec import wish

HOST_DRIVERS_NONE = frozenset({"", "vfio-pci", "pci-stub"})
"""Bound to one of these, a device is not in the host's use."""

Leaving = Mapping[int, Mapping[str, str | None]]
"""VM id → key → the value that the plan gives back to it (None: none), for keys that no document wants any more."""


@dataclasses.dataclass(frozen=True)
class Host:
    """One node: what was observed and what is wanted."""

    facts: model.Facts
    wish: wish.NodeWish
    leaving: Leaving = dataclasses.field(default_factory=dict)
    then: model.Facts | None = None
    """The facts with the files as the plan leaves them; None where it leaves them alone."""

    @property
    def next_boot(self) -> model.Facts:
        """The facts with the files that the next boot reads."""
        return self.then or self.facts

    @property
    def subject(self) -> str:
        return f"node {self.wish.name}"

    @functools.cached_property
    def guests(self) -> tuple[Guest, ...]:
        """Every declared VM."""
        return tuple(Guest(self, guest) for guest in self.wish.guests)

    @functools.cached_property
    def devices(self) -> tuple[Device, ...]:
        """The devices that declared VMs take, each once."""
        wanted = {guest.wish.device.name: guest.wish.device for guest in self.guests if guest.wish.device}
        return tuple(Device(self, device) for device in wanted.values())

    def wanted(self, key: str) -> tuple[str, ...]:
        """Values wanted of one host setting, conditions on the kernel aside."""
        return tuple(want.value for want in self.wish.host.get(key, ()))

    @property
    def gives_devices(self) -> bool:
        """Whether a document wants any device for a VM."""
        return bool(self.devices or self.wanted("vfio_ids") or any(guest.names_hostpci for guest in self.guests))

    def package(self, name: str) -> str | model.Unknown:
        """The installed version; Unknown when the packages were not read or it is not among them."""
        if isinstance(self.facts.packages, model.Unknown):
            return self.facts.packages
        return self.facts.packages.get(name) or model.Unknown(f"the version of {name} was not read")

    def kernel_arg(self, name: str) -> str | model.Unknown | None:
        """The value of a kernel parameter in ``/proc/cmdline``, the last one; ``""`` for a bare word, None when it is not there."""
        tokens = self.facts.boot.cmdline
        if isinstance(tokens, model.Unknown):
            return tokens
        values = [kernel_args.value(token) or "" for token in tokens if kernel_args.key(token) == name]
        return values[-1] if values else None

    def kernel_matches(self, condition: str) -> bool | model.Unknown:
        """Whether the running kernel meets a condition such as ``>=6.2``."""
        kernel = self.facts.boot.kernel
        return kernel if isinstance(kernel, model.Unknown) else versions.matches(kernel, condition)


@dataclasses.dataclass(frozen=True)
class Device:
    """A wanted PCI device."""

    host: Host
    wish: wish.DeviceWish

    @property
    def subject(self) -> str:
        return f"device {self.wish.name}"

    def matching(self) -> tuple[model.PciDevice, ...] | model.Unknown:
        """Every function that the document's words fit; the address only chooses among several."""
        pci = self.host.facts.pci
        if isinstance(pci, model.Unknown):
            return pci
        return devices.matching(self.wish, pci)

    def present(self) -> model.PciDevice | model.Unknown | None:
        """The one function; None when it is not there, Unknown when several are meant."""
        fits = self.matching()
        if isinstance(fits, model.Unknown):
            return fits
        if len(fits) > 1:
            return model.Unknown(f"{len(fits)} devices are {self.wish.id}")
        return fits[0] if fits else None

    def mates(self) -> tuple[model.PciDevice, ...] | model.Unknown:
        """The other functions of its IOMMU group, bridges apart; none while there are no groups."""
        device = self.present()
        return device if isinstance(device, model.Unknown) else group_mates(device, self.host.facts.pci)


def group_mates(
    device: model.PciDevice | None, pci: tuple[model.PciDevice, ...] | model.Unknown
) -> tuple[model.PciDevice, ...] | model.Unknown:
    """The other functions of the device's IOMMU group, bridges apart; none while there are no groups."""
    if isinstance(pci, model.Unknown):
        return pci
    if device is None or device.iommu_group is None:
        return ()
    # PCI-to-PCI bridges stay with the host when PVE binds a group (pci_dev_group_bind_to_vfio).
    return tuple(
        dev
        for dev in pci
        if dev.iommu_group == device.iommu_group and dev != device and not dev.class_code.startswith("0604")
    )


@dataclasses.dataclass(frozen=True)
class Guest:
    """A declared VM."""

    host: Host
    wish: wish.GuestWish

    @property
    def subject(self) -> str:
        return f"VM {self.vmid}" if self.vmid is not None else f"VM ({self.wish.name})"

    def evidence(self, key: str) -> model.Evidence:
        """What ``config`` has for ``key``, and who says so: the document that wants it, else the observed file."""
        config = {} if isinstance(self.config, model.Unknown) else self.config
        if key in self.wish.config:
            source = self.wish.config[key].document
        elif key == "hostpci0" and self.wish.device:
            source = self.wish.document
        else:
            source = f"/etc/pve/qemu-server/{self.vmid}.conf" if self.observed else self.wish.document
        return model.Evidence(source, f"{key}: {config[key]}" if key in config else f"{key} is not set")

    @functools.cached_property
    def vmid(self) -> int | None:
        """Its id: the document's, else that of the VM that carries its mark; None when there is none yet."""
        files = self.host.facts.guests
        if self.wish.vmid is not None or isinstance(files, model.Unknown):
            return self.wish.vmid
        marked = (
            vmid
            for vmid, file in sorted(files.items())
            if isinstance(file.text, str) and identity.marked(conf.parse(file.text)) == self.wish.name
        )
        return next(marked, None)

    @property
    def names_hostpci(self) -> bool:
        """Whether its documents give it a PCI device."""
        return self.wish.device is not None or any(key.startswith("hostpci") for key in self.wish.config)

    def names(self, *keys: str) -> bool:
        """Whether its documents name one of these keys; ``hostpci`` stands for all of them."""
        return any((key == "hostpci" and self.names_hostpci) or key in self.wish.config for key in keys)

    @functools.cached_property
    def wanted(self) -> Mapping[str, str] | model.Unknown:
        """What documents want, conditions on QEMU settled and the device found."""
        values: dict[str, str] = {}
        qemu = self.host.package("pve-qemu-kvm")
        for key, want in self.wish.config.items():
            if want.qemu and isinstance(qemu, model.Unknown):
                return qemu
            if not want.qemu or versions.matches(str(qemu), want.qemu):
                values[key] = want.value
        if self.wish.device:
            device = Device(self.host, self.wish.device).present()
            if device is None or isinstance(device, model.Unknown):
                return device or model.Unknown(f"device {self.wish.device.name} is not there")
            romfile = self.wish.rom.filename if self.wish.rom else None
            values["hostpci0"] = guest_hostpci.render_hostpci(device.address, self.wish.hostpci, romfile)
        return values

    @functools.cached_property
    def config(self) -> Mapping[str, str] | model.Unknown:
        """What it would be started with."""
        wanted, there = self.wanted, self.observed
        if isinstance(wanted, model.Unknown):
            return wanted
        if isinstance(there, model.Unknown):
            return there
        given_back = self.host.leaving.get(self.vmid, {}) if self.vmid is not None else {}
        merged = {**there, **{key: value for key, value in given_back.items() if value is not None}}
        kept = {key: value for key, value in merged.items() if given_back.get(key, "") is not None}
        merged_wants = {
            key: registry.field_for(key).merge(value, kept[key]) if key in kept else value
            for key, value in wanted.items()
        }
        return {**kept, **merged_wants}

    @functools.cached_property
    def observed(self) -> Mapping[str, str] | model.Unknown:
        """Its persisted configuration; empty when there is no such VM yet."""
        files = self.host.facts.guests
        if isinstance(files, model.Unknown):
            return files
        file = files.get(self.vmid) if self.vmid is not None else None
        if file is None:
            return {}
        return file.text if isinstance(file.text, model.Unknown) else conf.parse(file.text).persisted()

    @functools.cached_property
    def hostpci(self) -> tuple[Given, ...] | model.Unknown:
        """Its PCI devices, by key; a value that PVE would refuse is left out, since it cannot be written."""
        config = self.config
        if isinstance(config, model.Unknown):
            return config
        return given(config)

    def state(self) -> model.GuestState | model.Unknown | None:
        """What the API says of it; None when there is no such VM."""
        states = self.host.facts.states
        if isinstance(states, model.Unknown):
            return states
        return states.get(self.vmid) if self.vmid is not None else None


@dataclasses.dataclass(frozen=True)
class Given:
    """One ``hostpciN`` with its value, taken apart."""

    key: str
    text: str
    value: hostpci.HostPci

    def functions(self, pci: tuple[model.PciDevice, ...]) -> tuple[str, ...]:
        """The addresses that it stands for on this host; one that is not there is kept as written."""
        return tuple(
            function
            for address in self.value.addresses
            for function in ([dev.address for dev in pci if dev.address.startswith(f"{address}.")] or [address])
        )


def given(config: Mapping[str, str]) -> tuple[Given, ...]:
    """The PCI devices of a configuration, in the order in which PVE goes through them."""
    parsed: list[Given] = []
    for number in range(16):
        text = config.get(f"hostpci{number}", "")
        try:
            parsed += [Given(f"hostpci{number}", text, hostpci.read(text))] if text.strip() else []
        except ValueError:
            continue
    return tuple(parsed)


def mapped(one: Given, host: Host) -> tuple[str, ...] | model.Unknown:
    """The addresses that ``hostpciN`` stands for on this host, also behind a mapping.

    Of a mapping with several entries for the node PVE takes the first free one: none of them is certain. Nor is one that is not
    there: what PVE says of it is another matter.
    """
    facts = host.facts
    pci = () if isinstance(facts.pci, model.Unknown) else facts.pci
    if not one.value.mapping:
        return one.functions(pci)
    if isinstance(facts.mappings, model.Unknown):
        return model.Unknown(f"PCI mappings: {facts.mappings.unknown}")
    mapping = facts.mappings.get(one.value.mapping)
    paths = [entry.get("path", "") for entry in entries(host, mapping)] if mapping else []
    try:
        value = hostpci.read(paths[0]) if len(paths) == 1 else None
    except ValueError:
        value = None
    return dataclasses.replace(one, value=value).functions(pci) if value else ()


def entries(host: Host, mapping: model.PciMapping) -> tuple[dict[str, str], ...]:
    """The mapping's entries for this node, as properties."""
    every = (_entry(text) for text in mapping.entries)
    return tuple(entry for entry in every if entry.get("node") == host.wish.pve_node)


def _entry(text: str) -> dict[str, str]:
    try:
        return props.split(props.Schema({}), text)
    except ValueError:
        return {}


def is_q35(machine: str) -> bool:
    """Whether PVE takes the value of ``machine`` for a q35."""
    return "q35" in machine
