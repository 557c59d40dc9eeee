"""Shared by igpu-not-primary and bmc-primary: which display the firmware made primary, other than the wanted iGPU."""

from __future__ import annotations

from transom import model
from transom.diagnose import view

BMC_VENDORS = frozenset({"1a03", "102b"})
"""ASPEED and Matrox: the graphics of server management controllers."""


def other(device: view.Device) -> tuple[model.PciDevice, model.PciDevice | None] | model.Unknown | None:
    """The iGPU and the display that is primary in its place (None: none is); None when the iGPU is primary or no display at all."""
    igpu, pci = device.present(), device.host.facts.pci
    if isinstance(igpu, model.Unknown):
        return igpu
    if igpu is None or isinstance(pci, model.Unknown) or igpu.vendor != "8086" or not igpu.class_code.startswith("03"):
        return None
    if igpu.class_code.startswith("0380"):  # the GMCH's "VGA disable" bit makes it an "other display controller"
        return igpu, _primary(pci)
    if igpu.boot_vga is None:
        return model.Unknown(f"boot_vga of {igpu.address} was not read")
    return None if igpu.boot_vga else (igpu, _primary(pci))


def evidence(igpu: model.PciDevice, primary: model.PciDevice | None) -> list[model.Evidence]:
    at = f"/sys/bus/pci/devices/{igpu.address}"
    lines = [model.Evidence(f"{at}/class", f"0x{igpu.class_code}")]
    if igpu.boot_vga is not None:
        lines.append(model.Evidence(f"{at}/boot_vga", str(int(igpu.boot_vga))))
    if primary:
        lines.append(model.Evidence(f"/sys/bus/pci/devices/{primary.address}/boot_vga", f"1 ({primary.id})"))
    return lines


def _primary(pci: tuple[model.PciDevice, ...]) -> model.PciDevice | None:
    return next((dev for dev in pci if dev.boot_vga), None)
