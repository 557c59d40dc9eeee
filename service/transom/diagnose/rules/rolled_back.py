"""The node went back by itself after a reboot that nobody confirmed: the same change is not tried again unasked."""

from __future__ import annotations

import datetime

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="rolled-back",
    scope=rule.Scope.NODE,
    needs=("/var/lib/transom/rollback",),
    who=model.Who.REPORT,
    remedy="`transom run logs {run}` shows how that boot went. Find the cause, then `transom resume {node}`.",
    holds=True,
)


def judge(host: view.Host) -> rule.Verdict:
    keeping = host.facts.keeping
    if isinstance(keeping, model.Unknown):
        return rule.cannot_tell(keeping.unknown)
    gone = keeping.rolled_back
    if gone is None:
        return rule.clear()
    when = datetime.datetime.fromtimestamp(gone.at, tz=datetime.UTC)
    evidence = [model.Evidence("/var/lib/transom/rollback/rolled-back", f"{when:%Y-%m-%d %H:%M:%S} UTC: {gone.reason}")]
    evidence += [model.Evidence("/var/lib/transom/rollback/rolled-back", one) for one in gone.problems]
    evidence += [model.Evidence("journal of the boot that failed", line) for line in gone.log]
    return rule.found(
        f"the node went back by itself from run {gone.run}: {gone.reason}", evidence, run=gone.run, node=host.wish.name
    )
