"""Ways in which a node goes wrong in the field, done to a lab node on purpose. Each says whether Transom can put it right alone.

``repairable`` means: by the policy, without a person. What a person must decide or do (a BIOS switch, a file of the user's that
contradicts, a lock that another holds) is only ever reported.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

from transom import errors
from transom.lab import fleet, machine, world

STOCK = machine.GRUB_DEFAULT.replace('GRUB_CMDLINE_LINUX_DEFAULT="quiet"', 'GRUB_CMDLINE_LINUX_DEFAULT=""')
CARD = world.PciFunction("0000:01:00.0", "10de", "1bb3", "030200", "10de:11d8", "a1", parent="0000:00:01.0")
"""A Tesla P4 in the x16 slot, as in the article."""
FLASHED = "P2.30"
"""Version of the BIOS after its update."""
REMOVED = "5.13.19-2-pve"
"""A kernel that no lab node has."""
DISPLAY_CARD = dataclasses.replace(CARD, device="1b81", class_code="030000", subsystem="1458:3701")


@dataclasses.dataclass(frozen=True)
class Break:
    """One way. ``apply`` returns what it did, in one line; Rejected when there is nothing there to break."""

    kind: str
    summary: str
    repairable: bool
    _do: Callable[[fleet.FleetNode], str]

    def apply(self, lab: fleet.Fleet, target: fleet.FleetNode) -> str:
        """Does it to a node of ``lab``."""
        assert lab.node(target.name) is target
        return self._do(target)


KINDS: dict[str, Break] = {}

Do = Callable[[fleet.FleetNode], str]


def _break(kind: str, summary: str, *, repairable: bool) -> Callable[[Do], Do]:
    def register(do: Do) -> Do:
        KINDS[kind] = Break(kind, summary, repairable, do)
        return do

    return register


def find(kind: str) -> Break:
    """The break of that name; Rejected with the names that there are."""
    if kind not in KINDS:
        raise errors.Rejected(f"there is no break called {kind}", hint=f"one of {', '.join(KINDS)}")
    return KINDS[kind]


# --- the VM ----------------------------------------------------------------------------------------------------------


def _guest(target: fleet.FleetNode) -> tuple[str, dict[str, str]]:
    """VMID and main section of the first VM with a passed-through device."""
    for path in sorted((target.root / f"etc/pve/nodes/{target.name}/qemu-server").glob("*.conf")):
        main = path.read_text().partition("\n[")[0]
        config = dict(line.split(": ", 1) for line in main.splitlines() if ": " in line and line[0] != "#")
        if "hostpci0" in config:
            return path.stem, config
    raise errors.Rejected(f"no VM on {target.name} has a hostpci0", hint="apply the documents first")


@_break("vm-edited-in-ui", "the PCI device is edited in the web UI, which drops legacy-igd", repairable=True)
def _vm_edited(target: fleet.FleetNode) -> str:
    vmid, config = _guest(target)
    kept = [part for part in config["hostpci0"].split(",") if not part.startswith("legacy-igd")]
    target.run("qm", "set", vmid, "--hostpci0", ",".join(kept))
    return f"VM {vmid}: hostpci0 is now {','.join(kept)}"


@_break("args-dropped", "the VM's args are deleted", repairable=True)
def _args_dropped(target: fleet.FleetNode) -> str:
    vmid, _ = _guest(target)
    target.run("qm", "set", vmid, "--delete", "args")
    return f"VM {vmid}: args deleted"


@_break("vga-changed", "the VM's display is set to std", repairable=True)
def _vga_changed(target: fleet.FleetNode) -> str:
    vmid, _ = _guest(target)
    target.run("qm", "set", vmid, "--vga", "std")
    return f"VM {vmid}: vga is now std"


@_break("vm-locked", "a backup holds the VM's lock", repairable=False)
def _vm_locked(target: fleet.FleetNode) -> str:
    vmid, _ = _guest(target)
    path = target.root / f"etc/pve/nodes/{target.name}/qemu-server/{vmid}.conf"
    path.write_text(f"lock: backup\n{path.read_text()}")
    return f"VM {vmid} is locked (backup)"


# --- files of the host -----------------------------------------------------------------------------------------------


def _file(target: fleet.FleetNode, *names: str) -> Path:
    found = next((target.root / name for name in names if (target.root / name).is_file()), None)
    if found is None:
        raise errors.Rejected(f"{target.name} has no /{names[0]}", hint="apply the documents first")
    return found


def _rewrite(path: Path, content: str) -> None:
    """As editors do: a new file in the old one's place."""
    fresh = path.with_name(f"{path.name}~lab")
    fresh.write_text(content)
    fresh.replace(path)


