"""The node has been armed for a reboot that has not come: whoever reboots it for another reason has to know."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _armed

RULE = rule.Rule(
    id="armed",
    scope=rule.Scope.NODE,
    needs=("/var/lib/transom/rollback", "/proc/sys/kernel/random/boot_id"),
    who=model.Who.REPORT,
    remedy="Reboot it with `transom apply`, or `transom undo {run}`. Rebooted by hand, it waits to be confirmed (`transom apply`).",
)


def judge(host: view.Host) -> rule.Verdict:
    found = _armed.standing(host)
    if not isinstance(found, _armed.Standing):
        return found
    if not found.here:
        return rule.clear()
    armed = found.mark
    return rule.found(
        f"run {armed.run} has not come to its reboot: the next boot goes back by itself unless it is confirmed",
        [model.Evidence("/var/lib/transom/rollback/armed", f"run {armed.run}, {armed.within} s after the next start")],
        run=armed.run,
    )
