"""A vIOMMU's address width that PVE refuses at the write (qemu-server, ``assert_valid_machine_property``)."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="viommu-width",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Leave aw-bits out of machine, or give it a vIOMMU that takes it: viommu=intel with 39 or 48.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    parts = dict(part.partition("=")[::2] for part in config.get("machine", "").split(","))
    if "aw-bits" not in parts:
        return rule.clear()
    if "viommu" not in parts:
        said = "cannot set aw-bits if no vIOMMU is configured"
    elif parts["viommu"] == "intel" and parts["aw-bits"] not in ("39", "48"):
        said = "Intel vIOMMU supports only 39 or 48 bits as address width"
    else:
        return rule.clear()
    return rule.found(f"PVE refuses `{said}`", [guest.evidence("machine")], holds=guest.names("machine"))
