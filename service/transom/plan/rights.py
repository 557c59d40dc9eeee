"""What the API must let us do for what the documents want: need → privilege → path → why. One table, to grant and to check by.

Privileges and paths are those that PVE's API asks for (pve-access-control; qemu-server 9.2.6, ``check_vm_modify_config_perm``).
What only root may set needs no privilege: none helps.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from transom.guest import field, registry
from transom.host import versions
from transom.spec import wish

LATEST = "9.0"
OLDEST = "7.3"
_BRIDGES = ">=8.0"
"""Since then bridges and mappings of devices have rights of their own."""
_AGENT = ">=9.0"
"""Since then the guest agent has; before it was all or nothing by VM.Monitor."""


@dataclasses.dataclass(frozen=True)
class Need:
    """One privilege on one path. ``instead``: privileges of which each serves as well, since PVE asks for any of them."""

    path: str
    privilege: str
    why: str
    document: str = ""
    """Who wants it; empty for what every fleet needs."""
    instead: tuple[str, ...] = ()

    def met(self, granted: Iterable[str]) -> bool:
        """Whether the privileges granted on the path serve."""
        return not {self.privilege, *self.instead}.isdisjoint(granted)


# What every cluster needs, with the privileges that serve as well.
_ALWAYS = (
    Need("/", "Sys.Audit", "see quorum and the host's PCI devices"),
    Need("/vms", "VM.Audit", "see every VM: whose a device is, and what a reboot would stop"),
)
# What every VM needs, on /vms/VMID.
_EVERY_VM = (
    ("VM.Audit", "read its configuration, pending changes and state"),
    ("VM.Allocate", "create it, and delete it when that is asked for"),
    ("VM.PowerMgmt", "start, shut down and restart it"),
    ("VM.Config.Options", "mark it as Transom's (tag and description)"),
)
# Which privilege a key of a VM needs, whatever its value.
_KEYS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(keys), privilege)
    for keys, privilege in (
        (r"cores|cpu|cpulimit|cpuunits|numa\d*|sockets|vcpus", "VM.Config.CPU"),
        (r"memory|balloon|shares|allow-ksm", "VM.Config.Memory"),
        (r"acpi|hotplug|kvm|machine|scsihw|smbios1|tablet|vga|watchdog|audio0|rng0", "VM.Config.HWType"),
        (r"hostpci\d+|usb\d+|serial\d+", "VM.Config.HWType"),
        (
            r"agent|autostart|bios|description|keyboard|localtime|migrate_downtime|migrate_speed|name|onboot|ostype"
            r"|protection|reboot|startdate|startup|tags|tdf|template",
            "VM.Config.Options",
        ),
        (r"freeze", "VM.PowerMgmt"),
        (r"boot|bootdisk|vmstatestorage|unused\d+|virtiofs\d+", "VM.Config.Disk"),
        (r"net\d+", "VM.Config.Network"),
    )
)
_CLOUD = re.compile(r"cicustom|citype|ciuser|ciupgrade|nameserver|searchdomain|sshkeys|ipconfig\d+")
_DRIVE = re.compile(r"(ide|sata|scsi|virtio|efidisk|tpmstate)\d+")
_SPACE = "Datastore.AllocateSpace"


def needs(nodes: Sequence[wish.NodeWish], version: str, *, agent: bool = False) -> tuple[Need, ...]:
    """Everything that the nodes of one cluster need, by path; each privilege of a path once, with the first reason for it.

    ``version`` is PVE's (``8.4``); ValueError when it is none. ``agent``: the guest agent of VMs that have one is asked, too.
    """
    found = [*_ALWAYS]
    for node in nodes:
        if not node.access.has_ssh:
            why = "read its kernel and packages, for want of a shell"
            found.append(Need(f"/nodes/{node.pve_node}", "Sys.Audit", why, node.document))
        for guest in node.guests:
            found += _guest(guest, version, agent=agent)
    unique: dict[tuple[str, str], Need] = {}
    for need in found:
        if _exists(need, version):
            unique.setdefault((need.path, need.privilege), need)
    served = {key for key, need in unique.items() if any((need.path, other) in unique for other in need.instead)}
    return tuple(unique[key] for key in sorted(unique) if key not in served)


def root_only(nodes: Sequence[wish.NodeWish]) -> dict[str, tuple[str, ...]]:
    """VM document → its keys that root alone may set, whatever a token is granted."""
    found = {}
    for guest in (guest for node in nodes for guest in node.guests):
        keys = {key for key, want in guest.config.items() if _by_root(key, want.value)}
        if guest.device is not None and (guest.rom or not guest.device.mapping):
            keys.add("hostpci0")
        if keys:
            found[guest.document] = tuple(sorted(keys))
    return found


def _exists(need: Need, version: str) -> bool:
    return versions.matches(version, _BRIDGES) or not need.privilege.startswith(("SDN.", "Mapping."))


def _guest(guest: wish.GuestWish, version: str, *, agent: bool) -> Iterator[Need]:
    path = f"/vms/{guest.vmid}" if guest.vmid is not None else "/vms"
    for privilege, why in _EVERY_VM:
        yield Need(path, privilege, why, guest.document)
    for key, want in sorted(guest.config.items()):
        if not _by_root(key, want.value):
            yield from _key(path, key, want.value, guest.document)
    if guest.device is not None and guest.device.mapping:
        why = f"make the mapping {guest.device.mapping}, and keep this node's entry right"
        yield Need("/mapping/pci", "Mapping.Modify", why, guest.document)
        yield Need(f"/mapping/pci/{guest.device.mapping}", "Mapping.Use", "use it as hostpci0", guest.document)
        if not guest.rom:
            yield Need(path, "VM.Config.HWType", "set hostpci0", guest.document)
    if agent:
        privilege = "VM.GuestAgent.Audit" if versions.matches(version, _AGENT) else "VM.Monitor"
        yield Need(path, privilege, "ask its guest agent", guest.document)


def _by_root(key: str, value: str) -> bool:
    return registry.route(key, value) is field.Route.ROOT


def _key(path: str, key: str, value: str, document: str) -> Iterator[Need]:
    if _DRIVE.fullmatch(key):
        yield from _drive(path, key, value, document)
        return
    for pattern, privilege in _KEYS:
        if pattern.fullmatch(key):
            yield Need(path, privilege, f"set {key}", document)
    if _CLOUD.fullmatch(key):
        yield Need(path, "VM.Config.Cloudinit", f"set {key}", document, ("VM.Config.Network",))
    parts = _parts(value)
    if key == "startup":
        yield Need("/", "Sys.Modify", "set startup, which changes what the host does at boot", document)
    elif key.startswith("net") and parts.get("bridge"):
        yield from _bridge(key, parts, document)
    elif key.startswith(("hostpci", "usb")) and parts.get("mapping"):
        kind = "pci" if key.startswith("hostpci") else "usb"
        yield Need(f"/mapping/{kind}/{parts['mapping']}", "Mapping.Use", f"use it as {key}", document)
    elif key == "virtiofs0" and parts.get("dirid", parts.get("")):
        yield Need(f"/mapping/dir/{parts.get('dirid', parts.get(''))}", "Mapping.Use", f"use it as {key}", document)
    elif key == "vmstatestorage":
        yield Need(f"/storage/{value}", _SPACE, f"set {key}", document)


def _drive(path: str, key: str, value: str, document: str) -> Iterator[Need]:
    parts = _parts(value)
    volume = parts.get("file", parts.get("volume", parts.get("", "")))
    storage = volume.partition(":")[0] if ":" in volume else ""
    if volume.endswith("cloudinit"):
        yield Need(path, "VM.Config.Cloudinit", f"set {key}", document)
    if parts.get("media") == "cdrom" or volume.endswith("cloudinit"):
        yield Need(path, "VM.Config.CDROM", f"put {volume} into {key}", document)
        if not volume.endswith("cloudinit"):
            yield Need(path, "VM.Config.Disk", f"keep the boot order, into which PVE puts {key}", document)
    else:
        yield Need(path, "VM.Config.Disk", f"set {key}", document)
    if volume == "cdrom":
        yield Need("/", "Sys.Console", f"give the host's own drive as {key}", document)
    elif storage and parts.get("media") == "cdrom" and not volume.endswith("cloudinit"):
        yield Need(f"/storage/{storage}", "Datastore.Audit", f"use {volume}", document, (_SPACE,))
    elif storage:
        yield Need(f"/storage/{storage}", _SPACE, f"make the disk {key}", document)


def _bridge(key: str, parts: Mapping[str, str], document: str) -> Iterator[Need]:
    bridge = f"/sdn/zones/localnetwork/{parts['bridge']}"
    tags = [parts["tag"]] if parts.get("tag") else parts.get("trunks", "").replace(";", " ").split()
    for path in [f"{bridge}/{tag}" for tag in tags] or [bridge]:
        yield Need(path, "SDN.Use", f"connect {key}", document)


def _parts(value: str) -> dict[str, str]:
    """A property string's parts; what has no key stands under the empty one."""
    pairs = (part.partition("=") for part in value.split(","))
    return {key if sign else "": text if sign else key for key, sign, text in pairs}
