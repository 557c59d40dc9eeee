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
    functions = {one.key: () if one.value.mdev else view.mapped(one, guest.host) for one in given}
    known = {key: addresses for key, addresses in functions.items() if not isinstance(addresses, model.Unknown)}
    counted = collections.Counter(address for addresses in known.values() for address in addresses)
    twice = [address for address, count in counted.items() if count > 1]
    if not twice:
        unknown = [addresses.unknown for addresses in functions.values() if isinstance(addresses, model.Unknown)]
        return rule.cannot_tell(unknown[0]) if unknown else rule.clear()
    both = [one for one in given if twice[0] in known.get(one.key, ())]
    return rule.found(
        f"VM start fails with `device '{twice[0]}' assigned more than once`",
        [guest.evidence(one.key) for one in both],
        holds=guest.names("hostpci"),
        keys=", ".join(one.key for one in both),
    )
