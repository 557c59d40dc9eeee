"""The node waits for the confirmation of a change, or goes back by itself: nothing else is begun there."""

from __future__ import annotations

import datetime

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _armed

RULE = rule.Rule(
    id="unconfirmed",
    scope=rule.Scope.NODE,
    needs=("/var/lib/transom/rollback", "/proc/sys/kernel/random/boot_id"),
    who=model.Who.REPORT,
    remedy="The next look by the one that began it confirms it (`transom apply` without a daemon); else the node goes back.",
    holds=True,
)


def judge(host: view.Host) -> rule.Verdict:
    found = _armed.standing(host)
    if not isinstance(found, _armed.Standing):
        return found
    if found.here:
        return rule.clear()
    armed, boot = found.mark, host.facts.boot
    says = f"run {armed.run}, {armed.within} s"
    if not isinstance(boot.time_ns, model.Unknown):
        until = datetime.datetime.fromtimestamp(boot.time_ns / 1e9 + armed.within, tz=datetime.UTC)
        says += f", until {until:%H:%M:%S} UTC by the node's clock"
    return rule.found(
        f"the boot after run {armed.run} is not confirmed yet",
        [model.Evidence("/var/lib/transom/rollback/armed", says)],
    )
