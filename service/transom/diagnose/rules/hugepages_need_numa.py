"""Huge pages are laid out by NUMA node, so the VM needs one."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="hugepages-need-numa",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Set numa: 1, or drop hugepages.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    if "hugepages" not in config or config.get("numa", "0") == "1":
        return rule.clear()
    return rule.found(
        "VM start fails with `numa needs to be enabled to use hugepages`",
        [guest.evidence("hugepages"), guest.evidence("numa")],
        holds=guest.names("hugepages", "numa"),
    )
