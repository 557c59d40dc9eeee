"""Disks and CD-ROMs: a disk to be made (``local-lvm:32,ssd=1``) and the disk that was made are the same thing.

The same: same storage, at least the wanted size, equal options. A write never changes the size or the storage of a disk that is
there: ``merge`` keeps its volume, or a new empty disk would take its place; ``obstacle`` says what only a resize or a move can do.
"""

from __future__ import annotations

import dataclasses
import decimal
import re

from transom.guest import field, props
from transom.guest.fields import making

_NEW = re.compile(r"([^/:\s,]+):(?:(\d+(?:\.\d+)?)|cloudinit)")
_CLOUDINIT = re.compile(r"[^:]+:(?:.*/)?vm-\d+-cloudinit(?:\.\w+)?")
_NO_VOLUME = frozenset({"none", "cdrom"})  # an empty drive and the node's own: PVE writes media=cdrom behind them
_GIB = 1 << 30
# Only said when a disk is made; PVE does not keep them.
_CREATION_ONLY = frozenset({"format", "import-from"})

_LIMITS = {
    **dict.fromkeys(("bps", "bps_rd", "bps_wr"), props.Prop(props.integer)),
    **dict.fromkeys(
        ("mbps", "mbps_rd", "mbps_wr", "mbps_max", "mbps_rd_max", "mbps_wr_max"), props.Prop(props.number, "0")
    ),
    **dict.fromkeys(
        ("iops", "iops_rd", "iops_wr", "iops_max", "iops_rd_max", "iops_wr_max"), props.Prop(props.integer, "0")
    ),
    **dict.fromkeys(
        (f"{unit}{way}_max_length" for unit in ("bps", "iops") for way in ("", "_rd", "_wr")), props.Prop(props.integer)
    ),
}
_COMMON = {"file": props.Prop(), "format": props.Prop(), "size": props.Prop(props.size), "import-from": props.Prop()}
_ALIASES = {
    "volume": "file",
    **{f"{unit}_{way}_length": f"{unit}_{way}_max_length" for unit in ("bps", "iops") for way in ("rd", "wr")},
}

DRIVE = props.Schema(
    props={
        **_COMMON,
        **_LIMITS,
        "media": props.Prop(props.one_of("cdrom", "disk"), "disk"),
        "snapshot": props.Prop(props.boolean, "0"),
        "cache": props.Prop(),
        "backup": props.Prop(props.boolean, "1"),
        "replicate": props.Prop(props.boolean, "1"),
        "rerror": props.Prop(default="report"),
        "werror": props.Prop(default="enospc"),
        "aio": props.Prop(),
        "discard": props.Prop(props.one_of("ignore", "on"), "ignore"),
        "detect_zeroes": props.Prop(props.boolean, "1"),
        "serial": props.Prop(props.urlencoded),
        "shared": props.Prop(props.boolean, "0"),
        "iothread": props.Prop(props.boolean, "0"),
        "model": props.Prop(props.urlencoded),
        "product": props.Prop(),
        "vendor": props.Prop(),
        "queues": props.Prop(props.integer),
        "ro": props.Prop(props.boolean, "0"),
        "scsiblock": props.Prop(props.boolean, "0"),
        "ssd": props.Prop(props.boolean, "0"),
        "wwn": props.Prop(props.lower),
    },
    default_key="file",
    aliases=_ALIASES,
    needs=("file",),
)
EFI = props.Schema(
    props={
        **_COMMON,
        "efitype": props.Prop(props.one_of("2m", "4m"), "2m"),
        "pre-enrolled-keys": props.Prop(props.boolean, "0"),
        "ms-cert": props.Prop(made=True),  # a note of PVE's own: which certificates it enrolled
    },
    default_key="file",
    aliases=_ALIASES,
    needs=("file",),
)
TPM = props.Schema(
    props={**_COMMON, "version": props.Prop(props.one_of("v1.2", "v2.0"), "v1.2")},
    default_key="file",
    aliases=_ALIASES,
    needs=("file",),
)


_SCHEMAS = {"disk": DRIVE, "efidisk": EFI, "tpmstate": TPM}


@dataclasses.dataclass(frozen=True)
class Disk:
    """A disk value taken apart. ``new_bytes`` is set when the value asks for a disk to be made; ``bytes`` is its recorded size.

    ``new_bytes`` is 0 for a cloud-init drive, which PVE makes and sizes by itself.
    """

    volume: str
    storage: str
    new_bytes: int | None
    bytes: int | None
    options: dict[str, str]


def _read(schema: props.Schema, value: str) -> Disk:
    found = props.split(schema, value)
    if "file" not in found:
        raise ValueError("no volume is named")
    new = _NEW.fullmatch(found["file"])
    if (new and new[2] is None) or found["file"] in _NO_VOLUME:
        found = {**found, "media": "cdrom"}
    options = props.complete(schema, {key: given for key, given in found.items() if key not in {"file", "size"}})
    return Disk(
        volume=found["file"],
        storage=new[1] if new else found["file"].partition(":")[0] if ":" in found["file"] else "",
        new_bytes=int(decimal.Decimal(new[2] or 0) * _GIB) if new else None,
        bytes=int(props.size(found["size"])) if "size" in found else None,
        options=options,
    )


def _options(schema: props.Schema, disk: Disk, wanted: Disk) -> dict[str, str]:
    ignored = {key for key in disk.options if schema.foreign(key, wanted.options)}
    if wanted.new_bytes is not None:
        ignored |= _CREATION_ONLY
    if wanted.storage:
        # The storage knows the format of its volumes; another one here only fails at start (qemu-server, get_path_and_format).
        ignored.add("format")
    return {key: value for key, value in disk.options.items() if key not in ignored}


