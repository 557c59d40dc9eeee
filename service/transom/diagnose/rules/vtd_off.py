"""VT-d is off in the firmware: without an ACPI DMAR table the kernel has no IOMMU, and PVE starts no VM with a PCI device."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="vtd-off",
    scope=rule.Scope.NODE,
    needs=("/sys/firmware/acpi/tables/DMAR", "/sys/kernel/iommu_groups"),
    who=model.Who.BIOS,
    remedy="Enable VT-d (Intel Virtualization Technology for Directed I/O) in the firmware of {board}; "
    "on UEFI `systemctl reboot --firmware-setup` leads there.",
    holds=True,
)


def judge(host: view.Host) -> rule.Verdict:
    hardware, pci = host.facts.hardware, host.facts.pci
    if not host.gives_devices:
        return rule.clear()
    if not isinstance(pci, model.Unknown) and any(dev.iommu_group is not None for dev in pci):
        return rule.clear()
    if isinstance(hardware.dmar, model.Unknown):
        return rule.cannot_tell(f"DMAR: {hardware.dmar.unknown}")
    if hardware.dmar or "AMD" in str(hardware.cpu):  # AMD has an IVRS table instead
        return rule.clear()
    return rule.found(
        "VT-d is off: VM start fails with `cannot prepare PCI pass-through, IOMMU not present`",
        [
            model.Evidence("/sys/firmware/acpi/tables/DMAR", "not there"),
            model.Evidence("/sys/kernel/iommu_groups", "empty"),
        ],
        board=hardware.board if isinstance(hardware.board, str) else "the board",
    )
