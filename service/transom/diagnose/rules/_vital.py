"""Shared by the rules on what the host lives by: does a device, or one of its IOMMU group, carry it."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, taken, view
from transom.diagnose.rules import _mates

_CARRY = (*_mates.VITAL, "0805")
"""Classes of what storage or network can hang on; 0805: eMMC and SD cards."""


def judge(device: taken.Taken, vital: tuple[model.Vital, ...] | model.Unknown, why: str) -> rule.Verdict:
    """Found with every use that hangs on the device or a mate. A device that vfio-pci has already is in nobody's use here."""
    there, mates = device.there, device.mates()
    for fact in (there, mates):
        if isinstance(fact, model.Unknown):
            return rule.cannot_tell(fact.unknown)
    assert not isinstance(mates, model.Unknown)
    if isinstance(vital, model.Unknown):
        return _unread(device, vital)
    if not isinstance(there, model.PciDevice):
        return rule.clear()
    going = {
        there.address: device.why,
        **{mate.address: f"of its IOMMU group {mate.iommu_group}" for mate in mates},
    }
    hit = [(one, address) for one in vital for address in going if address in one.addresses]
    if not hit:
        return rule.clear()
    named = "; ".join(dict.fromkeys(f"{address} ({going[address]}) carries {one.what}" for one, address in hit))
    return rule.found(
        f"{why}: {named}",
        [model.Evidence(one.source, f"{one.says}, on {address}") for one, address in hit],
        holds=device.holds,
    )


def left(device: taken.Taken, one: model.Vital) -> bool:
    """Whether nothing of the host's uses ``one`` now, and it is on a device that a declared VM takes by address or id alone, no
    mate of its IOMMU group: what a person gives a VM with the disks on it, before the VM's first start and whenever it is off."""
    mates = device.mates()
    if not one.idle or not device.starting or not isinstance(device.there, model.PciDevice):
        return False
    beside = () if isinstance(mates, model.Unknown) else tuple(mate.address for mate in mates)
    return device.there.address in one.addresses and not set(beside) & set(one.addresses)


def _unread(device: taken.Taken, vital: model.Unknown) -> rule.CannotTell:
    """A plan for the VM alone takes the device too, once PVE starts the VM: it waits where the host may use what goes."""
    mates = device.mates()
    going = [device.there, *(() if isinstance(mates, model.Unknown) else mates)]
    waits = device.starting and any(isinstance(one, model.PciDevice) and _carries(one) for one in going)
    return rule.cannot_tell(vital.unknown, unsure=rule.When.ALWAYS if waits else None)


def _carries(device: model.PciDevice) -> bool:
    """Whether the host's storage or network may hang on it, as far as its class and driver tell."""
    bound = isinstance(device.driver, model.Unknown) or device.driver not in view.HOST_DRIVERS_NONE
    return bound and device.class_code.startswith(_CARRY)
