"""One VM is given the same PCI function twice."""

from __future__ import annotations

import collections

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="device-twice",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf", "/sys/bus/pci/devices"),
    who=model.Who.REFUSE,
    remedy="Take one of {keys} away.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    given, pci = guest.hostpci, guest.host.facts.pci
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    if len(given) < 2:
        return rule.clear()
    if isinstance(pci, model.Unknown):
        return rule.cannot_tell(f"PCI devices: {pci.unknown}")
    # Mediated devices share their parent.
    counted = collections.Counter(address for one in given if not one.value.mdev for address in one.functions(pci))
    twice = [address for address, count in counted.items() if count > 1]
    if not twice:
        return rule.clear()
    both = [one for one in given if twice[0] in one.functions(pci)]
    return rule.found(
        f"VM start fails with `device '{twice[0]}' assigned more than once`",
        [guest.evidence(one.key) for one in both],
        holds=guest.names("hostpci"),
        keys=", ".join(one.key for one in both),
    )
