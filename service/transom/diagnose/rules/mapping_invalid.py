"""A ``hostpciN`` names a resource mapping that does not fit the node's hardware any more: PVE takes the value and refuses at start.

Of the mappings that a Node's devices name, the plan puts the entry right, and tells what PVE still finds wrong.
"""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy, _mapped

RULE = rule.Rule(
    id="mapping-invalid",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf", "PCI mappings"),
    who=model.Who.REFUSE,
    remedy="Correct the mapping (Datacenter, Resource Mappings), or name it at a device of the Node: the plan then keeps it right.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    named = _mapped.by_others(guest)
    if isinstance(named, rule.CannotTell):
        return named
    bad = [(one.given, one.mapping.checks[0]) for one in named if one.here and one.mapping and one.mapping.checks]
    if not bad:
        return rule.clear()
    given, says = bad[0]
    said = says.removeprefix("Invalid configuration: ")
    return _legacy.refused(guest, f"PCI device mapping invalid (hardware probably changed): {said}", [given], "hostpci")
