"""Shared by the rules on drivers that are to be blacklisted: which devices that nobody gives away they drive now."""

from __future__ import annotations

from collections.abc import Mapping

from transom import model
from transom.diagnose import blacklists, rule, taken, view
from transom.host import module_names


def judge(host: view.Host, classes: tuple[str, ...], what: str, also: frozenset[str] = frozenset()) -> rule.Verdict:
    """Found with the devices of these classes, or at the addresses ``also``, that a wanted blacklist would leave without their
    driver."""
    pci = host.facts.pci
    drivers = blacklists.wanted(host)
    if not drivers:
        return rule.clear()
    if isinstance(pci, model.Unknown):
        return rule.cannot_tell(f"PCI devices: {pci.unknown}")
    given = _given(host, pci)
    staying = [dev for dev in pci if dev.address not in given]
    concerned = [dev for dev in staying if dev.class_code.startswith(classes) or dev.address in also]
    blind = next((dev for dev in concerned if isinstance(dev.driver, model.Unknown)), None)
    if blind is not None:
        return rule.cannot_tell(f"the driver of {blind.address} was not read")
    users = [dev for dev in concerned if module_names.normal(dev.driver_name) in drivers]
    if not users:
        return rule.clear()
    named = ", ".join(f"{dev.address} ({dev.driver_name})" for dev in users)
    return rule.found(
        f"{what} {named} would have no driver: {_blacklisted(users, drivers)}", [evidence(dev) for dev in users]
    )


def others(host: view.Host) -> tuple[model.PciDevice, ...]:
    """Every device that stays with the host and that a wanted blacklist would leave without its driver; none while unknown."""
    pci, drivers = host.facts.pci, blacklists.wanted(host)
    if isinstance(pci, model.Unknown) or not drivers:
        return ()
    given = _given(host, pci)
    return tuple(dev for dev in pci if dev.address not in given and module_names.normal(dev.driver_name) in drivers)


def evidence(dev: model.PciDevice) -> model.Evidence:
    return model.Evidence(
        f"/sys/bus/pci/devices/{dev.address}", f"{dev.id} class {dev.class_code} driver {dev.driver_name}"
    )


def _blacklisted(users: list[model.PciDevice], drivers: Mapping[str, str]) -> str:
    """``ahci is to be blacklisted``, and by what token of the kernel command line where it is one."""
    whys = {dev.driver_name: drivers[module_names.normal(dev.driver_name)] for dev in users}
    names = [name if why == "blacklist" else f"{name} (by {why})" for name, why in sorted(whys.items())]
    return f"{', '.join(names)} is to be blacklisted"


def _given(host: view.Host, pci: tuple[model.PciDevice, ...]) -> frozenset[str]:
    """Addresses of what documents give away: by a device, or by an id for vfio-pci."""
    declared = (view.Device(host, device) for device in host.wish.devices.values())
    present = (device.present() for device in (*declared, *host.devices))
    by_id = (dev.address for dev in pci for one in taken.ids(host) if taken.matches(one, dev))
    return frozenset(dev.address for dev in present if isinstance(dev, model.PciDevice)) | frozenset(by_id)
