"""Disk and CD-ROM properties: their formats, how PVE reads and prints them, and which keys are drives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from transom.lab.pve import devices, formats
from transom.lab.pve.formats import Fields, Prop

NEW_DISK: Final = re.compile(r"(?:([a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]):)?(\d+(?:\.\d+)?)")
CLOUDINIT: Final = re.compile(r"[:/](?:vm-\d+-)?cloudinit(?:\.(?:raw|qcow2|vmdk))?$")
FLAG: Final = Prop("boolean")
FORMAT: Final = Prop(enum=("raw", "qcow", "qed", "qcow2", "vmdk", "cloop"))
FILE: Final[Fields] = {
    "volume": Prop(alias="file"),
    "file": Prop(optional=False, default_key=True, format="pve-volume-id-or-qm-path"),
    "format": FORMAT,
    "size": Prop(format="disk-size"),
}
THROTTLES: Final[Fields] = {
    **{f"bps{way}": Prop("integer") for way in ("", "_rd", "_wr")},
    **{f"mbps{way}": Prop("number") for way in ("", "_rd", "_wr", "_max", "_rd_max", "_wr_max")},
    **{f"iops{way}": Prop("integer") for way in ("", "_rd", "_wr", "_max", "_rd_max", "_wr_max")},
    **{f"{kind}{way}_max_length": Prop("integer", minimum=1)
       for kind in ("bps", "iops") for way in ("", "_rd", "_wr")},
    **{f"{kind}{way}_length": Prop(alias=f"{kind}{way}_max_length") for kind in ("bps", "iops")
       for way in ("_rd", "_wr")},
}  # fmt: skip
BASE: Final[Fields] = {
    **FILE,
    **THROTTLES,
    "media": Prop(enum=("cdrom", "disk")),
    "snapshot": FLAG,
    "cache": Prop(enum=("none", "writethrough", "writeback", "unsafe", "directsync")),
    "backup": FLAG,
    "replicate": FLAG,
    "rerror": Prop(enum=("ignore", "report", "stop")),
    "werror": Prop(enum=("enospc", "ignore", "report", "stop")),
    "aio": Prop(enum=("native", "threads", "io_uring")),
    "discard": Prop(enum=("ignore", "on")),
    "detect_zeroes": FLAG,
    "serial": Prop(format="urlencoded", max_length=60),
    "shared": FLAG,
}
SSD_WWN: Final[Fields] = {"ssd": FLAG, "wwn": Prop(pattern=r"0x[0-9a-fA-F]{16}")}
IDE: Final[Fields] = {**BASE, **SSD_WWN, "model": Prop(format="urlencoded", max_length=120)}
SATA: Final[Fields] = {**BASE, **SSD_WWN}
SCSI: Final[Fields] = {
    **SATA,
    "iothread": FLAG,
    "product": Prop(pattern=r"[A-Za-z0-9\-_\s]{,16}"),
    "vendor": Prop(pattern=r"[A-Za-z0-9\-_\s]{,8}"),
    "queues": Prop("integer", minimum=2),
    "ro": FLAG,
    "scsiblock": FLAG,
}
VIRTIO: Final[Fields] = {**BASE, "iothread": FLAG, "ro": FLAG}
EFIDISK: Final[Fields] = {
    **FILE,
    "efitype": Prop(enum=("2m", "4m")),
    "pre-enrolled-keys": FLAG,
    "ms-cert": Prop(enum=("2011", "2023", "2023w", "2023k")),
}
TPMSTATE: Final[Fields] = {
    **FILE,
    "format": Prop(enum=("raw", "qcow2", "vmdk")),
    "version": Prop(enum=("v1.2", "v2.0")),
}
UNUSED: Final[Fields] = {
    "volume": Prop(alias="file"),
    "file": Prop(optional=False, default_key=True, format="pve-volume-id"),
}
IMPORT: Final[Fields] = {"import-from": Prop(format="pve-volume-id-or-absolute-path")}
KINDS: Final[dict[str, tuple[int, Fields]]] = {
    "ide": (4, IDE),
    "scsi": (31, SCSI),
    "virtio": (16, VIRTIO),
    "sata": (6, SATA),
    "efidisk": (1, EFIDISK),
    "tpmstate": (1, TPMSTATE),
}
ORDER: Final = tuple(f"{kind}{index}" for kind, (count, _) in KINDS.items() for index in range(count))


@dataclass(frozen=True)
class Drive:
    """One drive of a VM: `file` is a volume id, a path, `none`, `cdrom` or `STORAGE:SIZE` (to be allocated)."""

    key: str
    values: dict[str, str]

    @property
    def file(self) -> str:
        return self.values["file"]

    @property
    def cdrom(self) -> bool:
        return self.values.get("media") == "cdrom"

    @property
    def cloudinit(self) -> bool:
        return CLOUDINIT.search(self.file) is not None

    @property
    def new_cloudinit(self) -> bool:
        """A cloud-init drive is to be made."""
        return self.file.partition(":")[2] == "cloudinit"

    @property
    def new_size(self) -> tuple[str, float] | None:
        """(storage, GiB) when the disk is to be allocated."""
        found = NEW_DISK.fullmatch(self.file)
        return (found[1] or "", float(found[2])) if found and not self.cdrom else None

    @property
    def storage(self) -> str:
        return self.file.split(":", 1)[0] if ":" in self.file and not self.file.startswith("/") else ""

    def but(self, **values: str) -> Drive:
        return Drive(self.key, {**self.values, **values})

    def without(self, *names: str) -> Drive:
        return Drive(self.key, {name: value for name, value in self.values.items() if name not in names})


def is_drive(key: str) -> bool:
    return key in ORDER


def fields_of(key: str) -> Fields:
    return UNUSED if key.startswith("unused") else KINDS[key.rstrip("0123456789")][1]


def parse(key: str, text: str) -> Drive | None:
    """None when the value is no drive that PVE can read."""
    try:
        values = formats.parse_property_string({**fields_of(key), **IMPORT}, text)
    except formats.FormatError:
        return None
    if not throttles_fit(values) or (values.get("media") == "cdrom" and not fits_cdrom(key, values)):
        return None
    if "size" in values:
        values["size"] = format_size(parse_size(values["size"]))
    return Drive(key, values)


def is_set(values: dict[str, str], name: str) -> bool:
    """As Perl judges it: 0 is not set."""
    return values.get(name, "") not in ("", "0")


def fits_cdrom(key: str, values: dict[str, str]) -> bool:
    return not (is_set(values, "snapshot") or is_set(values, "format") or key.startswith("virtio"))


def throttles_fit(values: dict[str, str]) -> bool:
    """Turns `bps` into `mbps` as PVE does; false when limits contradict or lack the one that they extend."""
    for name in ("bps", "bps_rd", "bps_wr"):
        if name in values:
            if f"m{name}" in values:
                return False
            del values[name]
            values[f"m{name}"] = "0.000"  # PVE takes "it is there" (1 byte) for the number
    needs = [(f"{kind}{way}_max", f"{kind}{way}") for kind in ("mbps", "miops") for way in ("", "_rd", "_wr")]
    needs += [(f"bps{way}_max_length", f"mbps{way}_max") for way in ("", "_rd", "_wr")]
    needs += [(f"iops{way}_max_length", f"iops{way}_max") for way in ("", "_rd", "_wr")]
    if any(is_set(values, name) and not is_set(values, needed) for name, needed in needs):
        return False
    both = (("mbps", "mbps_rd"), ("mbps", "mbps_wr"), ("iops", "iops_rd"), ("iops", "iops_wr"))
    return not any(is_set(values, one) and is_set(values, other) for one, other in both)


def render(drive: Drive) -> str:
    return devices.print_string(fields_of(drive.key), drive.values, "file")


def parse_size(text: str) -> int:
    """Bytes of `32G`."""
    text = text.removesuffix("iB")
    number, unit = (text[:-1], text[-1]) if text[-1:] in tuple("KMGT") else (text, "")
    return int(float(number) * 1024 ** (" KMGT".index(unit) if unit else 0))


def format_size(size: int) -> str:
    """The largest unit in which the size is a whole number: 34359738368 → 32G."""
    for power, unit in ((4, "T"), (3, "G"), (2, "M"), (1, "K")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return str(size)
