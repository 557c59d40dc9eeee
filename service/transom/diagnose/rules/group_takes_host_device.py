"""PVE binds the whole IOMMU group at VM start, without asking: a storage, network or USB controller in it goes from the host."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, taken
from transom.diagnose.rules import _mates

RULE = rule.Rule(
    id="group-takes-host-device",
    scope=rule.Scope.TAKEN,
    needs=("/sys/bus/pci/devices", "iommu_group of every device"),
    who=model.Who.REFUSE,
    remedy="Put the card in another slot, so that it has a group of its own; do not give this device away as it is.",
    holds=True,
    safety=True,
)


def judge(device: taken.Taken) -> rule.Verdict:
    mates = _mates.in_use(device)
    if isinstance(mates, model.Unknown):
        return rule.cannot_tell(mates.unknown)
    lost = [mate for mate in mates if _mates.vital(mate)]
    if not lost:
        return rule.clear()
    names = ", ".join(f"{mate.address} ({mate.driver})" for mate in lost)
    return rule.found(
        f"starting the VM would take {names} from the host: same IOMMU group {lost[0].iommu_group}",
        [_mates.evidence(mate) for mate in lost],
        holds=device.holds,
    )
