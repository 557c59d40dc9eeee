"""VT-d is on, but the kernel did not enable the IOMMU.

A parameter that a document wants and the running kernel was not given is plain drift and none of this rule's business.
"""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.host import kernel_args

RULE = rule.Rule(
    id="iommu-kernel-off",
    scope=rule.Scope.NODE,
    needs=("/sys/firmware/acpi/tables/DMAR", "/sys/kernel/iommu_groups", "/proc/cmdline", "uname -r"),
    who=model.Who.REBOOT,
    remedy="{remedy}",
)


def judge(host: view.Host) -> rule.Verdict:
    dmar, pci, running = host.facts.hardware.dmar, host.facts.pci, host.facts.boot.cmdline
    if not host.gives_devices or dmar is False:
        return rule.clear()
    if isinstance(pci, model.Unknown):
        return rule.cannot_tell(pci.unknown)
    if any(dev.iommu_group is not None for dev in pci):
        return rule.clear()
    if isinstance(dmar, model.Unknown):
        return rule.cannot_tell(dmar.unknown)
    if isinstance(running, model.Unknown):
        return rule.cannot_tell(running.unknown)
    on = [token for token in host.wanted("kernel_cmdline") if kernel_args.key(token) == "intel_iommu"]
    if "on" in kernel_args.standing("intel_iommu", kernel_args.for_kernel(running)):
        return _found(
            host,
            "intel_iommu=on",
            "The kernel was told and did not: look for DMAR lines in `dmesg`; update the firmware.",
        )
    if on:
        return rule.clear()
    given = host.kernel_arg("intel_iommu")
    remedy = "Want intel_iommu=on in the Node document (spec.host.kernel_cmdline) and let the node reboot."
    return _found(host, f"intel_iommu={given}" if given else "no intel_iommu", remedy)


def _found(host: view.Host, cmdline: str, remedy: str) -> rule.Verdict:
    return rule.found(
        "VT-d is on, but the kernel has no IOMMU groups",
        [
            model.Evidence("/proc/cmdline", cmdline),
            model.Evidence("/sys/kernel/iommu_groups", "empty"),
            model.Evidence("uname -r", str(host.facts.boot.kernel)),
        ],
        remedy=remedy,
    )
