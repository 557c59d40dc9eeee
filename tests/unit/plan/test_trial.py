"""Where a change can be booted once before it is made, with which parameters, and why not elsewhere."""

from __future__ import annotations

import configparser
import dataclasses
import os
import pathlib
import shlex
import subprocess

import pytest

from transom import model
from transom.host import loader
from transom.plan import actions as acts
from transom.plan import emptying, make, once, trial
from transom.spec import wish

MENU = """\
### BEGIN /etc/grub.d/00_header ###
if [ "${next_entry}" ] ; then
   save_env next_entry
fi
### END /etc/grub.d/00_header ###
### BEGIN /etc/grub.d/10_linux ###
menuentry 'Proxmox VE' {
\tsavedefault
\tinsmod ext2
\tlinux\t/boot/vmlinuz-5.15.74-1-pve root=/dev/sda2 ro  quiet
\tinitrd\t/boot/initrd.img-5.15.74-1-pve
}
### END /etc/grub.d/10_linux ###
### BEGIN /etc/grub.d/41_custom ###
source $prefix/custom.cfg
### END /etc/grub.d/41_custom ###
"""
ACCESS = wish.Access((), "t", wish.SecretRef(), "", "", "pve1", 22, "root", wish.SecretRef(), "")
PLAIN = model.OneShot("ext4 on sda2", True, frozenset({"grub-reboot", "kexec", "bootctl"}))
WANTS = {
    "kernel_cmdline": ("iommu=pt",),
    "modules": ("vfio_pci",),
    "vfio_ids": ("8086:9bc8",),
    "blacklist": ("i915",),
    "module_options": ("kvm.ignore_msrs=1",),
}


def declared(how: str = "auto", **more: tuple[str, ...]) -> wish.NodeWish:
    host = {key: tuple(wish.Want(value, "Node/pve1") for value in values) for key, values in (WANTS | more).items()}
    devices = {"igpu": wish.DeviceWish("igpu", "8086:9bc8")}
    return wish.NodeWish("pve1", "pve1", "Node/pve1", "home", ACCESS, host, devices, (), trial=how)


@pytest.fixture
def facts(node) -> model.Facts:
    seen = node.facts()
    files = {**seen.files, "/boot/grub/grub.cfg": model.HostFile("/boot/grub/grub.cfg", MENU, "a" * 64)}
    boot = dataclasses.replace(seen.boot, manager=loader.MKCONFIG)
    return dataclasses.replace(seen, files=files, oneshot=PLAIN, boot=boot)


def judged(facts: model.Facts, want: wish.NodeWish) -> once.TryBoot | str | None:
    return trial.judge(make.make(dataclasses.replace(want, trial="off"), facts, {}).actions, want, facts)


def test_everything_is_on_the_command_line(facts) -> None:
    found = judged(facts, declared())
    assert isinstance(found, once.TryBoot)
    line = " ".join(found.line)
    assert line.startswith(
        "root=/dev/sda2 ro quiet iommu=pt vfio-pci.ids=8086:9bc8 modprobe.blacklist=i915 kvm.ignore_msrs=1 modules_load=vfio_pci"
    )
    assert {"panic=30", f"systemd.wants={once.UNIT}", found.mark} <= set(found.line)
    assert found.drivers == {"0000:00:02.0": "vfio-pci"}
    assert f"\tlinux\t/boot/vmlinuz-5.15.74-1-pve {line}\n" in found.entry
    assert "savedefault" not in found.entry, "the default would become what is only to be tried"


def test_what_comes_before_a_driver_that_loads_is_said_in_files_alone(facts) -> None:
    assert judged(facts, declared(blacklist=())) == "no parameter has vfio-pci come before i915 (softdep)"


def test_it_comes_before_anything_is_written_and_counts_as_a_reboot(facts) -> None:
    kinds = [type(action) for action in make.make(declared(), facts, {}).actions]
    assert kinds.index(emptying.Drain) < kinds.index(once.TryBoot) < kinds.index(acts.WriteFile)
    assert kinds.count(emptying.Drain) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"oneshot": dataclasses.replace(PLAIN, menu="ext4 on dm-1")}, "a one-shot entry would stay"),
        ({"oneshot": dataclasses.replace(PLAIN, menu="ext4 on md0")}, "a one-shot entry would stay"),
        ({"oneshot": dataclasses.replace(PLAIN, menu="")}, "a one-shot entry would stay"),
        ({"oneshot": dataclasses.replace(PLAIN, menu="btrfs on sda2")}, "a one-shot entry would stay"),
        ({"oneshot": dataclasses.replace(PLAIN, grubenv=False)}, "there is no /boot/grub/grubenv"),
        ({"oneshot": model.Unknown("probe oneshot failed")}, "probe oneshot failed"),
        ({"here": True}, "Transom itself runs on this node"),
    ],
)
def test_where_it_cannot_be_the_reason_is_told_and_nothing_held(facts, change, why: str) -> None:
    seen = dataclasses.replace(facts, **change)
    assert why in str(judged(seen, declared()))
    plan = make.make(declared(), seen, {})
    (note,) = [one for one in plan.findings if one.id == "no-trial"]
    assert why in note.evidence[0].says
    assert not note.holds
    assert not any(isinstance(action, once.TryBoot) for action in plan.actions)


