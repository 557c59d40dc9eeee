"""What a VM is made of, as a document says it. ``render`` turns this into PVE's own syntax."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from transom.spec import base, fields

DiskKey = Annotated[
    str,
    fields.Form(
        "^(?:scsi(?:[12]?[0-9]|30)|virtio(?:[0-9]|1[0-5])|sata[0-5]|ide[0-3])$",
        "a drive of PVE (scsi0…30, virtio0…15, sata0…5, ide0…3)",
        "scsi0",
    ),
]
MediaKey = Annotated[
    str,
    fields.Form("^(?:scsi(?:[12]?[0-9]|30)|sata[0-5]|ide[0-3])$", "a CD-ROM drive of PVE (ide, sata or scsi)", "ide2"),
]
NetKey = Annotated[str, fields.Form("^net(?:[12]?[0-9]|3[01])$", "a network device of PVE (net0…31)", "net0")]
BootKey = Annotated[str, fields.Form("^[a-z]+[0-9]{1,2}$", "a drive or network device", "scsi0")]
Storage = Annotated[str, fields.Form("^[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]$", "a storage's name", "local-lvm")]
Volume = Annotated[
    str,
    fields.Form(
        r"^(?:none|[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]:iso/[^\x00-\x20\x7f-\x9f\u2028\u2029,/]+)$",
        "an ISO image on a storage, or none",
        "local:iso/virtio-win.iso",
    ),
]
Size = Annotated[str, fields.Form("^[1-9][0-9]{0,5}[MGT]$", "a size in whole MiB, GiB or TiB", "32G")]
Mac = Annotated[
    str,
    fields.Form(
        "^[0-9a-fA-F][02468aceACE](?::[0-9a-fA-F]{2}){5}$",
        "a unicast MAC address",
        "BC:24:11:2A:0F:01",
        fold=str.upper,
    ),
]
Rate = Annotated[
    str,
    pydantic.BeforeValidator(fields.digits),
    fields.Form(r"^(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,3})?$", "a rate in megabytes per second", "12.5"),
    pydantic.WithJsonSchema({"type": ["string", "integer"], "pattern": r"^(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,3})?$"}),
]
Bridge = Annotated[str, fields.Form("^[A-Za-z][A-Za-z0-9_.-]{0,14}$", "a bridge's name", "vmbr0")]
UsbDevice = Annotated[
    str,
    fields.Form(
        r"^(?:[0-9a-fA-F]{4}:[0-9a-fA-F]{4}|[0-9]{1,2}-[0-9]{1,2}(?:\.[0-9]{1,2})*)$",
        "vendor:product in hex or bus-port",
        "046d:c07e or 1-1.4",
        fold=str.lower,
    ),
]
VmName = Annotated[
    str,
    fields.Form(
        r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
        "a name as DNS allows it",
        "Win11-iGD",
    ),
]
Machine = Annotated[
    str,
    fields.Form(
        r"^(?:pc|q35|pc-(?:i440fx|q35)-[0-9]+\.[0-9]+(?:\.[0-9]+)?(?:\+pve[0-9]+)?)(?:,[a-z0-9-]+=[A-Za-z0-9_.-]+)*$",
        "a machine type of PVE",
        "pc-i440fx-7.1 or q35",
    ),
]
Cpu = Annotated[
    str,
    fields.Form(r"^[A-Za-z0-9][A-Za-z0-9_.-]*(?:,[a-z-]+=[A-Za-z0-9_.;+-]+)*$", "a CPU type of PVE", "host"),
]
Vga = Annotated[
    str,
    fields.Form("^[a-z0-9-]+(?:,[a-z]+=[A-Za-z0-9-]+)*$", "a display of PVE", "none or std"),
]
Tag = Annotated[str, fields.Form("^[a-z0-9_][a-z0-9_+.-]*$", "a tag", "desktop")]
OsType = Literal[
    "other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26", "solaris"
]  # fmt: skip
ScsiHw = Literal["lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi"]
NicModel = Literal[
    "virtio", "e1000", "e1000-82540em", "e1000-82544gc", "e1000-82545em", "e1000e", "i82551", "i82557b",
    "i82559er", "ne2k_isa", "ne2k_pci", "pcnet", "rtl8139", "vmxnet3",
]  # fmt: skip
Count = Annotated[fields.Whole, pydantic.Field(ge=1, le=8192)]


class Disk(base.Base):
    """One drive. It is made when it is missing, never shrunk and never deleted."""

    storage: Storage
    size: Size
    iothread: fields.Switch | None = None
    ssd: fields.Switch | None = None
    discard: fields.Switch | None = None
    cache: Literal["none", "writethrough", "writeback", "unsafe", "directsync"] | None = None
    aio: Literal["native", "threads", "io_uring"] | None = None
    backup: fields.Switch | None = None


class Nic(base.Base):
    """One network device. Without ``mac`` PVE chooses one, which is kept."""

    model: NicModel
    bridge: Bridge | None = None
    mac: Mac | None = None
    firewall: fields.Switch | None = None
    tag: Annotated[fields.Whole, pydantic.Field(ge=1, le=4094)] | None = None
    rate: Rate | None = None


class Hardware(base.Base):
    """What is named here is kept so; what is not named is left to PVE and its users."""

    name: VmName | None = None
    ostype: OsType | None = None
    bios: Literal["seabios", "ovmf"] | None = None
    machine: Machine | None = None
    cpu: Cpu | None = None
    cores: Count | None = None
    sockets: Count | None = None
    numa: fields.Switch | None = None
    memory: Annotated[fields.Whole, pydantic.Field(ge=16, le=16777216)] | None = None
    balloon: Annotated[fields.Whole, pydantic.Field(ge=0, le=16777216)] | None = None
    agent: fields.Switch | None = None
    vga: Vga | None = None
    scsihw: ScsiHw | None = None
    tablet: fields.Switch | None = None
    onboot: fields.Switch | None = None
    protection: fields.Switch | None = None
    tags: tuple[Tag, ...] = ()
    disks: dict[DiskKey, Disk] = pydantic.Field(default_factory=dict)
    network: dict[NetKey, Nic] = pydantic.Field(default_factory=dict)
    usb: Annotated[tuple[UsbDevice, ...], pydantic.Field(max_length=14)] = ()
    boot: tuple[BootKey, ...] = ()
