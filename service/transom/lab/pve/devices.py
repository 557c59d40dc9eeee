"""The property strings of VM devices: passthrough, network, display, machine, CPU and the like (qemu-server 9.2)."""

from __future__ import annotations

from typing import Final

from transom.lab.pve import cpumodels, formats
from transom.lab.pve.formats import Fields, Prop

PCI_ADDRESS: Final = r"(?:[a-f0-9]{4,}:)?[a-f0-9]{2}:[a-f0-9]{2}(?:\.[a-f0-9])?"
USB_ID: Final = r"(?:0x)?[0-9A-Fa-f]{4}:(?:0x)?[0-9A-Fa-f]{4}"
USB_PORT: Final = r"\d+-\d+(?:\.\d+)*"
NIC_MODELS: Final = (
    "e1000", "e1000-82540em", "e1000-82544gc", "e1000-82545em", "e1000e", "i82551", "i82557b", "i82559er",
    "ne2k_isa", "ne2k_pci", "pcnet", "rtl8139", "virtio", "vmxnet3",
)  # fmt: skip
VGA_TYPES: Final = (
    "cirrus", "qxl", "qxl2", "qxl3", "qxl4", "none", "serial0", "serial1", "serial2", "serial3", "std", "virtio",
    "virtio-gl", "vmware",
)  # fmt: skip
MACHINE: Final = (
    r"pc|pc(?:-i440fx)?-\d+(?:\.\d+)+(?:\+pve\d+)?(?:\.pxe)?|q35|pc-q35-\d+(?:\.\d+)+(?:\+pve\d+)?(?:\.pxe)?"
    r"|virt(?:-\d+(?:\.\d+)+)?(?:\+pve\d+)?"
)
ID_LIST: Final = r"\d+(?:-\d+)?(?:;\d+(?:-\d+)?)*"
HEX_ID: Final = Prop(pattern=r"0x[0-9a-fA-F]{4}")
BASE64: Final = Prop(pattern=r"[A-Za-z0-9+/]+={0,2}")
FLAG: Final = Prop("boolean")

