"""The keys of a VM's configuration: type and format, whose privilege they need, and whether they change live.

One table drives the parameter check, the parser of the files, the permission check and hot-plugging. A key without a
privilege may be set by the root@pam login only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from transom.lab.pve import devices, drives, formats, scalars
from transom.lab.pve.formats import Prop

FLAG: Final = Prop("boolean")
CPU, MEMORY, HARDWARE = "VM.Config.CPU", "VM.Config.Memory", "VM.Config.HWType"
OPTIONS, DISK, NETWORK = "VM.Config.Options", "VM.Config.Disk", "VM.Config.Network"
CLOUD: Final = ("VM.Config.Cloudinit", "VM.Config.Network")
KEYMAPS: Final = (
    "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "ja",
    "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr",
)  # fmt: skip
LOCKS: Final = (
    "backup", "clone", "create", "migrate", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended",
)  # fmt: skip
OS_TYPES: Final = (
    "other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26", "solaris",
)  # fmt: skip
SCSI_HARDWARE: Final = ("lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi")


@dataclass(frozen=True)
class Key:
    """One key. `privileges`: all (any, when `any_of`) are needed; empty: root only, or judged by value (`by_value`)."""

    prop: Prop
    privileges: tuple[str, ...] = ()
    any_of: bool = False
    by_value: bool = False
    live: bool = False  # takes effect at once on a running VM
    internal: bool = False  # PVE writes it; no parameter of PUT


def key(prop: Prop, *privileges: str, live: bool = False) -> Key:
    return Key(prop, privileges, live=live)


def text(fields: formats.Fields) -> Prop:
    return Prop(fields=fields)


MACHINE: Final = text(devices.MACHINE_FIELDS)
INTEGER: Final = Prop("integer", minimum=1)
PLAIN: Final[dict[str, Key]] = {
    "acpi": key(FLAG, HARDWARE),
    "affinity": key(Prop(format="pve-cpuset")),
    "agent": key(text(devices.AGENT), OPTIONS),
    "allow-ksm": key(FLAG, MEMORY),
    "amd-sev": key(text(devices.AMD_SEV)),
    "arch": key(Prop(enum=("x86_64", "aarch64"))),
    "args": key(Prop()),
    "audio0": key(text(devices.AUDIO), HARDWARE),
    "autostart": key(FLAG, OPTIONS),
    "balloon": key(Prop("integer", minimum=0), MEMORY),
    "bios": key(Prop(enum=("seabios", "ovmf")), OPTIONS),
    "boot": key(text(devices.BOOT), DISK),
    "bootdisk": key(Prop(format="pve-qm-bootdisk"), DISK),
    "cicustom": Key(text(devices.CICUSTOM), CLOUD, any_of=True, live=True),
    "cipassword": Key(Prop(), CLOUD, any_of=True, live=True),
    "citype": Key(Prop(enum=("configdrive2", "nocloud", "opennebula")), CLOUD, any_of=True, live=True),
    "ciupgrade": Key(FLAG, CLOUD, any_of=True, live=True),
    "ciuser": Key(Prop(), CLOUD, any_of=True, live=True),
    "cores": key(INTEGER, CPU),
    "cpu": key(Prop(fields=devices.CPU, check=devices.check_cpu), CPU),
    "cpulimit": key(Prop("number", minimum=0, maximum=128), CPU),
    "cpuunits": key(Prop("integer", minimum=1, maximum=262144), CPU),
    "description": key(Prop(max_length=8192), OPTIONS, live=True),
    "freeze": key(FLAG, "VM.PowerMgmt"),
    "hookscript": key(Prop(format="pve-volume-id"), live=True),
    "hotplug": key(Prop(format="pve-hotplug-features"), HARDWARE),
    "hugepages": key(Prop(enum=("any", "2", "1024"))),
    "intel-tdx": key(text(devices.INTEL_TDX)),
    "ivshmem": key(text(devices.IVSHMEM)),
    "keephugepages": key(FLAG),
    "keyboard": key(Prop(enum=KEYMAPS), OPTIONS),
    "kvm": key(FLAG, HARDWARE),
    "localtime": key(FLAG, OPTIONS),
    "lock": key(Prop(enum=LOCKS), live=True),
    "machine": key(MACHINE, HARDWARE),
    "memory": key(text(devices.MEMORY), MEMORY),
    "migrate_downtime": key(Prop("number", minimum=0), OPTIONS, live=True),
    "migrate_speed": key(Prop("integer", minimum=0), OPTIONS, live=True),
    "name": key(Prop(format="dns-name"), OPTIONS, live=True),
    "nameserver": Key(Prop(format="address-list"), CLOUD, any_of=True, live=True),
    "numa": key(FLAG, CPU),
    "onboot": key(FLAG, OPTIONS, live=True),
    "ostype": key(Prop(enum=OS_TYPES), OPTIONS),
    "protection": key(FLAG, OPTIONS, live=True),
    "reboot": key(FLAG, OPTIONS),
    "rng0": Key(text(devices.RNG), (HARDWARE,)),
    "scsihw": key(Prop(enum=SCSI_HARDWARE), HARDWARE),
    "searchdomain": Key(Prop(), CLOUD, any_of=True, live=True),
    "shares": key(Prop("integer", minimum=0, maximum=50000), MEMORY, live=True),
    "smbios1": key(Prop(fields=devices.SMBIOS1, max_length=512), HARDWARE),
    "smp": key(INTEGER, CPU),
    "sockets": key(INTEGER, CPU),
    "spice_enhancements": key(text(devices.SPICE)),
    "sshkeys": Key(Prop(format="urlencoded"), CLOUD, any_of=True, live=True),
    "startdate": key(Prop(pattern=r"(?:now|\d{4}-\d{1,2}-\d{1,2}(?:T\d{1,2}:\d{1,2}:\d{1,2})?)"), OPTIONS),
    "startup": key(Prop(format="pve-startup-order"), OPTIONS, live=True),
    "tablet": key(FLAG, HARDWARE),
    "tags": Key(Prop(format="pve-tag-list"), by_value=True, live=True),
    "tdf": key(FLAG, OPTIONS),
    "template": key(FLAG, OPTIONS),
    "vcpus": key(INTEGER, CPU),
    "vga": key(text(devices.VGA), HARDWARE),
    "vmgenid": key(Prop(pattern=r"(?:[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}|[01])")),
    "vmstatestorage": key(Prop(format="pve-storage-id"), DISK, live=True),
    "watchdog": key(text(devices.WATCHDOG), HARDWARE),
}
INTERNAL: Final[dict[str, Key]] = {
    "meta": Key(text(devices.META), internal=True),
    "parent": Key(Prop(format="pve-configid", max_length=40), internal=True),
    "running-nets-host-mtu": Key(Prop(), (NETWORK,), internal=True),
    "runningcpu": Key(Prop(), (CPU,), internal=True),
    "runningmachine": Key(MACHINE, (HARDWARE,), internal=True),
    "snaptime": Key(Prop("integer", minimum=0), internal=True),
    "vmstate": Key(Prop(format="pve-volume-id"), (DISK, "VM.PowerMgmt"), internal=True),
}
COUNTED: Final[dict[str, tuple[int, Key]]] = {
    "hostpci": (16, Key(text(devices.HOSTPCI), by_value=True)),
    "ipconfig": (32, Key(text(devices.IPCONFIG), CLOUD, any_of=True, live=True)),
    "net": (32, key(text(devices.NET), NETWORK)),
    "numa": (8, key(text(devices.NUMA), CPU)),
    "parallel": (3, key(Prop(pattern=r"/dev/parport\d+|/dev/usb/lp\d+"))),
    "serial": (4, Key(Prop(pattern=r"(?:/dev/[^,]+|socket)"), by_value=True)),
    "unused": (256, Key(text(drives.UNUSED), by_value=True)),
    "usb": (14, Key(text(devices.USB), by_value=True)),
    "virtiofs": (10, Key(text(devices.VIRTIOFS), by_value=True)),
    **{kind: (count, Key(text(fields), by_value=True)) for kind, (count, fields) in drives.KINDS.items()},
}
KEYS: Final[dict[str, Key]] = {
    **PLAIN,
    **INTERNAL,
    **{f"{kind}{index}": entry for kind, (count, entry) in COUNTED.items() for index in range(count)},
}
SETTABLE: Final[dict[str, Prop]] = {
    name: replace(entry.prop, fields={**(entry.prop.fields or {}), **drives.IMPORT}) if drives.is_drive(name)
    else entry.prop
    for name, entry in KEYS.items() if not entry.internal
} | {"cdrom": text(drives.IDE)}  # fmt: skip


def exists(name: str) -> bool:
    return name in KEYS or name == "cdrom"


def of_kind(name: str, kind: str) -> bool:
    return re.fullmatch(rf"{kind}\d+", name) is not None


def stored(name: str, value: str) -> str | int:
    """The value as the file and GET show it: int for booleans and integers. Raises ValueError in PVE's words."""
    entry = KEYS.get(name)
    if entry is None:
        raise ValueError(f"unknown setting '{name}'\n")
    if "\n" in value or "\r" in value:
        raise ValueError("property contains a line feed\n")
    kind = entry.prop.type
    if kind == "boolean":
        if (flag := formats.parse_boolean(value)) is None:
            raise ValueError(f"type check ('boolean') failed - got '{value}'\n")
        return int(flag)
    if kind == "integer" or kind == "number":
        if not re.fullmatch(r"\d+" if kind == "integer" else r"\d+(\.\d+)?", value):
            raise ValueError(f"type check ('{kind}') failed - got '{value}'\n")
        return int(value) if kind == "integer" else value
    if entry.prop.fields is not None or entry.prop.format:
        formats.check_format(entry.prop, value)
        return value
    found = re.fullmatch(r'"(.*)"', value)
    return found[1] if found else value


def tags(value: str) -> str:
    """Tags as PVE stores them: lower case, each once, sorted, joined by `;`."""
    return ";".join(sorted(set(scalars.split_list(value.lower()))))
