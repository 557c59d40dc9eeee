"""``vfio-pci ids=`` takes every device with the id: a twin that no document wants given away, a second NVMe or NIC, goes too."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, taken, view

RULE = rule.Rule(
    id="twin-device-id",
    scope=rule.Scope.NODE,
    needs=("/sys/bus/pci/devices",),
    who=model.Who.REFUSE,
    remedy="Give the device's address in the Node document, so that it is bound by that, and take the id out of "
    "the Node's vfio_ids; or declare the twin if it is to be given away too.",
    holds=True,
    safety=True,
)


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
    guilty = [one for one in ids if any(taken.matches(one, dev) for dev in twins)]
    return rule.found(
        f"binding {', '.join(guilty)} to vfio-pci would also take {', '.join(dev.address for dev in twins)}",
        [
            model.Evidence(
                f"/sys/bus/pci/devices/{dev.address}",
                f"{dev.id} class {dev.class_code} driver {dev.driver_name or 'none'}",
            )
            for dev in twins
        ],
    )


def _wanted(host: view.Host) -> frozenset[str]:
    declared = (view.Device(host, device) for device in host.wish.devices.values())
    present = (device.present() for device in (*declared, *host.devices))
    return frozenset(device.address for device in present if isinstance(device, model.PciDevice))