HOSTPCI: Final[Fields] = {
    "host": Prop(default_key=True, pattern=rf"{PCI_ADDRESS}(?:;{PCI_ADDRESS})*"),
    "mapping": Prop(format="pve-configid"),
    "rombar": FLAG,
    "romfile": Prop(pattern=r"[^,;]+"),
    "pcie": FLAG,
    "x-vga": FLAG,
    "legacy-igd": FLAG,
    "mdev": Prop(pattern=r"[^/\.:]+"),
    "vendor-id": HEX_ID,
    "device-id": HEX_ID,
    "sub-vendor-id": HEX_ID,
    "sub-device-id": HEX_ID,
    "driver": Prop(enum=("vfio", "keep")),
}
USB: Final[Fields] = {
    "host": Prop(default_key=True, pattern=rf"(?:{USB_ID}|{USB_PORT}|[Ss][Pp][Ii][Cc][Ee])"),
    "mapping": Prop(format="pve-configid"),
    "usb3": FLAG,
}
NET: Final[Fields] = {
    "model": Prop(optional=False, default_key=True, enum=NIC_MODELS),
    **{model: Prop(alias="macaddr", key_alias="model") for model in NIC_MODELS},
    "macaddr": Prop(format="mac-addr"),
    "bridge": Prop(format="pve-bridge-id"),
    "queues": Prop("integer", minimum=0, maximum=64),
    "rate": Prop("number", minimum=0),
    "tag": Prop("integer", minimum=1, maximum=4094),
    "trunks": Prop(pattern=ID_LIST),
    "firewall": FLAG,
    "link_down": FLAG,
    "mtu": Prop("integer", minimum=1, maximum=65520),
    "host-tunnel": FLAG,
}
IPCONFIG: Final[Fields] = {
    "ip": Prop(format="pve-ipv4-config"),
    "gw": Prop(format="ipv4", requires="ip"),
    "ip6": Prop(format="pve-ipv6-config"),
    "gw6": Prop(format="ipv6", requires="ip6"),
}
VGA: Final[Fields] = {
    "type": Prop(default_key=True, enum=VGA_TYPES),
    "memory": Prop("integer", minimum=4, maximum=512),
    "clipboard": Prop(enum=("vnc",)),
}
MACHINE_FIELDS: Final[Fields] = {
    "type": Prop(default_key=True, pattern=MACHINE, max_length=40),
    "viommu": Prop(enum=("intel", "virtio")),
    "aw-bits": Prop("number", minimum=32, maximum=64),
    "enable-s3": FLAG,
    "enable-s4": FLAG,
}
AGENT: Final[Fields] = {
    "enabled": Prop("boolean", optional=False, default_key=True),
    "fstrim_cloned_disks": FLAG,
    "freeze-fs-on-backup": Prop(alias="freeze-fs"),
    "guest-fsfreeze": Prop(alias="freeze-fs"),
    "freeze-fs": FLAG,
    "type": Prop(enum=("virtio", "isa")),
}
MEMORY: Final[Fields] = {"current": Prop("integer", optional=False, default_key=True, minimum=16)}
NUMA: Final[Fields] = {
    "cpus": Prop(optional=False, pattern=ID_LIST),
    "memory": Prop("number"),
    "hostnodes": Prop(pattern=ID_LIST),
    "policy": Prop(enum=("preferred", "bind", "interleave")),
}
BOOT: Final[Fields] = {
    "legacy": Prop(default_key=True, pattern=r"[acdn]{1,4}"),
    "order": Prop(format="pve-bootdev-list"),
}
CPU: Final[Fields] = {
    "cputype": Prop(default_key=True),
    "reported-model": Prop(enum=tuple(sorted(cpumodels.MODELS, key=str.lower))),
    "hidden": FLAG,
    "hv-vendor-id": Prop(pattern=r"[a-zA-Z0-9]{1,12}"),
    "flags": Prop(pattern=r"[+-][a-zA-Z0-9\-_\.]+(?:;[+-][a-zA-Z0-9\-_\.]+)*"),
    "guest-phys-bits": Prop("integer", minimum=32, maximum=64),
    "phys-bits": Prop(format="pve-phys-bits"),
    "level": Prop("integer", minimum=0, maximum=4294967295),
}
SMBIOS1: Final[Fields] = {
    "uuid": Prop(pattern=r"[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}"),
    **dict.fromkeys(("version", "serial", "manufacturer", "product", "sku", "family"), BASE64),
    "base64": FLAG,
}
WATCHDOG: Final[Fields] = {
    "model": Prop(default_key=True, enum=("i6300esb", "ib700")),
    "action": Prop(enum=("reset", "shutdown", "poweroff", "pause", "debug", "none")),
}
IVSHMEM: Final[Fields] = {
    "size": Prop("integer", optional=False, minimum=1),
    "name": Prop(pattern=r"[a-zA-Z0-9\-]+"),
}
AUDIO: Final[Fields] = {
    "device": Prop(optional=False, enum=("ich9-intel-hda", "intel-hda", "AC97")),
    "driver": Prop(enum=("spice", "none")),
}
SPICE: Final[Fields] = {"foldersharing": FLAG, "videostreaming": Prop(enum=("off", "all", "filter"))}
RNG: Final[Fields] = {
    "source": Prop(optional=False, default_key=True, enum=("/dev/urandom", "/dev/random", "/dev/hwrng")),
    "max_bytes": Prop("integer"),
    "period": Prop("integer"),
}
VIRTIOFS: Final[Fields] = {
    "dirid": Prop(optional=False, default_key=True, format="pve-configid"),
    "cache": Prop(enum=("auto", "always", "metadata", "never")),
    "direct-io": FLAG,
    "expose-xattr": FLAG,
    "expose-acl": FLAG,
}
META: Final[Fields] = {"ctime": Prop("integer", minimum=0), "creation-qemu": Prop(pattern=r"\d+(?:\.\d+)+")}
AMD_SEV: Final[Fields] = {
    "type": Prop(optional=False, default_key=True, enum=("std", "es", "snp"), max_length=3),
    **dict.fromkeys(("no-debug", "no-key-sharing", "allow-smt", "kernel-hashes"), FLAG),
}
INTEL_TDX: Final[Fields] = {
    "type": Prop(optional=False, default_key=True, enum=("tdx",)),
    "attestation": Prop("boolean", optional=False),
    "vsock-cid": Prop("integer", minimum=2),
    "vsock-port": Prop("integer", minimum=0),
}
CICUSTOM: Final[Fields] = {name: Prop(format="pve-volume-id") for name in ("meta", "network", "user", "vendor")}


def check_cpu(parsed: dict[str, str]) -> None:
    """A VM's CPU names a model that exists; custom ones live in a file that the lab does not have."""
    model = parsed.get("cputype", "")
    if model in ("", "0"):  # Perl: neither is true
        raise formats.FormatError("CPU is missing cputype\n")
    if model.startswith("custom-"):
        raise formats.FormatError(f"Custom cputype '{model.removeprefix('custom-')}' not found\n")
    if model not in cpumodels.MODELS and model not in cpumodels.BUILT_IN:
        raise formats.FormatError(f"Built-in cputype '{model}' is not defined (missing 'custom-' prefix?)\n")
    if "reported-model" in parsed:
        raise formats.FormatError("Property 'reported-model' not allowed in VM-specific CPU config.\n")


def print_string(fields: Fields, values: dict[str, str], default: str = "") -> str:
    """A property string as PVE writes it: the default key bare, key aliases as `virtio=MAC`, the rest by name."""
    rest = dict(values)
    parts: list[str] = []
    default = default or next((name for name, prop in fields.items() if prop.default_key), "")
    alias = rest.get(default, "")
    if alias in fields and fields[alias].key_alias == default and fields[alias].alias in rest:
        parts.append(f"{rest.pop(default)}={rest.pop(fields[alias].alias)}")
    elif default in rest:
        parts.append(rest.pop(default))
    return ",".join(parts + [f"{name}={rest[name]}" for name in sorted(rest)])
