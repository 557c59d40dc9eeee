"""A ``hostpciN`` names a resource mapping that has no entry for the node: PVE takes the value and refuses at start."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="mapping-not-here",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf", "PCI mappings"),
    who=model.Who.REFUSE,
    remedy="Give the mapping an entry for this node, or name it at a device of the Node document.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    given, maps = guest.hostpci, guest.host.facts.mappings
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    made = {device.mapping for device in guest.host.wish.devices.values()}
    named = [one for one in given if one.value.mapping and one.value.mapping not in made]
    if not named:
        return rule.clear()
    if isinstance(maps, model.Unknown):
        return rule.cannot_tell(f"PCI mappings: {maps.unknown}")
    hidden = [one.value.mapping for one in named if one.value.mapping not in maps]
    bad = [one for one in named if one.value.mapping in maps and not view.entries(guest.host, maps[one.value.mapping])]
    if bad:
        return _legacy.refused(guest, f"PCI device mapping not found for '{bad[0].value.mapping}'", bad[:1], "hostpci")
    # A mapping that the API user may not see looks like none.
    return (
        rule.cannot_tell(f"mapping {hidden[0]} is not there, or not shown to the API user") if hidden else rule.clear()
    )
