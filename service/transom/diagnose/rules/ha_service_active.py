"""An HA service is active on a node that is to be rebooted and is not in maintenance: HA would take it for a failure and fence.

Where PVE has a maintenance mode (7.3 on) the plan puts the node into it and waits until the services have left; the moment of the
reboot is judged again. A node that a person has to reboot, a person has to put into maintenance too.
"""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.host import versions

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
    leaving = host.facts.here is False and _has_mode(host.facts)
    then = "; the plan has them leave first" if leaving else ""
    return rule.found(
        f"HA services are active here, and the node is not in maintenance: {', '.join(active)}{then}",
        [model.Evidence("/etc/pve/ha/manager_status", one) for one in active],
        holds=False if leaving else None,
        node=host.wish.pve_node,
    )


def _has_mode(facts: model.Facts) -> bool:
    packages = {} if isinstance(facts.packages, model.Unknown) else facts.packages
    return versions.matches(packages.get("pve-manager", "0"), ">=7.3")
