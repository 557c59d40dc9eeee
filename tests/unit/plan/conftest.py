"""A node with state, without a network: files, boot, VMs. Actions are carried out on it as the real steps would."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Callable, Iterator

import pytest

from transom import model
from transom.guest import conf, identity
from transom.host import grub, modprobe
from transom.plan import actions as acts
from transom.plan import emptying, guest_actions, make, reboot, rehearsal, result
from transom.spec import wish

KERNEL = "5.15.74-1-pve"
GRUB_MAIN = """GRUB_DEFAULT=0
GRUB_TIMEOUT=5
GRUB_DISTRIBUTOR=`( . /etc/os-release && echo ${NAME} )`
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX=""
"""
COVERED = (
    "/etc/default/grub.d/*.cfg", "/etc/modprobe.d/*.conf", "/etc/modules-load.d/*.conf", "/usr/share/kvm/*",
    "/etc/sysctl.d/*.conf", "/etc/initramfs-tools/scripts/init-top/*",
    "/etc/initramfs-tools/modules",
)  # fmt: skip
IGPU = model.PciDevice("0000:00:02.0", "8086", "9bc8", "030000", "1849:9bc8", "03", "i915", None, True)
AUDIO = model.PciDevice("0000:00:1f.3", "8086", "a3f0", "040300", "1849:9bc8", "", "snd_hda_intel", None)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Node:
    """State in, state out: ``facts()`` observes it, ``do(plan)`` carries a plan out."""

    def __init__(self) -> None:
        self.clock: Iterator[int] = itertools.count(1_000_000_000_000_000_000, 1_000_000_000)
        self.files: dict[str, tuple[str, int]] = {}
        self.boots = 0
        self.guests: dict[int, str] = {}
        self.devices: tuple[model.PciDevice, ...] = (IGPU, AUDIO)
        self.sysctl = {"vm.nr_hugepages": "0"}
        self.sysctl_makes: dict[str, str] = {}
        """What the kernel makes of items, where that is something else."""
        self.sysctl_set: dict[str, str] = {}
        self.options = {"kvm.ignore_msrs": "N"}
        self.running: set[int] = set()
        self.roms: dict[str, str] = {}
        self.builds = {"igd": model.RomResult("built", "b" * 64, "/state/roms/built/" + "b" * 64)}
        self.rom_users: dict[str, tuple[int, ...]] = {}
        self.undo_needs: dict[str, str] = {}
        self.dirty: set[model.Step] = set()
        self.kept: tuple[str, ...] | None = None
        self.armed = False
        self.reboot_from = ""
        self.initrd: tuple[str, int] = ("", 0)
        self.write("/etc/default/grub", GRUB_MAIN)
        self.write("/etc/modules", "# /etc/modules: kernel modules to load at boot time.\n\nloop\n")
        self.write("/etc/modprobe.d/pve-blacklist.conf", "# nvidiafb see bugreport\nblacklist nvidiafb\n")
        self.step(model.Step.INITRAMFS)
        self.step(model.Step.BOOTCONFIG)
        self.reboot()

    def write(self, path: str, text: str) -> None:
        self.files[path] = (text, next(self.clock))

    def reboot(self) -> None:
        self.boots += 1
        self.booted = next(self.clock)
        self.cmdline = tuple(self.grub_cfg_tokens())
        facts = self.facts()
        wanted = {item.value for item in modprobe_items(facts, "modules")}
        self.modules = (wanted - ({"vfio_virqfd"} if not KERNEL.startswith("5.") else set())) | {"loop"}
        self.pci = tuple(dataclasses.replace(dev, driver=self.binds(dev, facts)) for dev in self.devices)
        given = (item.value.partition("=") for item in modprobe_items(facts, "module_options"))
        self.options = {"kvm.ignore_msrs": "N", **{key: value for key, _, value in given}}
        self.step(model.Step.SYSCTL)
        self.sysctl_set = {}
        self.modules |= {dev.driver.replace("-", "_") for dev in self.pci if dev.driver}

    def binds(self, device: model.PciDevice, facts: model.Facts) -> str:
        """Whoever is loaded first. ``device`` has the driver that the kernel knows for it."""
        blacklist, ids, first, loaded, kept = (
            {item.value for item in modprobe_items(facts, key)}
            for key in ("blacklist", "vfio_ids", "softdep", "modules", "driver_override")
        )
        by_udev = device.driver not in blacklist
        if device.id in ids and by_udev and device.driver in first:
            return "vfio-pci"
        if f"{device.address}={device.id}" in kept:
            by_udev = False
        if by_udev:
            return str(device.driver)
        takes = device.id in ids or f"{device.address}={device.id}" in kept
        return "vfio-pci" if takes and "vfio_pci" in loaded else ""

    def grub_cfg_tokens(self) -> list[str]:
        text = self.files["/boot/grub/grub.cfg"][0]
        return text.split("linux\t/boot/vmlinuz-", 1)[1].splitlines()[0].split()[1:]

    def step(self, step: model.Step) -> None:
        if step is model.Step.BOOTCONFIG:
            merged = grub.merged(self.facts())
            assert not isinstance(merged, model.Unknown)
            tokens = " ".join(word.token for word in merged.words)
            entry = f"menuentry 'Proxmox VE GNU/Linux' {{\n\tlinux\t/boot/vmlinuz-{KERNEL} root=/dev/pve/root ro {tokens}\n}}\n"
            self.write("/boot/grub/grub.cfg", entry)
        elif step is model.Step.SYSCTL:
            for item in modprobe_items(self.facts(), "sysctl"):
                key, _, value = item.value.partition("=")
                self.sysctl[key] = self.sysctl_set[item.value] = self.sysctl_makes.get(item.value, value)
        else:
            self.initrd = ("image", next(self.clock))
        self.dirty.discard(step)

    def facts(self) -> model.Facts:
        files: dict[str, model.HostFile | model.Absent | model.Unknown] = {
            path: model.HostFile(path, text, sha256(text), mtime_ns=mtime) for path, (text, mtime) in self.files.items()
        }
        image = f"/boot/initrd.img-{KERNEL}"
        files[image] = model.HostFile(image, model.Unknown("binary"), "", mtime_ns=self.initrd[1])
        return model.Facts(
            node="pve1",
            boot=model.Boot(
                f"boot-{self.boots}", KERNEL, getattr(self, "cmdline", ()), "grub", False, getattr(self, "booted", 0)
            ),
            files=files,
            covered=COVERED,
            modules=frozenset(getattr(self, "modules", ())),
            module_options=dict(self.options),
            sysctl=dict(self.sysctl),
            sysctl_set=dict(self.sysctl_set),
            pci=getattr(self, "pci", (IGPU, AUDIO)),
            packages={"pve-qemu-kvm": "7.1.0-4", "pve-manager": "7.3-3"},
            hardware=model.Hardware(dmar=True),
            guests={
                vmid: model.GuestFile(vmid, text, hashlib.sha1(text.encode()).hexdigest())
                for vmid, text in self.guests.items()
            },
            states={
                vmid: model.GuestState(vmid, "running" if vmid in self.running else "stopped") for vmid in self.guests
            },
            quorate=True,
            roms=dict(self.roms),
            rom_builds=dict(self.builds),
            rom_users=dict(self.rom_users),
            undo_needs=dict(self.undo_needs),
            usb=frozenset({"046d:c07e", "04d9:0295"}),
            storages=frozenset({"local", "local-lvm"}),
            iomem="",
            standing=model.Standing((), (), {}, None, (), (), (), ()),
            keeping=model.Keeping(tuple(sorted(self.dirty)), self.reboot_from),
        )

    def do(self, plan: result.Plan) -> None:
        for action in plan.actions:
            self.act(action)

    def act(self, action: acts.Action) -> None:
        match action:
            case acts.WriteFile():
                assert self.armed or not action.owes, "whatever reboots it then boots this"
                assert self.kept is None or action.path in self.kept, "it could not be brought back"
                self.dirty.update(action.after)
                self.write(action.path, action.text)
            case acts.RemoveFile():
                self.dirty.update(action.after)
                del self.files[action.path]
            case rehearsal.Simulate():
                then = {path: text for path, (text, _) in self.files.items()} | action.files
                assert then != {path: text for path, (text, _) in self.files.items()}, "nothing is tried that is there"
            case acts.RunStep():
                self.step(action.step)
            case acts.KeepBoot():
                self.kept = action.paths
            case acts.ArmRollback():
                assert self.kept is not None, "there is nothing to go back to"
                self.armed = True
            case acts.Reboot():
                assert self.armed
                assert not self.dirty, "everything is rebuilt by then"
                self.reboot()
            case emptying.Drain() | emptying.Undrain():
                pass  # what runs here is not looked at after a reboot
            case acts.Confirm():
                assert reboot.missing(action, self.facts()) == ()
                self.kept, self.armed = None, False
            case acts.PlaceRom():
                self.roms[action.filename] = action.sha256
            case acts.RemoveRom():
                del self.roms[action.filename]
            case guest_actions.CreateGuest():
                values = {**action.api, **action.root, "vmgenid": "0f5e6a52-0000-4000-8000-000000000001"}
                self.set_guest(
                    action.vmid or next(vmid for vmid in itertools.count(100) if vmid not in self.guests), values
                )
            case guest_actions.ChangeGuest():
                before = conf.parse(self.guests[action.vmid])
                values = dict(before.persisted())
                for key, value in action.wanted.items():
                    if value is None:
                        values.pop(key, None)
                    else:
                        values[key] = value
                self.set_guest(action.vmid, values, before.others)
            case _:
                raise AssertionError(f"no such action here: {action}")

    def set_guest(self, vmid: int, values: dict[str, str], snapshots: tuple[conf.Section, ...] = ()) -> None:
        description = values.pop("description", "")
        made = {
            key: re.sub(r"(local-lvm|local):(\d+)(?=,|$)", rf"\1:vm-{vmid}-disk-0,size=\2G", value)
            for key, value in values.items()
        }
        self.guests[vmid] = conf.render(conf.GuestConf(main=made, description=description, others=snapshots))


def modprobe_items(facts: model.Facts, key: str) -> tuple[modprobe.setting.Item, ...]:
    from transom.host import registry

    items = registry.by_key(key).read(facts)
    assert not isinstance(items, model.Unknown)
    return items


class Desk:
    """Plans for one node and keeps its ledger, as a run does."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.ledger: dict[str, model.Entry] = {}

    def plan(self, want: wish.NodeWish, *, take_over: bool = False) -> result.Plan:
        return make.make(want, self.node.facts(), self.ledger, take_over=take_over)

    def apply(self, want: wish.NodeWish, *, take_over: bool = False) -> result.Plan:
        plan = self.plan(want, take_over=take_over)
        assert not plan.held, plan.gates
        for entry in plan.entries:
            old = self.ledger.get(entry.path)
            self.ledger[entry.path] = dataclasses.replace(entry, before=old.before) if old else entry
        self.node.do(plan)
        for path, entry in self.ledger.items():
            if re.fullmatch(r"qemu/\d+", path) and entry.applied is None:
                made = identity.vmgenid(conf.parse(self.node.guests[int(path[5:])]))
                self.ledger[path] = dataclasses.replace(entry, applied=made)
            elif entry.applied is None and (disk := re.fullmatch(r"qemu/(\d+)/(\w+)", path)):
                there = conf.parse(self.node.guests[int(disk[1])]).persisted()
                self.ledger[path] = dataclasses.replace(entry, applied=there.get(disk[2]))
        for path in plan.forgets:
            self.ledger.pop(path, None)
        return plan


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def desk(node: Node) -> Desk:
    return Desk(node)


@pytest.fixture(scope="session")
def desk_anew() -> Callable[[], Desk]:
    """For tests that need one for each example."""
    return lambda: Desk(Node())
