"""Which PCI function a document means: by identity first, the address only narrows it. Buses are renumbered; ids are not."""

from __future__ import annotations

from transom import model
from transom.diagnose import view
from transom.plan import draft
from transom.spec import wish


def resolve(device: wish.DeviceWish, node: wish.NodeWish, facts: model.Facts) -> str | model.Finding:
    """The address (with domain) of the one function that matches, or the finding that says why there is none."""
    matching = view.Device(view.Host(facts, node), device).matching()
    if isinstance(matching, model.Unknown):
        return draft.cannot_read("/sys/bus/pci/devices", matching.unknown)
    if len(matching) == 1:
        return matching[0].address
    if matching:
        return _finding(
            "device-ambiguous",
            device,
            f"{len(matching)} devices are {device.id}: {', '.join(dev.address for dev in matching)}",
            "Give the device's address or subsystem in the Node document.",
            matching,
        )
    there = facts.device(device.address)
    others = (there,) if isinstance(there, model.PciDevice) else ()
    return _finding(
        "igpu-hidden" if device.address.endswith("00:02.0") or not device.address else "device-missing",
        device,
        f"no PCI device is {device.id}" + (f" with subsystem {device.subsystem}" if device.subsystem else ""),
        "Check the BIOS: multi-monitor on, primary display onboard. Then the id, with lspci -nn.",
        others,
    )


def _finding(
    id: str, device: wish.DeviceWish, summary: str, remedy: str, seen: tuple[model.PciDevice, ...]
) -> model.Finding:
    evidence = tuple(
        model.Evidence(f"/sys/bus/pci/devices/{dev.address}", f"{dev.id} {dev.subsystem}".strip()) for dev in seen
    )
    return model.Finding(
        id=id,
        subject=f"device {device.name}",
        summary=summary,
        remedy=remedy,
        who=model.Who.BIOS if id == "igpu-hidden" else model.Who.REPORT,
        evidence=evidence or (model.Evidence("/sys/bus/pci/devices", "not listed"),),
        holds=True,
    )
