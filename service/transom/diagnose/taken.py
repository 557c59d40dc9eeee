"""Which PCI functions go from the host, by whatever words: as the device of a VM, as any ``hostpciN``, by an id for vfio-pci, or by
a blacklist, which leaves a declared device without its driver."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from transom import model
from transom.diagnose import blacklists, view
from transom.guest import conf
from transom.guest.fields import hostpci
from transom.host import devices, kernel_args, module_names
from transom.host.settings import vfio_ids

_IDS = frozenset({"vfio_pci.ids", "pci_stub.ids"})
_ANY = 0xFFFFFFFF


@dataclasses.dataclass(frozen=True)
class Taken:
    """One of them. ``there``: None when the host has no such device, Unknown when it cannot be told which one is meant."""

    host: view.Host
    subject: str
    there: model.PciDevice | model.Unknown | None
    why: str
    """``it is given away``, ``vfio_ids 10ec:8168``, ``hostpci1 of VM 112``"""
    asked: bool = True
    """A document asks for it; otherwise a person gave it to the VM by hand, which is told and holds nothing."""
    starting: bool = False
    """A declared VM takes it when it is started the next time, not by a resource mapping, and none runs with it now."""
    given: frozenset[str] = frozenset()
    """Addresses of all that go."""

    @property
    def holds(self) -> bool | None:
        """As ``rule.found`` takes it."""
        return None if self.asked else False

    def mates(self) -> tuple[model.PciDevice, ...] | model.Unknown:
        """The other functions of its IOMMU group, bridges apart."""
        if isinstance(self.there, model.Unknown):
            return self.there
        return view.group_mates(self.there, self.host.facts.pci)


def of(host: view.Host) -> tuple[Taken, ...]:
    """Every function once, those that documents ask for first."""
    found: list[Taken] = []
    seen: set[str] = set()
    given = tuple(_hostpci(host))
    asked = (one for one in given if one.asked)
    for one in (*_devices(host), *asked, *_by_id(host), *_driverless(host), *(one for one in given if not one.asked)):
        if not isinstance(one.there, model.PciDevice) or one.there.address not in seen:
            found.append(one)
        if isinstance(one.there, model.PciDevice):
            seen.add(one.there.address)
    running = _running(host)
    return tuple(
        dataclasses.replace(
            one,
            given=frozenset(seen),
            starting=one.starting and not (isinstance(one.there, model.PciDevice) and one.there.address in running),
        )
        for one in found
    )


def ids(host: view.Host) -> dict[str, str]:
    """Items of ``ids=`` → what wants them: vfio_ids but for those bound by address, options of pci-stub, kernel command line."""
    found = {
        vfio_ids.normal(want.value): "vfio_ids"
        for want in devices.by_address(host.wish, host.facts.pci).get("vfio_ids", ())
    }
    options = (*host.wanted("kernel_cmdline"), *host.wanted("module_options"))
    lists = ((token, kernel_args.value(token) or "") for token in options if kernel_args.key(token) in _IDS)
    for token, parts in lists:
        found = {vfio_ids.normal(part): token for part in parts.split(",") if part} | found
    return found


def matches(item: str, device: model.PciDevice) -> bool:
    """Whether an item of ``ids=`` takes the device: ``vendor:device[:subvendor:subdevice[:class[:mask]]]`` in hex, in which
    ffffffff stands for any (``vfio_pci_fill_ids``, ``pci_match_one_device``). What the kernel cannot read takes nothing."""
    try:
        wanted = [int(field, 16) for field in item.split(":")]
    except ValueError:
        return False
    subsystem = device.subsystem or "0:0"
    there = [int(field, 16) for field in (*device.id.split(":"), *subsystem.split(":"))]
    code, mask = (*wanted[4:6], 0, 0)[:2]
    alike = all(one in (_ANY, other) for one, other in zip(wanted, there, strict=False))
    return len(wanted) > 1 and alike and not (code ^ int(device.class_code, 16)) & (mask if len(wanted) > 5 else 0)


def _devices(host: view.Host) -> Iterator[Taken]:
    for device in host.devices:
        yield Taken(host, device.subject, device.present(), "it is given away", starting=True)


def _hostpci(host: view.Host) -> Iterator[Taken]:
    """What declared VMs take when they are started. A mediated device leaves its parent to the host."""
    for guest in host.guests:
        for one in _given(guest):
            if one.value.mdev:
                continue
            asked, why = guest.names(one.key), f"{one.key} of {guest.subject}"
            addresses = _functions(one, host)
            if not isinstance(addresses, model.Unknown):
                starting = asked and not one.value.mapping  # an administrator has made that for VMs
                for address in addresses:
                    yield Taken(host, f"PCI device {address}", host.facts.device(address), why, asked, starting)
            elif asked:
                yield Taken(host, f"{guest.subject} {one.key}", addresses, why)


def _given(guest: view.Guest) -> tuple[view.Given, ...]:
    """As it would be started; what its documents alone say when that is not known."""
    merged = guest.hostpci
    if not isinstance(merged, model.Unknown):
        return merged
    return view.given({key: want.value for key, want in guest.wish.config.items()})


def _running(host: view.Host) -> frozenset[str]:
    """Addresses that VMs run with: their configuration without what is pending."""
    files = {} if isinstance(host.facts.guests, model.Unknown) else host.facts.guests
    states = {} if isinstance(host.facts.states, model.Unknown) else host.facts.states
    found: set[str] = set()
    for vmid, file in files.items():
        if vmid in states and states[vmid].status == "running" and isinstance(file.text, str):
            for one in view.given(conf.parse(file.text).main):
                addresses = view.mapped(one, host)
                found |= set(() if isinstance(addresses, model.Unknown) else addresses)
    return frozenset(found)


def _functions(one: view.Given, host: view.Host) -> tuple[str, ...] | model.Unknown:
    """The addresses that it may stand for: of a mapping with several entries for the node any may be the one."""
    mappings, pci = host.facts.mappings, host.facts.pci
    if not one.value.mapping or isinstance(mappings, model.Unknown):
        return view.mapped(one, host)
    mapping = mappings.get(one.value.mapping)
    paths = [entry.get("path", "") for entry in view.entries(host, mapping)] if mapping else []
    values: list[hostpci.HostPci] = []
    for path in paths:
        try:
            values.append(hostpci.read(path))
        except ValueError:
            continue
    known = () if isinstance(pci, model.Unknown) else pci
    return tuple(address for value in values for address in dataclasses.replace(one, value=value).functions(known))


def _by_id(host: view.Host) -> Iterator[Taken]:
    """Those of a Node's devices under their name. With no device known ``twin-device-id`` speaks."""
    pci = host.facts.pci
    if isinstance(pci, model.Unknown):
        return
    names = {there.address: subject for subject, there in _declared(host)}
    for id, why in ids(host).items():
        for dev in pci:
            if matches(id, dev):
                word = why if "=" in why else f"{why} {id}"
                yield Taken(host, names.get(dev.address, f"PCI device {dev.address}"), dev, word)


def _driverless(host: view.Host) -> Iterator[Taken]:
    """A Node's devices that a blacklist alone takes from the host: ``driver-serves-host`` counts them as given away."""
    drivers = blacklists.wanted(host)
    for subject, there in _declared(host):
        if module_names.normal(there.driver_name) in drivers:
            yield Taken(host, subject, there, f"its driver {there.driver_name} is to be blacklisted")


def _declared(host: view.Host) -> Iterator[tuple[str, model.PciDevice]]:
    """(subject, function) of the Node's devices that are one function each."""
    for one in (view.Device(host, device) for device in host.wish.devices.values()):
        there = one.present()
        if isinstance(there, model.PciDevice):
            yield one.subject, there
