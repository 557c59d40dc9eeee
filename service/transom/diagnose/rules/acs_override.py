"""``pcie_acs_override`` splits IOMMU groups on paper only: devices that share a path can still reach each other's memory."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="acs-override",
    scope=rule.Scope.NODE,
    needs=("/proc/cmdline",),
    who=model.Who.REPORT,
    remedy="Drop pcie_acs_override where the device has a group of its own without it, as an iGPU at 00:02.0 has.",
)


def judge(host: view.Host) -> rule.Verdict:
    value = host.kernel_arg("pcie_acs_override")
    if isinstance(value, model.Unknown):
        return rule.cannot_tell(value.unknown)
    if value is None:
        return rule.clear()
    return rule.found(
        "isolation between PCI devices is not real: pcie_acs_override is in effect",
        [model.Evidence("/proc/cmdline", f"pcie_acs_override={value}" if value else "pcie_acs_override")],
    )
