"""What a boot has to show to be confirmed: everything that was wanted, told and not guessed, for the kernel that booted."""

from __future__ import annotations

import dataclasses

from transom import model
from transom.plan import actions as acts
from transom.plan import reboot

BOOT = model.Boot("new", "6.8.12-4-pve", ("root=/dev/sda1", "intel_iommu=on"), "grub", efi=True, time_ns=1)
IGPU = model.PciDevice("0000:00:02.0", "8086", "9bc8", "030000", driver="vfio-pci")
FACTS = model.Facts("pve1", BOOT, {}, modules=frozenset({"vfio", "vfio_pci"}), pci=(IGPU,))


def missing(facts: model.Facts, *wants: str, **only: str) -> tuple[str, ...]:
    return reboot.missing(acts.Confirm("old", wants, only), facts)


WANTS = (
    *("kernel_cmdline/intel_iommu=on", "modules/vfio_pci", "vfio_ids/8086:9bc8", "blacklist/i915"),
    "driver_override/0000:00:02.0=8086:9bc8",
)


def test_everything_in_effect_is_confirmed() -> None:
    assert missing(FACTS, *WANTS) == ()


def test_what_cannot_be_told_is_not_confirmed() -> None:
    blind = dataclasses.replace(
        FACTS,
        boot=dataclasses.replace(BOOT, cmdline=model.Unknown("no /proc")),
        modules=model.Unknown("no /sys/module"),
        pci=model.Unknown("no /sys/bus/pci"),
    )
    found = missing(blind, *WANTS)
    assert len(found) == len(WANTS)
    assert found[0] == "whether kernel_cmdline/intel_iommu=on is in effect cannot be told: no /proc"


def test_nor_is_a_device_whose_driver_cannot_be_read() -> None:
    unread = dataclasses.replace(FACTS, pci=(dataclasses.replace(IGPU, driver=model.Unknown("no link")),))
    assert len(missing(unread, *WANTS[2:])) == 3


def test_what_a_host_never_shows_is_not_waited_for() -> None:
    wants = ("module_options/kvm.ignore_msrs=1", "vfio_ids/10de:1c82", "driver_override/0000:01:00.0=10de:1c82")
    assert missing(FACTS, *wants) == ()


def test_a_module_that_the_booted_kernel_has_no_more_is_not_waited_for() -> None:
    assert missing(FACTS, "modules/vfio_virqfd") == ()
    older = dataclasses.replace(FACTS, boot=dataclasses.replace(BOOT, kernel="5.15.158-2-pve"))
    assert missing(older, "modules/vfio_virqfd") == ("modules/vfio_virqfd is not in effect",)


def test_nor_what_a_document_wants_of_older_kernels_alone() -> None:
    path = "kernel_cmdline/video=efifb:off"
    assert missing(FACTS, path) == (f"{path} is not in effect",)
    assert missing(FACTS, path, **{path: "<6.0"}) == ()


def test_another_boot_loader_than_planned_does_not_excuse_a_parameter() -> None:
    other = dataclasses.replace(BOOT, loader="systemd-boot", cmdline=("root=/dev/sda1",))
    assert missing(dataclasses.replace(FACTS, boot=other), WANTS[0]) == (f"{WANTS[0]} is not in effect",)


def test_who_has_a_device_that_was_to_be_given_away_is_told() -> None:
    sound = model.PciDevice("0000:00:1f.3", "8086", "a348", "040300", driver="snd_hda_intel")
    bare = dataclasses.replace(sound, address="0000:01:00.1", driver="")
    facts = dataclasses.replace(FACTS, pci=(IGPU, sound, bare))
    assert missing(facts, "vfio_ids/8086:9bc8", "vfio_ids/8086:a348", "driver_override/0000:00:1f.3=8086:a348") == (
        "vfio_ids/8086:a348 is not in effect (0000:00:1f.3 has snd_hda_intel, 0000:01:00.1 has no driver)",
        "driver_override/0000:00:1f.3=8086:a348 is not in effect (0000:00:1f.3 has snd_hda_intel)",
    )
