"""The device that a VM takes carries a ZFS pool that the host has not imported: the VM's own, or one that the host still wants."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, taken
from transom.diagnose.rules import _vital

RULE = rule.Rule(
    id="device-carries-idle-pool",
    scope=rule.Scope.TAKEN,
    needs=("lsblk", "zpool list", "zpool status", "/etc/pve/storage.cfg", "/sys/class/block"),
    who=model.Who.REPORT,
    remedy="When the pool is the VM's, say so: accept: [device-carries-idle-pool] in the Node document, and never import it on the "
    "host. Otherwise do not give this device away.",
)


def judge(device: taken.Taken) -> rule.Verdict:
    disks = device.host.facts.standing.disks
    if isinstance(disks, model.Unknown):
        return rule.cannot_tell(disks.unknown)
    idle = [one for one in disks if _vital.left(device, one)]
    if not idle or not isinstance(device.there, model.PciDevice):
        return rule.clear()
    return rule.found(
        f"with {device.there.address} ({device.why}) goes " + "; ".join(dict.fromkeys(one.what for one in idle)),
        [model.Evidence(one.source, f"{one.says}, on {device.there.address}") for one in idle],
    )
