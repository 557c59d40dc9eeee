"""A ``hostpciN`` names a resource mapping that has no entry for the node: PVE takes the value and refuses at start."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy, _mapped

RULE = rule.Rule(
    id="mapping-not-here",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf", "PCI mappings"),
    who=model.Who.REFUSE,
    remedy="Give the mapping an entry for this node, or name it at a device of the Node document.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    named = _mapped.by_others(guest)
    if isinstance(named, rule.CannotTell):
        return named
    hidden = [one.given.value.mapping for one in named if not one.mapping]
    bad = [one.given for one in named if one.mapping and not one.here]
    if bad:
        return _legacy.refused(guest, f"PCI device mapping not found for '{bad[0].value.mapping}'", bad[:1], "hostpci")
    # A mapping that the API user may not see looks like none.
    return (
        rule.cannot_tell(f"mapping {hidden[0]} is not there, or not shown to the API user") if hidden else rule.clear()
    )
