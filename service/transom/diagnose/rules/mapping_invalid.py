"""A ``hostpciN`` names a resource mapping that does not fit the node's hardware any more: PVE takes the value and refuses at start.

Of the mappings that a Node's devices name, the plan puts the entry right, and tells what PVE still finds wrong.
"""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="mapping-invalid",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf", "PCI mappings"),
    who=model.Who.REFUSE,
    remedy="Correct the mapping (Datacenter, Resource Mappings), or name it at a device of the Node: the plan then keeps it right.",
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
    wrong = [(one, maps[one.value.mapping]) for one in named if one.value.mapping in maps]
    bad = [(one, there.checks[0]) for one, there in wrong if there.checks and view.entries(guest.host, there)]
    if not bad:
        return rule.clear()
    one, says = bad[0]
    said = says.removeprefix("Invalid configuration: ")
    return _legacy.refused(guest, f"PCI device mapping invalid (hardware probably changed): {said}", [one], "hostpci")
