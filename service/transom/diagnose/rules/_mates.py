"""Shared by the two IOMMU group rules: which mates of a device are in the host's use, and how dear they are."""

from __future__ import annotations

from transom import model
from transom.diagnose import taken, view

VITAL = ("01", "02", "0c03", "0c04", "0c06")
"""Classes: mass storage, network, USB, Fibre Channel, InfiniBand."""


def in_use(device: taken.Taken) -> tuple[model.PciDevice, ...] | model.Unknown:
    """Mates that a host driver holds and that stay with it; Unknown when that of a vital one was not read."""
    mates = device.mates()
    if isinstance(mates, model.Unknown):
        return mates
    others = [mate for mate in mates if mate.address not in device.given]
    for mate in others:
        if isinstance(mate.driver, model.Unknown) and vital(mate):
            return model.Unknown(f"driver of {mate.address}, in the same IOMMU group: {mate.driver.unknown}")
    held = (mate for mate in others if not isinstance(mate.driver, model.Unknown))
    return tuple(mate for mate in held if mate.driver not in view.HOST_DRIVERS_NONE)


def vital(device: model.PciDevice) -> bool:
    """Whether the host may hang on it."""
    return device.class_code.startswith(VITAL)


def evidence(device: model.PciDevice) -> model.Evidence:
    return model.Evidence(
        f"/sys/bus/pci/devices/{device.address}",
        f"iommu_group {device.iommu_group}, {device.id} class {device.class_code}, driver {device.driver}",
    )
