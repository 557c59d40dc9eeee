"""The configuration gives an address at which this node has no device: PVE looks for it at VM start only."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="pci-missing",
    scope=rule.Scope.GUEST,
    needs=(
        "qemu-server/N.conf",
        "/sys/bus/pci/devices",
    ),
    who=model.Who.REFUSE,
    remedy="Name the device by its id in a document, so that it is found again after hardware moves, or correct {key}.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    given, pci = guest.hostpci, guest.host.facts.pci
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    if not any(one.value.addresses for one in given):
        return rule.clear()
    if isinstance(pci, model.Unknown):
        return rule.cannot_tell(f"PCI devices: {pci.unknown}")
    there = {dev.address for dev in pci}
    missing = [(one, address) for one in given for address in one.functions(pci) if address not in there]
    if not missing:
        return rule.clear()
    first, address = missing[0]
    return rule.found(
        f"VM start fails with `no PCI device found for '{address}'`",
        [guest.evidence(one.key) for one, _ in missing],
        holds=guest.names("hostpci"),
        key=first.key,
    )