@_break("grub-replaced", "another tool replaces /etc/default/grub and runs update-grub", repairable=True)
def _grub_replaced(target: fleet.FleetNode) -> str:
    _rewrite(_file(target, "etc/default/grub"), STOCK)
    target.run("update-grub")
    return "/etc/default/grub is a stock file without kernel parameters now"


@_break("grub-dropin-removed", "somebody deletes Transom's GRUB drop-in and runs update-grub", repairable=True)
def _grub_dropin(target: fleet.FleetNode) -> str:
    _file(target, "etc/default/grub.d/90-transom.cfg").unlink()
    target.run("update-grub")
    return "/etc/default/grub.d/90-transom.cfg is gone"


@_break("modules-edited", "the list of modules to load loses vfio_pci", repairable=True)
def _modules_edited(target: fleet.FleetNode) -> str:
    path = _file(target, "etc/modules-load.d/transom.conf", "etc/modules")
    return _without(target, path, "vfio_pci")


@_break("modprobe-edited", "Transom's modprobe file loses its blacklist of i915", repairable=True)
def _modprobe_edited(target: fleet.FleetNode) -> str:
    return _without(target, _file(target, "etc/modprobe.d/zz-transom.conf"), "blacklist i915")


def _without(target: fleet.FleetNode, path: Path, line: str) -> str:
    lines = path.read_text().splitlines(keepends=True)
    kept = [one for one in lines if one.strip() != line]
    if kept == lines:
        raise errors.Rejected(f"/{path.relative_to(target.root)} has no line {line!r}")
    _rewrite(path, "".join(kept))
    return f"/{path.relative_to(target.root)} has lost the line {line!r}"


@_break("second-blacklist", "another guide's modprobe file, read after ours, takes the vfio ids away", repairable=False)
def _second_blacklist(target: fleet.FleetNode) -> str:
    path = target.root / "etc/modprobe.d/zzz-gpu.conf"
    path.write_text("blacklist i915\nblacklist nouveau\noptions vfio-pci ids=10de:1bb3\n")
    return "/etc/modprobe.d/zzz-gpu.conf gives vfio-pci other ids"


@_break("foreign-contradiction", "the user's own /etc/default/grub says intel_iommu=off", repairable=False)
def _foreign(target: fleet.FleetNode) -> str:
    path = _file(target, "etc/default/grub")
    pattern = r'^(GRUB_CMDLINE_LINUX_DEFAULT="[^"\n]*)"'
    text, changed = re.subn(pattern, r'\1 intel_iommu=off"', path.read_text(), count=1, flags=re.M)
    if not changed:
        raise errors.Rejected("/etc/default/grub has no GRUB_CMDLINE_LINUX_DEFAULT to contradict in")
    _rewrite(path, text)
    return "/etc/default/grub has intel_iommu=off now"


@_break("initramfs-stale", "the initramfs is from before the blacklist, and the host reboots with it", repairable=True)
def _initramfs_stale(target: fleet.FleetNode) -> str:
    ours = _file(target, "etc/modprobe.d/zz-transom.conf")
    for path in (target.root / "boot").glob("initrd.img-*"):
        machine.write_initrd(target.root, path.name.removeprefix("initrd.img-"), without=ours)
        machine.age(path, 3600)
    target.reboot()
    return "the initramfs lacks zz-transom.conf; the host driver has the device again"


def _roms(target: fleet.FleetNode) -> Path:
    vmid, config = _guest(target)
    name = dict(part.partition("=")[::2] for part in config["hostpci0"].split(",")).get("romfile")
    if not name:
        raise errors.Rejected(f"VM {vmid} has no ROM file")
    return _file(target, f"usr/share/kvm/{name}")


@_break("rom-lost", "the option ROM is gone from the host", repairable=True)
def _rom_lost(target: fleet.FleetNode) -> str:
    path = _roms(target)
    path.unlink()
    return f"/usr/share/kvm/{path.name} is gone"


@_break("rom-corrupted", "a byte of the option ROM has changed", repairable=True)
def _rom_corrupted(target: fleet.FleetNode) -> str:
    path = _roms(target)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return f"/usr/share/kvm/{path.name} has another byte in its middle"


# --- the machine, its packages, the cluster --------------------------------------------------------------------------


@_break("node-down", "the node loses power", repairable=False)
def _node_down(target: fleet.FleetNode) -> str:
    target.power_cut()
    return f"{target.name} is off; `transom lab power on {target.name}` starts it again"


@_break("token-revoked", "the API token is deleted in the cluster", repairable=False)
def _token_revoked(target: fleet.FleetNode) -> str:
    for root in target.cluster_roots():
        _rewrite(root / "etc/pve/priv/token.cfg", "")
    return "the cluster knows no API token any more"


