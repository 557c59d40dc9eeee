"""The keys of a VM's configuration that qemu-server 9.2 knows: it refuses others at a write, and drops them from a file.

Source: qemu-server 9.2.6, the schema of qm.conf (https://pve.proxmox.com/wiki/Manual:_qm.conf).
"""

from __future__ import annotations

from collections.abc import Mapping

UP_TO = "9.2"
KNOWN_BEFORE = "9.3"
"""The first version of qemu-server that may know more than what stands here."""

BOOLEANS = frozenset({
    "acpi", "allow-ksm", "autostart", "ciupgrade", "freeze", "keephugepages", "kvm", "localtime", "numa", "onboot",
    "protection", "reboot", "tablet", "tdf", "template",
})  # fmt: skip
INTEGERS = frozenset({
    "balloon", "cores", "cpuunits", "migrate_speed", "shares", "smp", "snaptime", "sockets", "vcpus",
})  # fmt: skip
NUMBERS = frozenset({
    "cpulimit", "migrate_downtime",
})  # fmt: skip
_TEXTS = frozenset({
    "affinity", "agent", "amd-sev", "arch", "args", "audio0", "bios", "boot", "bootdisk", "cdrom", "cicustom", "cipassword",
    "citype", "ciuser", "cpu", "description", "efidisk0", "hookscript", "hotplug", "hugepages", "intel-tdx", "ivshmem",
    "keyboard", "lock", "machine", "memory", "meta", "name", "nameserver", "ostype", "parent", "rng0",
    "running-nets-host-mtu", "runningcpu", "runningmachine", "scsihw", "searchdomain", "smbios1", "snapstate",
    "spice_enhancements", "sshkeys", "startdate", "startup", "tags", "tpmstate0", "vga", "vmgenid", "vmstate",
    "vmstatestorage", "watchdog",
})  # fmt: skip
_COUNTED: Mapping[str, int] = {
    "hostpci": 16,
    "ide": 4,
    "ipconfig": 32,
    "net": 32,
    "numa": 8,
    "parallel": 3,
    "sata": 6,
    "scsi": 31,
    "serial": 4,
    "unused": 256,
    "usb": 14,
    "virtio": 16,
    "virtiofs": 10,
}
"""Name → how many there are: ``net0`` to ``net31``."""

KEYS = (
    BOOLEANS | INTEGERS | NUMBERS | _TEXTS | {f"{kind}{at}" for kind, count in _COUNTED.items() for at in range(count)}
)
