"""The devices of a node, read from its own sysfs: PCI devices with group and driver, USB devices, option ROMs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transom.lab.pve import files, pcinames


@dataclass(frozen=True)
class Pci:
    """Identifiers in hex without 0x; `group` is -1 without an IOMMU, `driver` '' when unbound."""

    address: str
    vendor: str
    device: str
    pci_class: str
    subvendor: str
    subdevice: str
    group: int
    driver: str

    @property
    def id(self) -> str:
        return f"{self.vendor}:{self.device}"

    @property
    def subsystem(self) -> str:
        return f"{self.subvendor}:{self.subdevice}"

    @property
    def bridge(self) -> bool:
        return self.pci_class.startswith("06")


@dataclass(frozen=True)
class Usb:
    port: str
    vendor: str
    product: str
    name: str = ""
    devnum: int = 1
    speed: str = "480"
    device_class: int = 0


@dataclass(frozen=True)
class Hardware:
    """What the node below `root` has; every question looks again."""

    root: Path

    @property
    def iommu(self) -> bool:
        folder = files.below(self.root, "sys/class/iommu")
        return folder.is_dir() and any(folder.iterdir())

    def pci(self) -> list[Pci]:
        folder = files.below(self.root, "sys/bus/pci/devices")
        return [self._device(one) for one in sorted(folder.iterdir())] if folder.is_dir() else []

    def _device(self, folder: Path) -> Pci:
        def number(name: str) -> str:
            return files.read_text(folder / name).strip().removeprefix("0x")

        group, driver = link_name(folder / "iommu_group"), link_name(folder / "driver")
        return Pci(folder.name, number("vendor"), number("device"), number("class"), number("subsystem_vendor"),
                   number("subsystem_device"), int(group) if group.isdigit() else -1, driver)  # fmt: skip

    def find(self, address: str) -> list[Pci]:
        """The devices of `00:02.0`, or all functions of `0000:00:02`."""
        full = address if address.count(":") > 1 else f"0000:{address}"
        return [one for one in self.pci() if one.address == full or one.address.rsplit(".", 1)[0] == full]

    def group_of(self, device: Pci) -> list[Pci]:
        return [one for one in self.pci() if one.group == device.group and one.group >= 0]

    def vfio_ready(self, device: Pci) -> str:
        """'' when QEMU can open the device's group, else QEMU's complaint."""
        if device.driver != "vfio-pci":
            return f"failed to open /dev/vfio/{device.group}: No such file or directory"
        if any(one.driver not in ("vfio-pci", "") for one in self.group_of(device) if not one.bridge):
            return (f"group {device.group} is not viable\nPlease ensure all devices within the iommu_group are bound to "
                    "their vfio bus driver.")  # fmt: skip
        return ""

    def rom(self, shown: str) -> str:
        """'' when the option ROM at this path (as the node sees it) can be loaded, else QEMU's complaint."""
        path = files.below(self.root, shown)
        if not path.is_file():
            return f'failed to find romfile "{shown}"'
        return f'romfile "{shown}" is empty' if path.stat().st_size == 0 else ""

    def usb(self) -> list[Usb]:
        folder = files.below(self.root, "sys/bus/usb/devices")
        found = [one for one in sorted(folder.iterdir()) if (one / "idVendor").exists()] if folder.is_dir() else []
        return [self._usb(one) for one in found]

    def _usb(self, folder: Path) -> Usb:
        """What the kernel shows of a device; a hub's class is 9."""

        def word(name: str, default: str = "") -> str:
            return files.read_text(folder / name).strip() or default

        own_class = "09" if folder.name.startswith("usb") else "00"
        return Usb(folder.name, word("idVendor"), word("idProduct"), word("product"), int(word("devnum", "1")),
                   word("speed", "480"), int(word("bDeviceClass", own_class), 16))  # fmt: skip

    def names(self) -> pcinames.Names:
        return pcinames.load(self.root)


def link_name(path: Path) -> str:
    """The last part of a symbolic link's target, '' when there is none."""
    try:
        return path.readlink().name
    except OSError:
        return ""
