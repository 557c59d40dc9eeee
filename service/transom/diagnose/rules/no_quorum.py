"""Without quorum ``/etc/pve`` is read-only, and the rest of the cluster may be changing the same things: nothing is written."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="no-quorum",
    scope=rule.Scope.NODE,
    needs=("PVE API, cluster/status",),
    who=model.Who.REFUSE,
    remedy="Bring the missing nodes back, and look at `pvecm status`; nothing is written to the cluster until then.",
    holds=True,
    safety=True,
)


def judge(host: view.Host) -> rule.Verdict:
    quorate = host.facts.quorate
    if isinstance(host.facts.api, model.Unknown):
        return rule.clear()  # api-unreadable says so, and holds
    if host.facts.lacks:
        return rule.clear()  # right-missing does
    if isinstance(quorate, model.Unknown):
        return rule.cannot_tell(f"quorum: {quorate.unknown}")
    if quorate:
        return rule.clear()
    return rule.found("cluster not ready - no quorum?", [model.Evidence("PVE API, cluster/status", "quorate: 0")])
