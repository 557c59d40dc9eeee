"""The device, or one of its IOMMU group, is the network interface towards Transom or one of corosync's."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, taken
from transom.diagnose.rules import _vital

RULE = rule.Rule(
    id="device-carries-network",
    scope=rule.Scope.TAKEN,
    needs=("ip route get", "/sys/class/net", "/etc/pve/corosync.conf"),
    who=model.Who.REFUSE,
    remedy="Do not give this device away, or reach the host and its cluster over another interface first.",
    holds=True,
    safety=True,
    unsure=rule.When.HOST,
)


def judge(device: taken.Taken) -> rule.Verdict:
    return _vital.judge(device, device.host.facts.standing.links, "the host would not be reached any more")
