"""An HA service is active on a node that is to be rebooted and is not in maintenance: HA would take it for a failure and fence."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="ha-service-active",
    scope=rule.Scope.NODE,
    needs=("/etc/pve/ha/manager_status",),
    who=model.Who.REFUSE,
    remedy="Put the node into maintenance first (`ha-manager crm-command node-maintenance enable {node}`) and wait until the "
    "services have moved.",
    holds=True,
    safety=True,
    when=rule.When.REBOOT,
)


def judge(host: view.Host) -> rule.Verdict:
    active = host.facts.standing.ha
    if isinstance(active, model.Unknown):
        return rule.cannot_tell(f"HA: {active.unknown}")
    if not active:
        return rule.clear()
    return rule.found(
        f"HA services are active here, and the node is not in maintenance: {', '.join(active)}",
        [model.Evidence("/etc/pve/ha/manager_status", one) for one in active],
        node=host.wish.pve_node,
    )
