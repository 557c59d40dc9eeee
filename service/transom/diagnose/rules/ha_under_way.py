"""HA is moving, recovering or fencing the VM, or has given it up: what is written or restarted now would meet it half-way."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

# pve-ha-manager, PVE::HA::Manager: the states in which it acts by itself or waits for a person; in the others it rests.
_UNDER_WAY = frozenset(
    {"error", "fence", "freeze", "migrate", "queued", "recovery", "relocate"}
    | {"request_start", "request_start_balance", "request_stop"}
)

RULE = rule.Rule(
    id="ha-under-way",
    scope=rule.Scope.GUEST,
    needs=("PVE API, cluster/resources",),
    who=model.Who.REPORT,
    remedy="{remedy}",
    holds=True,
    whole=rule.When.REBOOT,
)


def judge(guest: view.Guest) -> rule.Verdict:
    ha = guest.host.facts.ha
    if guest.vmid is None:
        return rule.clear()
    if isinstance(ha, model.Unknown):
        return rule.cannot_tell(ha.unknown)
    state = ha.get(guest.vmid, "")
    if state not in _UNDER_WAY:
        return rule.clear()
    waits = "Wait until HA has come to rest (`ha-manager status`)."
    clears = (
        f"HA has given it up: find out why, then `ha-manager set vm:{guest.vmid} --state disabled` and started again."
    )
    return rule.found(
        f"HA is at work on the VM ({state})",
        [model.Evidence("PVE API, cluster/resources", f"hastate: {state}")],
        remedy=clears if state == "error" else waits,
    )
