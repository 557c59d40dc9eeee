"""A run emptied the node for a reboot, and not everything has come back: guests that do not start, HA still in maintenance."""

from __future__ import annotations

from collections.abc import Iterator

from transom import model
from transom.diagnose import rule, view
from transom.guest import order

RULE = rule.Rule(
    id="guests-not-back",
    scope=rule.Scope.NODE,
    needs=("/var/lib/transom/drained.json",),
    who=model.Who.REPORT,
    remedy="Transom tries it at its next looks, three times. Then start them by hand, as the reasons say; "
    "`rm /var/lib/transom/drained.json` on the node once nothing is owed any more.",
)


def judge(host: view.Host) -> rule.Verdict:
    owed = host.facts.drained
    if isinstance(owed, model.Unknown):
        return rule.cannot_tell(f"/var/lib/transom/drained.json: {owed.unknown}")
    if owed is None:
        return rule.clear()
    evidence = [
        model.Evidence(f"run {owed.run}", one) for one in owed.said or ("was cut off before it gave them back",)
    ]
    return rule.found(f"since the reboot of run {owed.run} still owed: {', '.join(_what(owed))}", evidence)


def _what(owed: model.Drained) -> Iterator[str]:
    if owed.ran:
        yield f"{order.named(owed.ran)} running"
    if owed.moved:
        yield f"{order.named(tuple(owed.moved))} back from {', '.join(sorted(set(owed.moved.values())))}"
    if owed.onboot:
        yield f"onboot of VM {', '.join(map(str, sorted(owed.onboot)))}"
    if owed.services:
        yield f"HA services {', '.join(sorted(owed.services))}"
    if owed.maintenance:
        yield "the end of HA maintenance"
