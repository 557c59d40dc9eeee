"""A mediated device is a slice of one function; an address without its function number may stand for several."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="mdev-multifunction",
    scope=rule.Scope.GUEST,
    needs=(
        "qemu-server/N.conf",
        "/sys/bus/pci/devices",
    ),
    who=model.Who.REFUSE,
    remedy="Give the address with its function number, or drop mdev.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    given, pci = guest.hostpci, guest.host.facts.pci
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    slices = [one for one in given if one.value.mdev]
    if not slices:
        return rule.clear()
    if isinstance(pci, model.Unknown):
        return rule.cannot_tell(f"PCI devices: {pci.unknown}")
    bad = [one for one in slices if len(one.functions(pci)) > 1]
    message = "cannot use mediated device with multifunction device"
    return _legacy.refused(guest, message, bad, "hostpci") if bad else rule.clear()
