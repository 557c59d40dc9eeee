"""Who drives a declared device after the next boot, as the files give it."""

from __future__ import annotations

import dataclasses

import pytest

from transom import model
from transom.plan import forecast
from transom.spec import wish

ADDRESS = "0000:00:02.0"
OWN = "/etc/modprobe.d/zz-transom.conf"
GRUB = "/etc/default/grub.d/90-transom.cfg"
LOAD = "/etc/modules-load.d/transom.conf"
EARLY = "/etc/initramfs-tools/modules"
IDS = "options vfio-pci ids=8086:9bc8\n"
SCRIPT = "/etc/initramfs-tools/scripts/init-top/00-transom-vfio"


def declared(id: str = "8086:9bc8") -> wish.NodeWish:
    access = wish.Access((), "", wish.SecretRef(), "", "", "pve1", 22, "root", wish.SecretRef(), "")
    return wish.NodeWish("pve1", "pve1", "Node/pve1", "home", access, {}, {"igpu": wish.DeviceWish("igpu", id)}, ())


def owner(node, *, driver: str | model.Unknown = "i915", **files: str) -> forecast.Owner:
    for path, text in files.items():
        node.write(
            {
                "modprobe": OWN,
                "override": SCRIPT,
                "other": "/etc/modprobe.d/a.conf",
                "grub": GRUB,
                "load": LOAD,
                "early": EARLY,
            }[path],
            text,
        )
    facts = node.facts()
    devices = tuple(dataclasses.replace(dev, driver=driver) if dev.address == ADDRESS else dev for dev in facts.pci)
    (one,) = forecast._owners(declared(), dataclasses.replace(facts, pci=devices))
    assert one.address == ADDRESS
    return one


@pytest.mark.parametrize(
    ("files", "driver", "then", "why"),
    [
        ({}, "i915", "i915", "nothing keeps it away"),
        ({"modprobe": f"{IDS}softdep i915 pre: vfio-pci\n"}, "i915", "vfio-pci", f"{OWN}:1 gives it 8086:9bc8"),
        ({"modprobe": f"{IDS}softdep bochs pre: vfio-pci\n"}, "bochs-drm", "vfio-pci", f"{OWN}:1 gives it 8086:9bc8"),
        ({"modprobe": IDS, "load": "vfio-pci\n"}, "i915", "i915", "i915 may be loaded before vfio-pci"),
        ({"modprobe": f"{IDS}blacklist i915\n", "load": "vfio-pci\n"}, "i915", "vfio-pci", f"{OWN}:1 gives it"),
        ({"modprobe": f"{IDS}blacklist i915\nsoftdep i915 pre: vfio-pci\n"}, "i915", "", "nothing loads vfio-pci"),
        ({"modprobe": IDS}, "vfio-pci", "vfio-pci", f"{OWN}:1 gives it"),
        (
            {"other": "options vfio-pci ids=8086:9bc8:1849:9bc8\nsoftdep i915 pre: vfio-pci\n"},
            "i915",
            "vfio-pci",
            "/etc/modprobe.d/a.conf:1",
        ),
        (
            {"other": "options vfio-pci ids=8086:9bc8\n", "modprobe": "options vfio-pci ids=10de:1cb3\n"},
            "i915",
            "i915",
            "nothing",
        ),
        ({"modprobe": "blacklist i915\n"}, "i915", "", f"{OWN}:1 keeps i915 away"),
        ({"modprobe": "blacklist bochs\n"}, "bochs-drm", "", "keeps bochs-drm away"),
        ({"modprobe": f"{IDS}blacklist i915\n", "early": "vfio_pci\n"}, "i915", "vfio-pci", f"{OWN}:1 gives it"),
        ({"early": "vfio_pci ids=8086:9bc8\n"}, "vfio-pci", "vfio-pci", f"{EARLY}:1 gives it 8086:9bc8"),
        ({"early": "vfio_pci ids=8086:9bc8\n"}, "i915", "i915", "may be loaded before vfio-pci"),
        ({"early": "vfio_pci ids=10de:1cb3\n"}, "i915", "i915", "nothing keeps it away"),
        ({"override": f"take {ADDRESS} 8086:9bc8\n"}, "i915", "vfio-pci", f"{SCRIPT}:1 gives it its address"),
    ],
)
def test_the_files_decide(node, files: dict[str, str], driver: str, then: str, why: str) -> None:
    found = owner(node, driver=driver, **files)
    assert (found.now, found.then) == (driver, then)
    assert why in found.why


def test_what_cannot_be_told_is_not_guessed(node) -> None:
    assert isinstance(owner(node, driver="vfio-pci").then, model.Unknown)
    assert owner(node, driver=model.Unknown("the API does not tell")).then == model.Unknown("the API does not tell")


@pytest.mark.parametrize(
    ("modprobe", "early"), [("8086:9bc8", "10de:1b81"), ("10de:1b81", "8086:9bc8"), ("8086:9bc8", "")]
)
def test_which_ids_count_where_the_initramfs_has_others_is_not_guessed(node, modprobe: str, early: str) -> None:
    files = {
        "modprobe": f"options vfio-pci ids={modprobe}\nsoftdep i915 pre: vfio-pci\n",
        "early": f"vfio_pci ids={early}\n",
    }
    found = owner(node, **files)
    assert isinstance(found.then, model.Unknown)
    assert EARLY in found.then.unknown


@pytest.mark.parametrize(("driver", "token"), [("i915", "i915.modeset=0"), ("bochs-drm", "bochs.modeset=0")])
def test_a_driver_that_is_asked_to_leave_its_device_may_or_may_not(node, driver: str, token: str) -> None:
    found = owner(node, driver=driver, grub=f'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {token}"\n')
    assert isinstance(found.then, model.Unknown)
    assert token in found.then.unknown


def test_a_plan_that_changes_nothing_at_boot_tells_no_boot(node) -> None:
    assert forecast.of(declared(), node.facts(), ()) is None
