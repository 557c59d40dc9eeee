"""A backup, migration or replication runs on the node: changing what it works on, or a reboot, would break it."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="job-running",
    scope=rule.Scope.NODE,
    needs=("/var/log/pve/tasks/active", "/var/lib/pve-manager/pve-replication-state.json"),
    who=model.Who.REPORT,
    remedy="Wait until it has ended; the plan is free then.",
    holds=True,
    safety=True,
    when=rule.When.HOST,
)


def judge(host: view.Host) -> rule.Verdict:
    jobs = host.facts.standing.jobs
    if isinstance(jobs, model.Unknown):
        return rule.cannot_tell(f"tasks: {jobs.unknown}")
    if not jobs:
        return rule.clear()
    named = ", ".join(one.partition(",")[0] for one in jobs)
    return rule.found(f"running now: {named}", [model.Evidence("/var/log/pve/tasks/active", one) for one in jobs])
