"""The package system is at work or stopped half-way: initramfs and boot configuration may be half an upgrade's."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="dpkg-unfinished",
    scope=rule.Scope.NODE,
    needs=("/var/lib/dpkg",),
    who=model.Who.REPORT,
    remedy="Wait for the upgrade that runs, or finish one that was broken off: `dpkg --configure -a`, then `apt -f install`.",
    holds=True,
    safety=True,
    when=rule.When.HOST,
)


def judge(host: view.Host) -> rule.Verdict:
    unfinished = host.facts.standing.dpkg
    if isinstance(unfinished, model.Unknown):
        return rule.cannot_tell(f"dpkg: {unfinished.unknown}")
    if not unfinished:
        return rule.clear()
    return rule.found(
        f"the package system is not at rest: {', '.join(unfinished)}",
        [model.Evidence("/var/lib/dpkg", one) for one in unfinished],
    )
