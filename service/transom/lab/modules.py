"""The kernel's modules, as far as the lab's hardware needs them: what needs what, what claims which device. Data only."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping

from transom.lab import world


@dataclasses.dataclass(frozen=True)
class Module:
    """One module. ``claims`` are patterns over ``vendor:device:class``; ``driver`` is the name under ``/sys/bus/pci/drivers``."""

    name: str
    needs: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    driver: str = ""
    initramfs: bool = False
    """Whether initramfs-tools with MODULES=most puts it into the image."""
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    since: tuple[int, int] = (0, 0)
    until: tuple[int, int] = (99, 0)
    """First kernel that no longer has it."""

    def claims_device(self, device: world.PciFunction) -> bool:
        """Whether the module's own aliases match the device."""
        subject = f"{device.vendor}:{device.device}:{device.class_code}"
        return any(fnmatch.fnmatchcase(subject, pattern) for pattern in self.claims)


_VFIO_PCI = {"disable_idle_d3": "N", "disable_vga": "N", "enable_sriov": "N", "nointxmask": "N"}

_ALL = (
    Module("irqbypass"),
    Module("iommufd", since=(6, 2)),
    Module("vfio", ("iommufd",), parameters={"enable_unsafe_noiommu_mode": "N"}),
    Module("vfio_iommu_type1", ("vfio",), parameters={"allow_unsafe_interrupts": "N", "dma_entry_limit": "65535"}),
    Module("vfio_virqfd", until=(6, 2)),
    Module("vfio_pci_core", ("vfio", "vfio_virqfd", "irqbypass"), since=(5, 15)),
    # `ids` has no entry in sysfs: module_param_string(…, 0)
    Module("vfio_pci", ("vfio_pci_core", "vfio", "vfio_iommu_type1"), driver="vfio-pci", parameters=_VFIO_PCI),
    Module("drm", initramfs=True),
    Module("drm_kms_helper", ("drm",), initramfs=True),
    Module("i2c_algo_bit", initramfs=True),
    Module("video", initramfs=True),
    Module(
        "i915",
        ("drm", "drm_kms_helper", "i2c_algo_bit", "video"),
        ("8086:9b*:03*", "8086:3e*:03*", "8086:4*:03*", "8086:a7*:03*"),
        initramfs=True,
        parameters={"enable_guc": "-1", "enable_gvt": "N", "modeset": "-1"},
    ),
    Module("xe", ("drm", "drm_kms_helper"), ("8086:64*:03*", "8086:e2*:03*"), initramfs=True, since=(6, 8)),
    Module("nouveau", ("drm", "drm_kms_helper", "video"), ("10de:*:03*",), initramfs=True),
    Module("amdgpu", ("drm", "drm_kms_helper"), ("1002:*:03*",), initramfs=True),
    Module("nvme_core", initramfs=True),
    Module("nvme", ("nvme_core",), ("*:*:010802",), initramfs=True),
    Module("libahci", initramfs=True),
    Module("ahci", ("libahci",), ("*:*:010601",), initramfs=True),
    Module("e1000e", (), ("8086:0d55:02*", "8086:15b8:02*"), initramfs=True),
    Module("igc", (), ("8086:15f3:02*", "8086:125c:02*"), initramfs=True),
    Module("xhci_hcd", initramfs=True),
    Module("xhci_pci", ("xhci_hcd",), ("*:*:0c0330",), driver="xhci_hcd", initramfs=True),
    Module("mei"),
    Module("mei_me", ("mei",), ("8086:*:078000",)),
    Module("i2c_i801", (), ("8086:*:0c0500",), driver="i801_smbus"),
    Module("soundcore"),
    Module("snd", ("soundcore",)),
    Module("snd_pcm", ("snd",)),
    Module("snd_hda_core", ("snd_pcm",)),
    Module("snd_hda_codec", ("snd_hda_core",)),
    Module("snd_hda_intel", ("snd_hda_codec",), ("*:*:0403*",), parameters={"power_save": "0"}),
    Module("snd_hda_codec_generic", ("snd_hda_codec",)),
    Module("snd_hda_codec_realtek", ("snd_hda_codec_generic",)),
    Module("snd_hda_codec_hdmi", ("snd_hda_codec",)),
    Module("kvm", ("irqbypass",)),
    Module("kvm_intel", ("kvm",), parameters={"nested": "Y"}),
    Module("tap"),
    Module("vhost"),
    Module("vhost_net", ("vhost", "tap")),
    Module("dm_mod", initramfs=True),
    Module("ext4", initramfs=True),
    Module("nvidiafb", (), ("10de:*:03*",)),
    Module("coretemp"),
    Module("loop"),
)

ALWAYS = ("kvm_intel", "vhost_net")
"""What Proxmox VE has loaded on every machine, whatever the files say."""

CODECS = ("snd_hda_codec_realtek", "snd_hda_codec_hdmi")
"""Found on the audio bus once snd_hda_intel drives a device."""

BUILTIN = {"*:*:0604*": "pcieport"}
"""Drivers without a module."""


def version(kernel: str) -> tuple[int, int]:
    """``5.15.74-1-pve`` → ``(5, 15)``."""
    major, minor = kernel.split(".")[:2]
    return int(major), int(minor)


def catalogue(kernel: str) -> dict[str, Module]:
    """The modules that this kernel has, dependencies limited to them."""
    at = version(kernel)
    present = {module.name: module for module in _ALL if module.since <= at < module.until}
    return {
        name: dataclasses.replace(module, needs=tuple(need for need in module.needs if need in present))
        for name, module in present.items()
    }


def builtin_driver(device: world.PciFunction) -> str:
    """The built-in driver that claims the device; empty when none does."""
    subject = f"{device.vendor}:{device.device}:{device.class_code}"
    return next((driver for pattern, driver in BUILTIN.items() if fnmatch.fnmatchcase(subject, pattern)), "")


def of_driver(driver: str) -> str:
    """The module with the driver; empty for one without."""
    return next((module.name for module in _ALL if (module.driver or module.name) == driver), "")


def modalias(device: world.PciFunction) -> str:
    """The device's modalias, as in sysfs."""
    sub_vendor, _, sub_device = (device.subsystem or "0000:0000").upper().partition(":")
    code = device.class_code.upper()
    return (
        f"pci:v0000{device.vendor.upper()}d0000{device.device.upper()}sv0000{sub_vendor}sd0000{sub_device}"
        f"bc{code[0:2]}sc{code[2:4]}i{code[4:6]}"
    )
