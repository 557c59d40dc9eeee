"""Names of PCI vendors and devices: the node's pci.ids, or the few of the lab's machines when it has none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from transom.lab.pve import files

VENDORS: Final = {"8086": "Intel Corporation", "1458": "Gigabyte Technology Co., Ltd", "1849": "ASRock Incorporation",
                  "10de": "NVIDIA Corporation", "1002": "Advanced Micro Devices, Inc. [AMD/ATI]",
                  "144d": "Samsung Electronics Co Ltd", "10ec": "Realtek Semiconductor Co., Ltd."}  # fmt: skip
DEVICES: Final = {
    "8086:3e30": "8th/9th Gen Core 8-core Desktop Processor Host Bridge/DRAM Registers [Coffee Lake S]",
    "8086:3e92": "CoffeeLake-S GT2 [UHD Graphics 630]",
    "8086:9bc8": "CometLake-S GT2 [UHD Graphics 630]",
    "8086:a36d": "Cannon Lake PCH USB 3.1 xHCI Host Controller",
    "8086:a305": "Z390 Chipset LPC/eSPI Controller",
    "8086:a348": "Cannon Lake PCH cAVS",
    "8086:a323": "Cannon Lake PCH SMBus Controller",
    "8086:1539": "I211 Gigabit Network Connection",
}


@dataclass(frozen=True)
class Names:
    vendors: dict[str, str]
    devices: dict[str, str]

    def vendor(self, vendor: str) -> str:
        return self.vendors.get(vendor, "")

    def device(self, number: str) -> str:
        return self.devices.get(number, "")


def load(root: Path) -> Names:
    """From usr/share/misc/pci.ids below `root` where it exists."""
    vendors, devices, current = dict(VENDORS), dict(DEVICES), ""
    try:
        text = files.below(root, "usr/share/misc/pci.ids").read_text(errors="replace")
    except OSError:
        return Names(vendors, devices)
    for line in text.splitlines():
        if line.startswith("C "):
            break
        if line[:1] not in ("", "#", "\t"):
            current, name = line[:4], line[6:]
            vendors[current] = name
        elif line[:1] == "\t" and line[1:2] != "\t":
            devices[f"{current}:{line[1:5]}"] = line[7:]
    return Names(vendors, devices)
