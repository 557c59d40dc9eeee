"""Another function of the IOMMU group has a host driver: PVE unbinds it at VM start, or QEMU says that the group is not viable."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, taken
from transom.diagnose.rules import _mates

RULE = rule.Rule(
    id="group-not-viable",
    scope=rule.Scope.TAKEN,
    needs=("/sys/bus/pci/devices", "iommu_group of every device"),
    who=model.Who.REPORT,
    remedy="Expect the host to lose {mates} while the VM runs; another slot, or ACS override as the last resort, splits the group.",
)


def judge(device: taken.Taken) -> rule.Verdict:
    mates = _mates.in_use(device)
    if isinstance(mates, model.Unknown):
        return rule.cannot_tell(mates.unknown)
    others = [mate for mate in mates if not _mates.vital(mate)]
    if not others:
        return rule.clear()
    names = ", ".join(f"{mate.address} ({mate.driver})" for mate in others)
    return rule.found(
        f"IOMMU group {others[0].iommu_group} also holds {names}; QEMU may say `group {others[0].iommu_group} is not viable`",
        [_mates.evidence(mate) for mate in others],
        mates=names,
    )
