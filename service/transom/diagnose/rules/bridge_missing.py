"""A network card is to be plugged into a bridge that the node does not have: PVE finds out when QEMU runs its script."""

from __future__ import annotations

from collections.abc import Mapping

from transom import model
from transom.diagnose import rule, view
from transom.guest import registry

RULE = rule.Rule(
    id="bridge-missing",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf", "/sys/class/net"),
    who=model.Who.REFUSE,
    remedy="Make {bridge} on this node, or name one that is there.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config, there = guest.config, guest.host.facts.interfaces
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    named = _named(config)
    if not named:
        return rule.clear()
    if isinstance(there, model.Unknown):
        return rule.cannot_tell(f"network interfaces: {there.unknown}")
    missing = [key for key, bridge in named.items() if bridge not in there]
    if not missing:
        return rule.clear()
    bridge = named[missing[0]]
    return rule.found(
        f"VM start fails with `bridge '{bridge}' does not exist`",
        [guest.evidence(key) for key in missing],
        holds=guest.names(*missing),
        bridge=bridge,
    )


def _named(config: Mapping[str, str]) -> dict[str, str]:
    """Card → bridge."""
    cards = {key: value for key, value in sorted(config.items()) if registry.field_for(key).name == "net"}
    parts = ((key, part) for key, value in cards.items() for part in value.split(","))
    return {key: part.removeprefix("bridge=") for key, part in parts if part.startswith("bridge=")}