@pytest.mark.parametrize("token", ["init=/bin/false", "root=/dev/sda9", "systemd.unit=rescue.target"])
def test_where_it_cannot_be_what_the_kernel_starts_with_is_not_changed(facts, token: str) -> None:
    seen = dataclasses.replace(facts, oneshot=dataclasses.replace(PLAIN, menu="ext4 on dm-1"))
    plan = make.make(declared(kernel_cmdline=(token,)), seen, {})
    (note,) = [one for one in plan.findings if one.id == "no-trial"]
    assert (note.holds, plan.actions) == (True, ())
    assert f"{token} is new" in str(note.evidence)
    assert make.make(declared("off", kernel_cmdline=(token,)), seen, {}).actions
    assert make.make(declared(kernel_cmdline=(token,)), facts, {}).actions, "a trial is what it is for"


def test_a_menu_without_one_shot_entries_is_not_trusted(facts) -> None:
    for gone in ("save_env next_entry", "custom.cfg", "vmlinuz-5.15.74-1-pve"):
        file = model.HostFile("/boot/grub/grub.cfg", MENU.replace(gone, "x"), "a" * 64)
        seen = dataclasses.replace(facts, files={**facts.files, file.path: file})
        assert isinstance(judged(seen, declared()), str), gone


def test_kexec_is_used_only_where_it_is_agreed_to(facts) -> None:
    seen = dataclasses.replace(facts, oneshot=dataclasses.replace(PLAIN, menu="ext4 on dm-1"))
    assert isinstance(judged(seen, declared("auto")), str)
    found = judged(seen, declared("kexec"))
    assert isinstance(found, once.TryBoot)
    assert found.means == "kexec"
    without = dataclasses.replace(seen, oneshot=model.OneShot("ext4 on dm-1", True, frozenset()))
    assert "kexec is not installed" in str(judged(without, declared("kexec")))


FIRMWARE = model.Firmware(
    64, "rw", 60000, False, "", True, True, 60 << 20, (model.EspRoom("/boot/efi", "/dev/sda", 2, 400 << 20),)
)


@pytest.mark.parametrize(
    ("how", "menu", "firmware", "means"),
    [
        ("auto", "ext4 on sda2", FIRMWARE, "grub"),
        ("kexec", "ext4 on sda2", FIRMWARE, "grub"),
        ("bootnext", "ext4 on sda2", FIRMWARE, "bootnext"),
        ("bootnext", "ext4 on dm-1", FIRMWARE, "bootnext"),
        ("kexec", "ext4 on dm-1", FIRMWARE, "kexec"),
    ],
)
def test_the_loaders_own_one_shot_goes_first_and_others_only_when_they_are_named(
    facts, how: str, menu: str, firmware: model.Firmware, means: str
) -> None:
    seen = dataclasses.replace(facts, oneshot=dataclasses.replace(PLAIN, menu=menu), firmware=firmware)
    found = judged(seen, declared(how))
    assert isinstance(found, once.TryBoot)
    assert found.means == means
    if means == "bootnext":
        assert (found.esps, found.disk, found.part) == (("/boot/efi",), "/dev/sda", 2)
        assert found.line[-2:] == ("transom.loader=grub", r"initrd=\EFI\transom-trial\initrd.img")
        assert {"panic=30", found.mark} <= set(found.line)


def test_where_no_means_serves_the_plan_says_why_of_each(facts) -> None:
    secure = dataclasses.replace(FIRMWARE, secure_boot=True)
    seen = dataclasses.replace(facts, oneshot=dataclasses.replace(PLAIN, menu="zfs on sda3"), firmware=secure)
    (note,) = [one for one in make.make(declared("auto"), seen, {}).findings if one.id == "no-trial"]
    assert "GRUB cannot write its environment on zfs on sda3" in note.evidence[0].says
    assert "not by BootNext: Secure Boot is enabled" in note.evidence[0].says
    assert str(judged(seen, declared("bootnext"))).startswith("not by BootNext: Secure Boot is enabled")
    could = dataclasses.replace(seen, firmware=FIRMWARE)
    assert "the firmware can with `trial: bootnext`" in str(judged(could, declared("auto")))


@pytest.mark.parametrize("token", ["memmap=1G$4G", 'dyndbg="file a.c +p"', "a=b;c"])
def test_what_a_boot_loader_reads_otherwise_is_not_tried(facts, token: str) -> None:
    assert "characters that boot loaders read" in str(judged(facts, declared(kernel_cmdline=(token,))))


