"""The wanted iGPU is not among the PCI devices: the firmware hides it when a card is the primary display."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="igpu-hidden",
    scope=rule.Scope.DEVICE,
    needs=("/sys/bus/pci/devices",),
    who=model.Who.BIOS,
    remedy="Set IGD Multi-Monitor (internal graphics) to Enabled in the firmware; check the document's id against `lspci -nn`.",
    holds=True,
)


def judge(device: view.Device) -> rule.Verdict:
    fits = device.matching()
    if isinstance(fits, model.Unknown):
        return rule.cannot_tell(fits.unknown)
    may_be_igpu = device.wish.id.startswith("8086:") and device.wish.address in ("", "0000:00:02.0")
    if fits or not may_be_igpu:
        return rule.clear()
    there = device.host.facts.device("0000:00:02.0")
    if isinstance(there, model.PciDevice):
        return rule.found(
            f"no PCI device is {device.wish.id}; at 0000:00:02.0 is {there.id}",
            [model.Evidence("/sys/bus/pci/devices/0000:00:02.0", there.id)],
        )
    return rule.found(
        f"no PCI device is {device.wish.id}: VM start fails with `no PCI device found for '0000:00:02.0'`",
        [model.Evidence("/sys/bus/pci/devices", "no device at 0000:00:02.0")],
    )