@_break("no-quorum", "the node's cluster has lost its quorum: /etc/pve is read-only", repairable=False)
def _no_quorum(target: fleet.FleetNode) -> str:
    for root in target.cluster_roots():
        (root / "etc/pve/.noquorum").touch()
    return "the cluster has no quorum"


@_break("vtd-off", "a BIOS update has turned VT-d off", repairable=False)
def _vtd_off(target: fleet.FleetNode) -> str:
    _firmware(target, lambda bios: dataclasses.replace(bios, vtd=False))
    target.reboot()
    return "VT-d is off"


@_break(
    "bios-updated",
    "a BIOS update: another version, VT-d off as by default, another number for each bus",
    repairable=False,
)
def _bios_updated(target: fleet.FleetNode) -> str:
    _firmware(target, lambda bios: dataclasses.replace(bios, bios=FLASHED, bios_date="09/02/2024", vtd=False))
    target.change(lambda one: dataclasses.replace(one, pci=tuple(map(_moved, one.pci))))
    target.reboot()
    return f"the BIOS is {FLASHED}; VT-d is off, and what was on bus 01 is on bus 02 now"


@_break("igpu-hidden", "a card was added while multi-monitor is off in the BIOS: the iGPU is gone", repairable=False)
def _igpu_hidden(target: fleet.FleetNode) -> str:
    _firmware(target, lambda bios: dataclasses.replace(bios, multi_monitor=False))
    _add_card(target, DISPLAY_CARD)
    target.reboot()
    return "a card at 0000:01:00.0 hides the iGPU"


@_break("bus-renumbered", "a card was added, and every bus behind it has a new number (00:02.0 stays)", repairable=True)
def _bus_renumbered(target: fleet.FleetNode) -> str:
    _add_card(target, CARD)
    target.reboot()
    return "what was on bus 01 is on bus 02 now"


def _firmware(target: fleet.FleetNode, how: Callable[[world.Firmware], world.Firmware]) -> None:
    target.change(lambda one: dataclasses.replace(one, firmware=how(one.firmware)))


def _add_card(target: fleet.FleetNode, card: world.PciFunction) -> None:
    if any(device.address == card.address and device.id == card.id for device in target.hardware.pci):
        raise errors.Rejected("the card is in already")
    target.change(lambda one: dataclasses.replace(one, pci=(*map(_moved, one.pci), card)))


def _moved(device: world.PciFunction) -> world.PciFunction:
    domain, bus, rest = device.address.split(":")
    number = int(bus, 16)
    return dataclasses.replace(device, address=f"{domain}:{number + 1:02x}:{rest}") if number else device


@_break("kernel-upgraded", "a newer kernel is installed, and the host reboots into it", repairable=True)
def _kernel_upgraded(target: fleet.FleetNode) -> str:
    fresh = {"seed": "6.2.16-20-pve", "zfs": "6.2.16-20-pve"}.get(target.hardware.flavour, "6.17.2-1-pve")
    if fresh in target.hardware.kernels:
        raise errors.Rejected(f"kernel {fresh} is installed already")
    packages = {**target.hardware.packages, f"pve-kernel-{fresh}": fresh.removesuffix("-pve")}
    target.change(lambda one: dataclasses.replace(one, kernels=(fresh, *one.kernels), packages=packages))
    machine.install(target.root, target.hardware)
    target.run("update-initramfs", "-u", "-k", fresh)
    target.run("update-grub")
    target.reboot()
    return f"the host runs {fresh}"


@_break(
    "kernel-pin-stale", "the kernel that the boot loader is told to boot is not installed any more", repairable=False
)
def _kernel_pin(target: fleet.FleetNode) -> str:
    if (target.root / "etc/kernel/proxmox-boot-uuids").exists():
        (target.root / "etc/kernel/proxmox-boot-pin").write_text(f"{REMOVED}\n")
        return f"proxmox-boot-tool has kernel {REMOVED} pinned"
    path = _file(target, "etc/default/grub")
    entry = f"gnulinux-advanced-root>gnulinux-{REMOVED}-advanced-root"
    _rewrite(path, re.sub(r"(?m)^GRUB_DEFAULT=.*$", f'GRUB_DEFAULT="{entry}"', path.read_text()))
    return f"/etc/default/grub boots {REMOVED} by default"


@_break("qemu-upgraded", "QEMU 9.2 is installed, which has no legacy mode for this generation", repairable=False)
def _qemu_upgraded(target: fleet.FleetNode) -> str:
    packages = {**target.hardware.packages, "pve-qemu-kvm": "9.2.0-5"}
    target.change(lambda one: dataclasses.replace(one, packages=packages))
    machine.install(target.root, target.hardware)
    target.restart_api()
    return "pve-qemu-kvm is 9.2.0-5"
