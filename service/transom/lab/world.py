"""What a lab machine is made of: hardware, firmware switches, packages. Frozen values, JSON-dumpable; no I/O.

``seed_node`` is the machine of the article that the project starts from: i5-10400 on an ASRock B460M Steel Legend, Proxmox VE 7.3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from transom.lab import packages


@dataclasses.dataclass(frozen=True)
class Bar:
    """One memory range of a device, both ends inclusive, as in ``/proc/iomem``."""

    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class PciFunction:
    """One PCI function: ids four lower-case hex digits, ``class_code`` six, ``subsystem`` ``vvvv:dddd`` or empty."""

    address: str
    vendor: str
    device: str
    class_code: str
    subsystem: str = ""
    revision: str = "00"
    bars: tuple[Bar, ...] = ()
    parent: str = ""
    """Address of the bridge above; empty on the root bus. Shares that bridge's IOMMU group unless ACS is overridden."""

    @property
    def id(self) -> str:
        """``vendor:device``."""
        return f"{self.vendor}:{self.device}"

    @property
    def display(self) -> bool:
        """Whether the class is a display controller."""
        return self.class_code.startswith("03")


@dataclasses.dataclass(frozen=True)
class UsbDevice:
    """One USB device with its place in sysfs (``1-2``)."""

    port: str
    vendor: str
    product: str
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Firmware:
    """The switches that a person sets in the BIOS set-up, and what DMI tells."""

    vtd: bool = True
    multi_monitor: bool = True
    """Off: a card in the x16 slot hides the iGPU."""
    primary_igpu: bool = True
    efi: bool = False
    board_vendor: str = "ASRock"
    board: str = "B460M Steel Legend"
    bios_vendor: str = "American Megatrends Inc."
    bios: str = "P1.60"
    bios_date: str = "03/11/2022"


@dataclasses.dataclass(frozen=True)
class Storage:
    """One storage of the node, as ``/etc/pve/storage.cfg`` has it."""

    name: str
    kind: str
    content: tuple[str, ...]
    path: str = ""
    """For directories."""
    volume_group: str = ""
    thin_pool: str = ""


@dataclasses.dataclass(frozen=True)
class LabNode:
    """A machine. ``kernels`` are installed, the first is the default of the boot menu."""

    name: str
    kernels: tuple[str, ...]
    packages: Mapping[str, str]
    pci: tuple[PciFunction, ...]
    usb: tuple[UsbDevice, ...] = ()
    storages: tuple[Storage, ...] = ()
    isos: tuple[str, ...] = ()
    """``ugreen:iso/name.iso``"""
    bridges: tuple[str, ...] = ("vmbr0",)
    firmware: Firmware = Firmware()
    cpu: str = "Intel(R) Core(TM) i5-10400 CPU @ 2.90GHz"
    cluster: str = "home"
    flavour: str = "seed"
    loader: str = "grub"
    """``grub``, or ``systemd-boot`` on an ESP that proxmox-boot-tool writes to."""

    @property
    def kernel(self) -> str:
        """The newest installed kernel."""
        return self.kernels[0]


IGPU = "0000:00:02.0"

# Ids as in the PCI ID database: Comet Lake-S host, B460 (Comet Lake PCH-V) and a Samsung 980.
_B460 = (
    PciFunction("0000:00:00.0", "8086", "9b53", "060000", "1849:9b53", "03"),
    PciFunction("0000:00:01.0", "8086", "1901", "060400", "", "03"),
    PciFunction(
        IGPU,
        "8086",
        "9bc8",
        "030000",
        "1849:9bc8",
        "03",
        bars=(Bar(0xDE000000, 0xDEFFFFFF), Bar(0xC0000000, 0xCFFFFFFF)),
    ),
    PciFunction("0000:00:14.0", "8086", "a3af", "0c0330", "1849:a3af", bars=(Bar(0xDF330000, 0xDF33FFFF),)),
    PciFunction("0000:00:16.0", "8086", "a3ba", "078000", "1849:a3ba", bars=(Bar(0xDF32D000, 0xDF32DFFF),)),
    PciFunction("0000:00:17.0", "8086", "a382", "010601", "1849:a382", bars=(Bar(0xDF328000, 0xDF329FFF),)),
    PciFunction("0000:00:1b.0", "8086", "a3e9", "060400", "", "f0"),
    PciFunction("0000:00:1f.0", "8086", "a3c8", "060100", "1849:a3c8"),
    PciFunction("0000:00:1f.2", "8086", "a3a1", "058000", "1849:a3a1", bars=(Bar(0xDF324000, 0xDF327FFF),)),
    PciFunction("0000:00:1f.3", "8086", "a3f0", "040300", "1849:1220", bars=(Bar(0xDF320000, 0xDF323FFF),)),
    PciFunction("0000:00:1f.4", "8086", "a3a3", "0c0500", "1849:a3a3"),
    PciFunction("0000:00:1f.6", "8086", "0d55", "020000", "1849:0d55", bars=(Bar(0xDF300000, 0xDF31FFFF),)),
    PciFunction(
        "0000:01:00.0",
        "144d",
        "a809",
        "010802",
        "144d:a801",
        bars=(Bar(0xDF200000, 0xDF203FFF),),
        parent="0000:00:1b.0",
    ),
)

_USB = (
    UsbDevice("1-1", "046d", "c07e", "Gaming Mouse G402"),
    UsbDevice("1-2", "04d9", "0295", "USB-HID Keyboard"),
)

_STORAGES = (
    Storage("local", "dir", ("iso", "vztmpl", "backup", "snippets"), path="/var/lib/vz"),
    Storage("local-lvm", "lvmthin", ("images", "rootdir"), volume_group="pve", thin_pool="data"),
    Storage("ugreen", "dir", ("iso",), path="/mnt/pve/ugreen"),
)

_ISOS = ("ugreen:iso/Win11_22H2_Chinese_Simplified_x64v2.iso", "ugreen:iso/virtio-win.iso")


def seed_node(name: str = "pve1", *, cluster: str = "home") -> LabNode:
    """The article's machine: Proxmox VE 7.3, kernel 5.15.74-1-pve, pve-qemu-kvm 7.1.0-4."""
    return LabNode(
        name=name,
        kernels=("5.15.74-1-pve",),
        packages=packages.PVE_7_3,
        pci=_B460,
        usb=_USB,
        storages=_STORAGES,
        isos=_ISOS,
        cluster=cluster,
    )


def pve9_node(name: str = "pve1", *, cluster: str = "home") -> LabNode:
    """The same machine years later: Proxmox VE 9.0, kernel 6.14 (IOMMU on by itself), QEMU 10.0."""
    return dataclasses.replace(
        seed_node(name, cluster=cluster),
        kernels=("6.14.8-2-pve",),
        packages=packages.PVE_9_0,
        flavour="pve9",
    )


def zfs_node(name: str = "pve1", *, cluster: str = "home") -> LabNode:
    """The seed's machine installed on ZFS with UEFI: systemd-boot, and proxmox-boot-tool."""
    seed = seed_node(name, cluster=cluster)
    return dataclasses.replace(
        seed, firmware=dataclasses.replace(seed.firmware, efi=True), flavour="zfs", loader="systemd-boot"
    )


FLAVOURS: Mapping[str, Callable[..., LabNode]] = {"seed": seed_node, "pve9": pve9_node, "zfs": zfs_node}
