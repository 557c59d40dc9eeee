"""Legacy IGD mode takes one function: ``00:02`` without a function number is all functions that the device has."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="legacy-igd-multifunction",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf", "/sys/bus/pci/devices"),
    who=model.Who.REFUSE,
    remedy="Name the one function: 00:02.0 rather than 00:02.",
)

_MESSAGE = "legacy IGD assignment is not compatible with multifunction devices"


def judge(guest: view.Guest) -> rule.Verdict:
    given, pci = guest.hostpci, guest.host.facts.pci
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    suspects = [one for one in given if one.value.legacy_igd and one.value.multifunction]
    if not suspects:
        return rule.clear()
    if isinstance(pci, model.Unknown):  # a device with a single function passes without its number
        return rule.cannot_tell(f"PCI devices: {pci.unknown}")
    bad = [one for one in suspects if len(one.functions(pci)) > 1]
    return _legacy.refused(guest, _MESSAGE, bad, "hostpci") if bad else rule.clear()
