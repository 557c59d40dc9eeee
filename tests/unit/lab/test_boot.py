"""The boot model: which driver ends up with which device, and what else follows from the files."""

from __future__ import annotations

import dataclasses

import pytest

from transom.lab import boot, initrd, world

IGPU, AUDIO, NVME = world.IGPU, "0000:00:1f.3", "0000:01:00.0"
SEED = world.seed_node()
MODERN = world.pve9_node()
VFIO = "options vfio-pci ids=8086:9bc8\n"
BLACKLIST = "blacklist i915\nblacklist snd_hda_intel\nblacklist snd_hda_codec_hdmi\n"
MODULES = "vfio\nvfio_iommu_type1\nvfio_pci\n"


def start(
    *,
    node: world.LabNode = SEED,
    words: str = "quiet",
    now: str = "",
    image: str | None = None,
    modules: str = "",
) -> boot.Booted:
    """Boots with ``now`` as the present modprobe.d file and ``image`` as the one in the initramfs (the same by default)."""
    kernel = node.kernel
    stored = {"/etc/modprobe.d/x.conf": (now if image is None else image).encode()}
    menu = f"menuentry 'x' {{\n linux /boot/vmlinuz-{kernel} root=/dev/x ro {words}\n initrd /boot/initrd.img-{kernel}\n}}\n"
    images = {
        f"/boot/vmlinuz-{kernel}": b"",
        f"/boot/initrd.img-{kernel}": initrd.pack(initrd.build(kernel, stored, "")),
    }
    return boot.boot(node, boot.Disk(menu, images, (now,), (modules,)))


def test_a_fresh_machine_has_its_own_drivers() -> None:
    booted = start()
    assert booted.drivers[IGPU] == "i915"
    assert booted.drivers[AUDIO] == "snd_hda_intel"
    assert booted.drivers[NVME] == "nvme"
    assert booted.drivers["0000:00:01.0"] == "pcieport"
    assert "snd_hda_codec_hdmi" in booted.modules
    assert "vfio_pci" not in booted.modules


def test_the_articles_settings_give_the_igpu_to_vfio() -> None:
    booted = start(now=VFIO + BLACKLIST, modules=MODULES, words="quiet intel_iommu=on iommu=pt")
    assert booted.drivers[IGPU] == "vfio-pci"
    assert AUDIO not in booted.drivers
    assert "i915" not in booted.modules
    assert "snd_hda_codec_hdmi" not in booted.modules
    assert booted.groups[IGPU] != booted.groups[NVME]


def test_a_stale_initramfs_stays_stale() -> None:
    booted = start(now=VFIO + BLACKLIST, image="", modules=MODULES)
    assert booted.drivers[IGPU] == "i915"
    assert AUDIO not in booted.drivers  # not in the image: the present files decide


def test_without_a_blacklist_the_host_driver_wins_unless_softdep_puts_vfio_first() -> None:
    assert start(now=VFIO, modules=MODULES).drivers[IGPU] == "i915"
    assert start(now=VFIO + "softdep i915 pre: vfio-pci\n").drivers[IGPU] == "vfio-pci"


def test_everything_can_be_said_on_the_command_line() -> None:
    words = "vfio-pci.ids=8086:9bc8 modprobe.blacklist=i915"
    assert start(words=words, modules=MODULES).drivers[IGPU] == "vfio-pci"
    forbidden = start(words="module_blacklist=i915")
    assert IGPU not in forbidden.drivers
    assert "kernel: Module i915 is blacklisted" in forbidden.journal


def test_ids_take_every_twin() -> None:
    twin = dataclasses.replace(SEED.pci[-1], address="0000:02:00.0")
    node = dataclasses.replace(SEED, pci=(*SEED.pci, twin))
    booted = start(node=node, now="options vfio-pci ids=144d:a809\nblacklist nvme\n", modules="vfio_pci\n")
    assert (booted.drivers[NVME], booted.drivers["0000:02:00.0"]) == ("vfio-pci", "vfio-pci")


@pytest.mark.parametrize(("kernel", "lost"), [("5.15.74-1-pve", False), ("6.2.16-3-pve", True)])
def test_vfio_virqfd_is_gone_from_6_2_on(kernel: str, lost: bool) -> None:
    booted = start(node=dataclasses.replace(SEED, kernels=(kernel,)), modules="vfio_virqfd\n")
    assert ("systemd-modules-load: Failed to find module 'vfio_virqfd'" in booted.journal) == lost
    assert ("vfio_virqfd" in booted.modules) != lost


@pytest.mark.parametrize(
    ("node", "words", "vtd", "on"),
    [
        (SEED, "", True, False),
        (SEED, "intel_iommu=on", True, True),
        (SEED, "intel_iommu=on,relax_rmrr", True, True),
        (SEED, "intel_iommu=on", False, False),
        (SEED, "intel_iommu=on intel_iommu=off", True, False),
        (SEED, "intel_iommu=on iommu=off", True, False),
        (MODERN, "", True, True),
        (MODERN, "intel_iommu=off", True, False),
        (MODERN, "", False, False),
    ],
)
def test_when_the_iommu_is_on(node: world.LabNode, words: str, vtd: bool, on: bool) -> None:
    firmware = dataclasses.replace(node.firmware, vtd=vtd)
    booted = start(node=dataclasses.replace(node, firmware=firmware), words=words)
    assert bool(booted.groups) == on


def test_acs_override_splits_what_shares_a_slot() -> None:
    together = start(words="intel_iommu=on").groups
    assert together[AUDIO] == together["0000:00:1f.6"]
    split = start(words="intel_iommu=on pcie_acs_override=downstream,multifunction").groups
    assert len(set(split.values())) == len(SEED.pci)


def test_the_framebuffer_is_held_unless_sysfb_is_off_or_a_driver_took_over() -> None:
    assert not start().framebuffer  # i915 took over
    assert start(now=VFIO + BLACKLIST, modules=MODULES).framebuffer
    assert not start(now=VFIO + BLACKLIST, modules=MODULES, words="initcall_blacklist=sysfb_init").framebuffer


def test_module_options_show_as_the_kernel_writes_them() -> None:
    booted = start(now="options vfio-pci ids=8086:9bc8 disable_vga=1\n", modules="vfio_pci\n")
    assert booted.parameters["vfio_pci"]["disable_vga"] == "Y"
    assert "ids" not in booted.parameters["vfio_pci"]


def test_a_card_hides_the_igpu_when_multi_monitor_is_off() -> None:
    card = world.PciFunction("0000:01:00.0", "10de", "1b81", "030000")
    node = dataclasses.replace(SEED, pci=(*SEED.pci[:-1], card))
    assert boot.boot_vga(node) == IGPU
    off = dataclasses.replace(node, firmware=dataclasses.replace(node.firmware, multi_monitor=False))
    assert IGPU not in {dev.address for dev in boot.visible(off)}
    assert boot.boot_vga(off) == "0000:01:00.0"


@pytest.mark.parametrize(
    ("disk", "screen"),
    [
        (boot.Disk("", {}), "grub>"),
        (boot.Disk("menuentry 'x' {\n linux /boot/vmlinuz-5.15\n}\n", {}), "vmlinuz-5.15' not found"),
        (
            boot.Disk("menuentry 'x' {\n linux /k-5.15\n initrd /i\n}\n", {"/k-5.15": b"", "/i": b"rubbish"}),
            "Kernel panic",
        ),
    ],
)
def test_what_cannot_boot_does_not(disk: boot.Disk, screen: str) -> None:
    with pytest.raises(boot.BootFailed, match=screen):
        boot.boot(SEED, disk)
