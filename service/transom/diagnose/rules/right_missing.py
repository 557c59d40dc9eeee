"""The API user may not see what every plan rests on: whether the cluster is quorate. A node that is alone needs no such right."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="right-missing",
    scope=rule.Scope.NODE,
    needs=("PVE API, cluster/status",),
    who=model.Who.REPORT,
    remedy="Grant it: `transom mint` prints the commands; `transom node check` tells every right that is missing.",
    holds=True,
)


def judge(host: view.Host) -> rule.Verdict:
    quorate = host.facts.quorate
    if not isinstance(quorate, model.Unknown) or isinstance(host.facts.api, model.Unknown):
        return rule.clear()
    if not host.facts.lacks:
        return rule.cannot_tell(f"quorum: {quorate.unknown}")  # no-quorum holds for it
    return rule.found(
        f"Transom's API user lacks {', '.join(host.facts.lacks)}, and so cannot see whether the cluster is quorate",
        [model.Evidence("PVE API, cluster/status", quorate.unknown)],
    )
