"""Intel's vIOMMU is a part of the q35 machine."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="viommu-needs-q35",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Use a q35 machine, or virtio as vIOMMU.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    machine = config.get("machine", "")
    if "viommu=intel" not in machine.split(",") or view.is_q35(machine):
        return rule.clear()
    return rule.found(
        "VM start fails with `to use Intel vIOMMU please set the machine type to q35`",
        [guest.evidence("machine")],
        holds=guest.names("machine"),
    )
