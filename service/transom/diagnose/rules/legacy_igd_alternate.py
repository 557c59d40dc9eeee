"""Legacy IGD mode with a mapping that leaves PVE the choice between several devices of the node."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="legacy-igd-alternate",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf", "PCI mappings"),
    who=model.Who.REFUSE,
    remedy="Give the iGPU a mapping of its own, with one entry for the node.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    given, maps = guest.hostpci, guest.host.facts.mappings
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    mapped = [one for one in given if one.value.legacy_igd and one.value.mapping]
    if mapped and isinstance(maps, model.Unknown):
        return rule.cannot_tell(f"PCI mappings: {maps.unknown}")
    known = {} if isinstance(maps, model.Unknown) else maps
    bad = [one for one in mapped if _choices(guest.host, known.get(one.value.mapping)) > 1]
    text = "legacy IGD assignment is not compatible with alternate devices"
    return _legacy.refused(guest, text, bad, "hostpci") if bad else rule.clear()


def _choices(host: view.Host, mapping: model.PciMapping | None) -> int:
    return len(view.entries(host, mapping)) if mapping else 0