def test_what_no_parameter_says_is_not_tried(facts) -> None:
    ledger = {
        "host/blacklist/nouveau": model.Entry("pve1", "host/blacklist/nouveau", None, "nouveau", "Node/pve1", "run")
    }
    own = "/etc/modprobe.d/zz-transom.conf"
    files = {**facts.files, own: model.HostFile(own, "blacklist nouveau\n", "b" * 64)}
    seen = dataclasses.replace(facts, files=files)
    want = declared()
    plan = make.make(dataclasses.replace(want, trial="off"), seen, ledger)
    assert "takes nouveau (blacklist) out of the files" in str(trial.judge(plan.actions, want, seen))


def test_nothing_asked_for_nothing_to_try(facts) -> None:
    assert judged(facts, declared("off")) is None
    assert trial.judge((), declared(), facts) is None


def test_a_trial_that_nobody_confirmed_holds_and_one_that_stayed_is_ended(facts) -> None:
    seen = dataclasses.replace(facts, keeping=model.Keeping(trial=True))
    assert "trial-running" in {gate.name for gate in make.make(declared(), seen, {}).gates}
    line = (*facts.boot.cmdline, f"{once.MARK}0123")
    left = dataclasses.replace(facts, boot=dataclasses.replace(facts.boot, cmdline=line))
    nothing = dataclasses.replace(declared(), host={})
    assert acts.Reboot in [type(action) for action in make.make(nothing, left, {}).actions]


ENTRY = """\
title    Proxmox Virtual Environment
version  5.15.74-1-pve
options  root=ZFS=rpool/ROOT/pve-1 boot=zfs
linux    /EFI/proxmox/5.15.74-1-pve/vmlinuz-5.15.74-1-pve
initrd   /EFI/proxmox/5.15.74-1-pve/initrd.img-5.15.74-1-pve
"""


def by_systemd_boot(facts: model.Facts) -> model.Facts:
    """Under proxmox-boot-tool with two ESPs, on which a person has an entry of the same kernel, too."""
    texts = {
        "loader/loader.conf": "default proxmox-*\n",
        "loader/entries/a-by-hand.conf": ENTRY.replace("root=", "rd.break root="),
        "loader/entries/proxmox-5.15.74-1-pve.conf": ENTRY,
    }
    line = "root=ZFS=rpool/ROOT/pve-1 boot=zfs\n"
    return dataclasses.replace(
        facts,
        files={**facts.files, "/etc/kernel/cmdline": model.HostFile("/etc/kernel/cmdline", line, "a" * 64)},
        boot=dataclasses.replace(facts.boot, loader=loader.SYSTEMD_BOOT, manager=loader.BOOT_TOOL),
        esps=(model.Esp("2A13-C6F9", texts), model.Esp("2A15-0001", texts)),
    )


def test_systemd_boot_gets_a_copy_of_the_entry_that_the_nodes_tool_wrote(facts) -> None:
    found = judged(by_systemd_boot(facts), declared())
    assert isinstance(found, once.TryBoot)
    assert (found.means, found.esps) == ("systemd-boot", ("2A13-C6F9", "2A15-0001"))
    assert found.entry == (
        "title Transom: trial boot\n"
        "version  5.15.74-1-pve\n"
        "linux    /EFI/proxmox/5.15.74-1-pve/vmlinuz-5.15.74-1-pve\n"
        "initrd   /EFI/proxmox/5.15.74-1-pve/initrd.img-5.15.74-1-pve\n"
        f"options {' '.join(found.line)}\n"
    )
    assert found.line[:3] == ("root=ZFS=rpool/ROOT/pve-1", "boot=zfs", "iommu=pt")


def test_without_an_entry_of_the_tools_systemd_boot_tries_nothing(facts) -> None:
    seen = by_systemd_boot(facts)
    left = {"loader/loader.conf": "default *\n", "loader/entries/a-by-hand.conf": ENTRY}
    changes = make.make(dataclasses.replace(declared(), trial="off"), seen, {}).actions
    lost = dataclasses.replace(seen, esps=(model.Esp("2A13-C6F9", left),))
    assert trial.judge(changes, declared(), lost) == "no boot entry of systemd-boot was found on 1 ESPs"


def test_the_watch_reboots_softly_first_and_gives_way_to_the_shutdown_that_it_asks_for(tmp_path: pathlib.Path) -> None:
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(once._WATCH)
    assert unit["Unit"]["Conflicts"] == unit["Unit"]["Before"] == "shutdown.target", (
        "or it resets over guests that stop"
    )
    asked = tmp_path / "asked"
    for name in ("sleep", "systemctl"):
        tool = tmp_path / name
        tool.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" "${{SYSTEMCTL_SKIP_AUTO_KEXEC-}}" >>{asked}\n')
        tool.chmod(0o755)
    given = dict(pair.split("=") for pair in unit["Service"]["Environment"].split())
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **given}
    subprocess.run(shlex.split(unit["Service"]["ExecStart"]), env=env, check=False)
    assert asked.read_text().splitlines() == [
        f"sleep {once.WITHIN} 1",
        "systemctl -i reboot 1",
        "sleep 300 1",
        "systemctl --force reboot 1",
        "sleep 60 1",
        "systemctl --force --force reboot 1",
    ]
