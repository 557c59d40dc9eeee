"""The node has been armed for a reboot that has not come: whoever reboots it for another reason has to know."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="armed",
    scope=rule.Scope.NODE,
    needs=("/var/lib/transom/rollback", "/proc/sys/kernel/random/boot_id"),
    who=model.Who.REPORT,
    remedy="Reboot it with `transom apply`, or `transom undo {run}`. Rebooted by hand, it waits to be confirmed (`transom apply`).",
)


def judge(host: view.Host) -> rule.Verdict:
    keeping, boot = host.facts.keeping, host.facts.boot
    if isinstance(keeping, model.Unknown):
        return rule.cannot_tell(keeping.unknown)
    if keeping.armed is None:
        return rule.clear()
    if isinstance(boot.boot_id, model.Unknown):
        return rule.cannot_tell(boot.boot_id.unknown)
    armed = keeping.armed
    if armed.boot_id != boot.boot_id:
        return rule.clear()
    return rule.found(
        f"run {armed.run} has not come to its reboot: the next boot goes back by itself unless it is confirmed",
        [model.Evidence("/var/lib/transom/rollback/armed", f"run {armed.run}, {armed.within} s after the next start")],
        run=armed.run,
    )
