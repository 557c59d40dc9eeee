"""Which PCI functions of a host a document's words mean, and which of several alike only an address can tell apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from transom import model
from transom.spec import wish

Host = Mapping[str, tuple[wish.Want, ...]]


def matching(device: wish.DeviceWish, pci: tuple[model.PciDevice, ...]) -> tuple[model.PciDevice, ...]:
    """Every function that fits; the address only chooses among several."""
    fits = [dev for dev in pci if dev.id == device.id and device.subsystem in ("", dev.subsystem)]
    at_address = [dev for dev in fits if dev.address == device.address]
    return tuple(at_address if len(fits) > 1 and at_address else fits)


def by_address(node: wish.NodeWish, pci: tuple[model.PciDevice, ...] | model.Unknown) -> Host:
    """``node.host`` with ``driver_override`` instead of ``vfio_ids`` for a VM's device whose id another device has too.

    Ids that the Node itself names stay: they say all devices with the id. With no address known, they stay as well, and
    ``twin-device-id`` holds.
    """
    if isinstance(pci, model.Unknown):
        return node.host
    ids, overrides = [], []
    for want in node.host.get("vfio_ids", ()):
        alike = {dev.address for dev in pci if dev.id == want.value}
        declared = _addresses(node.devices.values(), pci) & alike
        given = _addresses([guest.device for guest in node.guests if guest.device], pci) & alike
        if want.document == node.document or not given or not alike - declared - given:
            ids.append(want)
            continue
        why = f"{want.value} is also {', '.join(sorted(alike - declared - given))}, which stays with the host"
        overrides += [dataclasses.replace(want, value=f"{address}={want.value}", why=why) for address in sorted(given)]
    return {**node.host, "vfio_ids": tuple(ids), "driver_override": tuple(overrides)} if overrides else node.host


def _addresses(wishes: Iterable[wish.DeviceWish], pci: tuple[model.PciDevice, ...]) -> frozenset[str]:
    """Of the devices that are one function each."""
    found = (matching(device, pci) for device in wishes)
    return frozenset(fits[0].address for fits in found if len(fits) == 1)
