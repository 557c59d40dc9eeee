"""A PCI device is named by its address or by a mapping, never by both; PVE stores both and refuses at start."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="hostpci-host-and-mapping",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Keep one of host and mapping.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    given = guest.hostpci
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    bad = [one for one in given if one.value.addresses and one.value.mapping]
    return _legacy.refused(guest, "Cannot set both 'host' and 'mapping'.", bad, "hostpci") if bad else rule.clear()
