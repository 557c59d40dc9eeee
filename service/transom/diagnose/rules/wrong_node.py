"""SSH leads to another node than the document's: files would be written there, and another machine rebooted."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="wrong-node",
    scope=rule.Scope.NODE,
    needs=("/etc/pve/local", "uname -n"),
    who=model.Who.REFUSE,
    remedy="Put the address and host key of {wanted} into its Node document, or its name in PVE (spec.pve_node) right.",
    holds=True,
    safety=True,
)


def judge(host: view.Host) -> rule.Verdict:
    identity, wanted = host.facts.identity, host.wish.pve_node
    if isinstance(identity, model.Unknown):
        return rule.cannot_tell(f"which node answers at {host.wish.access.ssh_host}: {identity.unknown}")
    if identity in ("", wanted):
        return rule.clear()
    return rule.found(
        f"the host at {host.wish.access.ssh_host} is node {identity}, not {wanted}",
        [model.Evidence("/etc/pve/local", identity)],
        wanted=wanted,
    )