def is_cd(value: str) -> bool:
    """Whether PVE takes the drive for a CD-ROM, which a cloud-init drive is not (qemu-server, drive_is_cdrom)."""
    try:
        read = _read(DRIVE, value)
    except ValueError:
        return False
    cloud_init = read.volume.endswith(":cloudinit") or _CLOUDINIT.fullmatch(read.volume)
    return read.options["media"] == "cdrom" and not cloud_init


def image(value: str) -> tuple[str, str]:
    """Storage and volume of the ISO image that a drive names (``local:iso/x.iso,media=cdrom``); two empty texts for any other."""
    volume = value.split(",")[0].removeprefix("file=").removeprefix("volume=")
    storage, _, name = volume.partition(":")
    return (storage, volume) if name.startswith("iso/") and "/" not in storage else ("", "")


def makes(value: str, *, name: str = "disk") -> bool:
    """Whether the value asks PVE to make a disk for data, which a cloud-init drive is not. ``name``: the field's."""
    try:
        new = _NEW.fullmatch(_read(_SCHEMAS[name], value).volume)
    except ValueError:
        return False
    return new is not None and new[2] is not None


def volume(value: str, *, name: str = "disk") -> str:
    """The volume that a drive's value names; empty when it names none yet, or cannot be taken apart."""
    try:
        read = _read(_SCHEMAS[name], value)
    except ValueError:
        return ""
    return read.volume if read.new_bytes is None and read.storage else ""


def obstacle(wanted: str, observed: str, *, name: str = "disk") -> str:
    """What a write of the key cannot do for an existing disk: move it, make it larger, or leave it in its place when another volume
    is to come there; empty when nothing stands in the way. ``name``: the field's.

    Shrinking is never asked for: a larger disk than wanted is as wanted. EFI and TPM disks are sized by PVE.
    """
    schema, sized = _SCHEMAS[name], name == "disk"
    try:
        want, got = _read(schema, wanted), _read(schema, observed)
    except ValueError:
        return ""
    if got.options.get("media") == "cdrom" or got.new_bytes is not None:
        return ""
    if want.options.get("media") == "cdrom" or (want.new_bytes is None and want.volume != got.volume):
        return f"{got.volume} holds data and would be detached: only a person does that"
    if want.new_bytes is not None and want.storage != got.storage:
        return f"the disk lies on {got.storage}, not on {want.storage}: only a move changes that"
    target = want.new_bytes if want.new_bytes is not None else want.bytes
    if sized and want.storage == got.storage and target is not None and got.bytes is not None and got.bytes < target:
        return f"the disk has {got.bytes / _GIB:g} GiB, not {target / _GIB:g}: only a resize changes that"
    return ""


def _placed(want: Disk, got: Disk, sized: bool) -> bool:
    if want.new_bytes is None or got.new_bytes is not None:
        large_enough = want.bytes is None or got.bytes is None or got.bytes >= want.bytes
        return want.volume == got.volume and (large_enough or not sized or want.options.get("media") == "cdrom")
    if want.storage != got.storage or (want.volume.endswith(":cloudinit") and not _CLOUDINIT.fullmatch(got.volume)):
        return False
    # No recorded size tells nothing, and nothing acts on what is not known.
    return not sized or got.bytes is None or got.bytes >= want.new_bytes


def _make(name: str, key: str, schema: props.Schema, *, sized: bool) -> field.VmField:
    def same(wanted: str, observed: str) -> bool:
        try:
            want, got = _read(schema, wanted), _read(schema, observed)
        except ValueError:
            return wanted == observed
        return _placed(want, got, sized) and _options(schema, want, want) == _options(schema, got, want)

    def merge(wanted: str, observed: str) -> str:
        try:
            want, got = props.split(schema, wanted), props.split(schema, observed)
        except ValueError:
            return wanted
        return _keep_volume(schema, want, got, wanted)

    parse = making.property_string(name, key, schema).parse
    return field.VmField(name, re.compile(key), parse, same, merge, making.api, holds_data=True)


def _keep_volume(schema: props.Schema, want: dict[str, str], got: dict[str, str], wanted: str) -> str:
    file, there = want.get("file", ""), got.get("file", "")
    asks_for_new = bool(_NEW.fullmatch(file))
    if not (_takes_place_of(file, got) if asks_for_new else file == there):
        return wanted
    dropped = {"file", "size", *_CREATION_ONLY} if asks_for_new else {"file"}
    options = {key: value for key, value in want.items() if key not in dropped}
    kept = {"size", *(("media",) if file.endswith(":cloudinit") else ())}
    for key, value in got.items():
        if key in kept or schema.foreign(key, want):
            options.setdefault(key, value)
    return ",".join([there, *(f"{key}={options[key]}" for key in sorted(options))])


def _takes_place_of(file: str, got: dict[str, str]) -> bool:
    """Whether the observed volume is what became of the wish ``file`` for a new one."""
    there = got.get("file", "")
    if not there or _NEW.fullmatch(there):
        return False
    if file.endswith(":cloudinit"):
        return bool(_CLOUDINIT.fullmatch(there))
    return got.get("media") != "cdrom"


FIELDS = (
    _make("disk", r"(?:scsi|virtio|sata|ide)\d+", DRIVE, sized=True),
    # The size that is asked for is ignored for these two: PVE gives them a fixed one.
    _make("efidisk", r"efidisk0", EFI, sized=False),
    _make("tpmstate", r"tpmstate0", TPM, sized=False),
)
