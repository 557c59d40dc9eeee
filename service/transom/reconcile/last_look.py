"""What speaks against a reboot in the moment of the reboot: the rules that guard the host, judged on what is there now."""

from __future__ import annotations

from transom import model
from transom.diagnose import registry, rule
from transom.diagnose.rules import boot_full, ha_service_active
from transom.spec import wish

_DOING = frozenset({rule.When.REBOOT, rule.When.BOOT, rule.When.HOST})
_BEFORE_WRITING = frozenset({boot_full.RULE.id})
"""By then everything is built."""


def against(facts: model.Facts, node: wish.NodeWish, *, emptied: bool) -> tuple[model.Finding, ...]:
    """Findings that hold. Once the node should be ``emptied``, HA at work holds too, which a plan only has leave the node."""
    found = registry.guards(facts, node, _DOING)
    holding = (one for one in found if one.holds or (emptied and one.id == ha_service_active.RULE.id))
    return tuple(one for one in holding if one.id not in _BEFORE_WRITING)
