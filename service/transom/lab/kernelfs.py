"""Writes what a booted kernel shows: the private ``/sys``, and files that lie over the real ``/proc``."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Mapping
from pathlib import Path

from transom.lab import boot, modules, world

DEVICES = "devices/pci0000:00"


def write_sys(target: Path, machine: world.LabNode, booted: boot.Booted) -> None:
    """Makes ``target`` the ``/sys`` of this boot; an older one is replaced."""
    if target.exists():
        shutil.rmtree(target)
    for folder in (
        "bus/pci/devices",
        "bus/pci/drivers/vfio-pci",
        "kernel/iommu_groups",
        "class/block",
        "class/iommu",
        "class/drm",
        "firmware/acpi/tables",
        "class/net",
    ):
        (target / folder).mkdir(parents=True, exist_ok=True)
    for device in boot.visible(machine):
        _pci(target, machine, device, booted)
    _disks(target, machine)
    _network(target, machine)
    for usb in machine.usb:
        _usb(target, usb)
    for name, parameters in booted.parameters.items():
        _files(target / "module" / name / "parameters", parameters)
    _firmware(target, machine)
    if booted.groups:
        (target / "class/iommu/dmar0").mkdir()


def _files(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(f"{text}\n")


def _place(device: world.PciFunction) -> str:
    return f"{DEVICES}/{device.parent}/{device.address}" if device.parent else f"{DEVICES}/{device.address}"


def _link(path: Path, top: Path, inside: str) -> None:
    """A relative link, as sysfs has them, from ``path`` to ``inside`` under ``top``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    up = "../" * (len(path.relative_to(top).parts) - 1)
    path.symlink_to(f"{up}{inside}")


def _pci(top: Path, machine: world.LabNode, device: world.PciFunction, booted: boot.Booted) -> None:
    folder = top / _place(device)
    sub_vendor, _, sub_device = (device.subsystem or "0000:0000").partition(":")
    texts = {
        "vendor": f"0x{device.vendor}",
        "device": f"0x{device.device}",
        "class": f"0x{device.class_code}",
        "subsystem_vendor": f"0x{sub_vendor}",
        "subsystem_device": f"0x{sub_device}",
        "revision": f"0x{device.revision}",
        "modalias": modules.modalias(device),
        "enable": "1",
        "power_state": "D0",
        "driver_override": "(null)",
    }
    if device.display:
        texts["boot_vga"] = str(int(device.address == boot.boot_vga(machine)))
    _files(folder, texts)
    (folder / "resource").write_text(
        "".join(f"0x{bar.start:016x} 0x{bar.end:016x} 0x0000000000040200\n" for bar in device.bars)
    )
    _link(top / "bus/pci/devices" / device.address, top, _place(device))
    _bind(top, device, booted)


def _disks(top: Path, machine: world.LabNode) -> None:
    """The first NVMe disk with its partitions; the others have nothing on them that a boot needs."""
    disk = next((dev for dev in boot.visible(machine) if dev.class_code.startswith("0108")), None)
    if disk is None:
        return
    for name in ("nvme0n1", "nvme0n1p2", "nvme0n1p3"):
        inside = f"{_place(disk)}/nvme/nvme0/nvme0n1" + ("" if name == "nvme0n1" else f"/{name}")
        (top / inside).mkdir(parents=True)
        _link(top / "class/block" / name, top, inside)


def _network(top: Path, machine: world.LabNode) -> None:
    """The bridges, the first of them on the first network card."""
    for name in ("lo", *machine.bridges):
        (top / f"devices/virtual/net/{name}").mkdir(parents=True)
        _link(top / "class/net" / name, top, f"devices/virtual/net/{name}")
    card = next((dev for dev in boot.visible(machine) if dev.class_code.startswith("0200")), None)
    if card is None or not machine.bridges:
        return
    inside = f"{_place(card)}/net/eno1"
    (top / inside).mkdir(parents=True)
    _link(top / "class/net/eno1", top, inside)
    _link(top / f"devices/virtual/net/{machine.bridges[0]}/lower_eno1", top, inside)


def _bind(top: Path, device: world.PciFunction, booted: boot.Booted) -> None:
    folder = top / _place(device)
    driver = booted.drivers.get(device.address)
    if driver:
        (top / "bus/pci/drivers" / driver).mkdir(exist_ok=True)
        _link(folder / "driver", top, f"bus/pci/drivers/{driver}")
        _link(top / "bus/pci/drivers" / driver / device.address, top, _place(device))
        if (module := modules.of_driver(driver)) and not (top / "bus/pci/drivers" / driver / "module").is_symlink():
            _link(top / "bus/pci/drivers" / driver / "module", top, f"module/{module}")
    if driver == "i915":
        _files(top / "class/drm/card0-HDMI-A-1", {"status": "connected"})
    group = booted.groups.get(device.address, boot.NO_IOMMU)
    if group != boot.NO_IOMMU:
        _link(folder / "iommu_group", top, f"kernel/iommu_groups/{group}")
        _link(top / f"kernel/iommu_groups/{group}/devices" / device.address, top, _place(device))
        passthrough = "iommu=pt" in booted.cmdline.split()
        (top / f"kernel/iommu_groups/{group}/type").write_text("identity\n" if passthrough else "DMA-FQ\n")


