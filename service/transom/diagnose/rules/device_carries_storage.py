"""The device, or one of its IOMMU group, carries a file system, swap, pool, volume group or array of the host."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, taken
from transom.diagnose.rules import _vital

RULE = rule.Rule(
    id="device-carries-storage",
    scope=rule.Scope.TAKEN,
    needs=("lsblk", "/sys/class/block", "/sys/bus/pci/devices"),
    who=model.Who.REFUSE,
    remedy="Do not give this device away, or move what the host has on it elsewhere first.",
    holds=True,
    safety=True,
    unsure=rule.When.HOST,
)


def judge(device: taken.Taken) -> rule.Verdict:
    disks = device.host.facts.standing.disks
    used = disks if isinstance(disks, model.Unknown) else tuple(one for one in disks if not _vital.left(device, one))
    return _vital.judge(device, used, "the host's own storage would go")
