"""A UEFI VM without an EFI disk starts each time with empty variables: boot entries and Secure Boot keys are lost."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="ovmf-without-efidisk",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REPORT,
    remedy="Give the VM an efidisk0.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    if config.get("bios", "") != "ovmf" or "efidisk0" in config:
        return rule.clear()
    return rule.found(
        "VM start warns `no efidisk configured! Using temporary efivars disk.`", [guest.evidence("bios")], holds=False
    )
