"""``vfio-pci ids=`` takes every device with the id: a twin that no document wants given away, a second NVMe or NIC, goes too."""

from __future__ import annotations

from collections.abc import Iterable

from transom import model
from transom.diagnose import rule, taken, view
from transom.host import devices

RULE = rule.Rule(
    id="twin-device-id",
    scope=rule.Scope.NODE,
    needs=("/sys/bus/pci/devices",),
    who=model.Who.REFUSE,
    remedy="{remedy}",
    holds=True,
    safety=True,
)
_TWIN = (
    "Give the device's address in the Node document, so that it is bound by that, and take the id out of "
    "the Node's vfio_ids; or declare the twin if it is to be given away too."
)
_ALONE = "If it is to be given away, put it under devices of the Node document; otherwise take the id out of {where}."


def judge(host: view.Host) -> rule.Verdict:
    pci = host.facts.pci
    ids = taken.ids(host)
    if not ids:
        return rule.clear()
    if isinstance(pci, model.Unknown):
        return rule.cannot_tell(f"PCI devices: {pci.unknown}")
    wanted = _wanted(host)
    twins = [dev for dev in pci if dev.address not in wanted and any(taken.matches(one, dev) for one in ids)]
    if not twins:
        return rule.clear()
    guilty = {one: why for one, why in ids.items() if any(taken.matches(one, dev) for dev in twins)}
    to = "pci-stub" if all("stub" in why for why in guilty.values()) else "vfio-pci"
    named = ", ".join(dev.address for dev in twins)
    if _meant(host, pci, guilty):
        summary, remedy = f"binding {', '.join(guilty)} to {to} would also take {named}", _TWIN
    else:
        summary = f"binding {', '.join(guilty)} to {to} would take {named}, which no document declares"
        remedy = _ALONE.format(where=", ".join(dict.fromkeys(guilty.values())))
    return rule.found(
        summary,
        [
            model.Evidence(
                f"/sys/bus/pci/devices/{dev.address}",
                f"{dev.id} class {dev.class_code} driver {dev.driver_name or 'none'}",
            )
            for dev in twins
        ],
        remedy=remedy,
    )


def _meant(host: view.Host, pci: tuple[model.PciDevice, ...], guilty: Iterable[str]) -> bool:
    """Whether a document declares a device that one of these ids takes, be it clear which one it is or not."""
    declared = (*(view.Device(host, device) for device in host.wish.devices.values()), *host.devices)
    return any(
        taken.matches(one, dev) for device in declared for dev in devices.matching(device.wish, pci) for one in guilty
    )


def _wanted(host: view.Host) -> frozenset[str]:
    declared = (view.Device(host, device) for device in host.wish.devices.values())
    present = (device.present() for device in (*declared, *host.devices))
    return frozenset(device.address for device in present if isinstance(device, model.PciDevice))