def _usb(top: Path, device: world.UsbDevice) -> None:
    bus, _, port = device.port.partition("-")
    texts = {
        "idVendor": device.vendor,
        "idProduct": device.product,
        "product": device.name,
        "busnum": bus,
        "devnum": str(int(port.split(".")[0]) + 1),
    }
    _files(top / "bus/usb/devices" / device.port, texts)


def _firmware(top: Path, machine: world.LabNode) -> None:
    bios = machine.firmware
    dmi = {
        "board_vendor": bios.board_vendor,
        "board_name": bios.board,
        "bios_vendor": bios.bios_vendor,
        "bios_version": bios.bios,
        "bios_date": bios.bios_date,
        "sys_vendor": "To Be Filled By O.E.M.",
        "product_name": "To Be Filled By O.E.M.",
    }
    _files(top / "class/dmi/id", dmi)
    if bios.vtd:
        (top / "firmware/acpi/tables/DMAR").write_bytes(dmar())
    if bios.efi:
        _files(top / "firmware/efi", {"fw_platform_size": "64"})
    if bios.efi and machine.loader == "systemd-boot":
        name = "LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
        (top / "firmware/efi/efivars").mkdir()
        text = "systemd-boot 247.3-7+deb11u1\0".encode("utf-16-le")
        (top / "firmware/efi/efivars" / name).write_bytes(struct.pack("<I", 6) + text)


def dmar() -> bytes:
    """The smallest ACPI DMAR table: header, address width 39, no remapping structures, valid checksum."""
    body = struct.pack("<4sIBB6s8sI4sI", b"DMAR", 48, 1, 0, b"INTEL ", b"EDK2    ", 2, b"    ", 0x1000013)
    body += struct.pack("<BB10x", 38, 1)
    return body[:9] + bytes([-sum(body) % 256]) + body[10:]


# --- /proc -----------------------------------------------------------------------------------------------------------


def proc_files(machine: world.LabNode, booted: boot.Booted, *, boot_id: str, btime: int) -> dict[str, str]:
    """Path under ``/proc`` → text, for the files that tell of kernel, boot and hardware. ``btime`` in seconds since the epoch."""
    return {
        "cmdline": f"{booted.cmdline}\n",
        "modules": proc_modules(booted),
        "stat": f"cpu  0 0 0 0 0 0 0 0 0 0\nintr 0\nctxt 0\nbtime {btime}\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n",
        "iomem": iomem(machine, booted),
        "version": f"Linux version {booted.kernel} (build@proxmox) (gcc) #1 SMP PVE\n",
        "cpuinfo": _cpuinfo(machine),
        "sys/kernel/osrelease": f"{booted.kernel}\n",
        "sys/kernel/random/boot_id": f"{boot_id}\n",
    }


def proc_modules(booted: boot.Booted) -> str:
    """Newest first, with the modules that use each one."""
    catalogue = modules.catalogue(booted.kernel)
    users: dict[str, list[str]] = {name: [] for name in booted.modules}
    for name in booted.modules:
        for need in catalogue[name].needs:
            users.setdefault(need, []).append(name)
    lines = (
        f"{name} 16384 {len(users[name])} {','.join(users[name]) + ',' if users[name] else '-'} Live 0x0000000000000000\n"
        for name in reversed(booted.modules)
    )
    return "".join(lines)


def iomem(machine: world.LabNode, booted: boot.Booted) -> str:
    """``/proc/iomem`` as root sees it; BOOTFB lies in the largest range of the boot display."""
    lines = ["00000000-00000fff : Reserved", "00001000-0009ffff : System RAM", "00100000-8fffffff : System RAM"]
    lines.append("c0000000-feafffff : PCI Bus 0000:00")
    ranges = sorted((bar.start, bar.end, dev.address) for dev in boot.visible(machine) for bar in dev.bars)
    vga = boot.boot_vga(machine)
    largest = max(((end - start, start) for start, end, address in ranges if address == vga), default=(0, -1))[1]
    for start, end, address in ranges:
        lines.append(f"  {start:08x}-{end:08x} : {address}")
        if booted.framebuffer and start == largest:
            lines.append(f"    {start:08x}-{start + 0x7E8FFF:08x} : BOOTFB")
    return "\n".join((*lines, "100000000-86fffffff : System RAM", ""))


def _cpuinfo(machine: world.LabNode) -> str:
    fields = {
        "vendor_id": "GenuineIntel",
        "cpu family": "6",
        "model": "165",
        "model name": machine.cpu,
        "flags": "fpu vme vmx",
    }
    one = "".join(f"{key}\t: {value}\n" for key, value in fields.items())
    return "\n".join(f"processor\t: {number}\n{one}" for number in range(12)) + "\n"


def write_vfio(target: Path, booted: boot.Booted) -> None:
    """``/dev/vfio``: a plain file for each group that has a device bound to vfio-pci (a real one is a character device)."""
    for old in target.iterdir():
        old.unlink()
    groups = {
        booted.groups[address]
        for address, driver in booted.drivers.items()
        if driver == "vfio-pci" and address in booted.groups
    }
    for name in [*map(str, sorted(groups)), *(["vfio"] if "vfio" in booted.modules else [])]:
        (target / name).touch(0o600)
