"""What PVE does to the values of a request before it stores them: drives, MAC addresses, ids, hook scripts."""

from __future__ import annotations

import base64
import binascii
import contextlib
import itertools
import os
from urllib.parse import unquote

from transom.lab.pve import conf, devices, drives, formats, node, replies, schema, storage

MAC_PREFIX = "BC:24:11"
REVISIONS = {"9.2": "+pve1", "10.0": "+pve1", "11.0": "+pve1"}  # PVE's own changes to QEMU's machine versions


def random_mac() -> str:
    tail = os.urandom(3).hex().upper()
    return f"{MAC_PREFIX}:{tail[:2]}:{tail[2:4]}:{tail[4:]}"


def new_uuid() -> str:
    """A random UUID (version 4), without the module of that name: it slows `qm` down."""
    raw = bytearray(os.urandom(16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def net(value: str) -> str:
    """With a MAC address, in PVE's order of properties."""
    parts = formats.parse_property_string(devices.NET, value)
    parts.setdefault("macaddr", random_mac())
    return devices.print_string(devices.NET, parts)


def cdrom_alias(params: dict[str, str]) -> None:
    if "cdrom" in params:
        value = params.pop("cdrom")
        if "ide2" in params:
            replies.bad_parameters({"cdrom": "conflicting parameter 'ide2'"})
        params["ide2"] = value if "media=" in value else f"{value},media=cdrom"


def drive_params(here: node.Node, params: dict[str, str]) -> None:
    for name in sorted(filter(drives.is_drive, params)):
        drive = drives.parse(name, params[name])
        if drive is None:
            replies.bad_parameters({name: "unable to parse drive options"})
        import_syntax(name, drive)
        drive = cleaned(here, name, drive)
        named = drive.storage and not drive.new_size and not drive.new_cloudinit
        if named and storage.parse(here, drive.file).kind == "iso" and not drive.cdrom:
            replies.bad_parameters({name: "explicit 'media=cdrom' is required for iso images"})
        params[name] = drives.render(drive)


def ssh_keys(encoded: str) -> None:
    for line in unquote(encoded).split("\n"):
        if line.strip() and not is_public_key(line):
            replies.die("SSH public key validation error")


def is_public_key(line: str) -> bool:
    """Options may come first; the key's data begin with the length of its type's name and that name."""
    words = line.split()
    for kind, data in itertools.pairwise(words):
        with contextlib.suppress(binascii.Error):
            if base64.b64decode(data, validate=True)[4:].startswith(kind.encode()):
                return True
    return False


def import_syntax(name: str, drive: drives.Drive) -> None:
    if "import-from" not in drive.values:
        return
    if not drive.new_size or drive.new_size[1]:
        text = "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>"
        replies.bad_parameters({name: text})
    for needed in {"efidisk0": ("efitype", "pre-enrolled-keys"), "tpmstate0": ("version",)}.get(name, ()):
        if needed not in drive.values:
            replies.bad_parameters({name: f"need to specify '{needed}' when using 'import-from'"})


def cleaned(here: node.Node, name: str, drive: drives.Drive) -> drives.Drive:
    """A path below a storage becomes the volume's id; `none` and `cdrom` are CD-ROM drives."""
    if drive.file.startswith("/") and not drive.file.startswith("/dev/"):
        volume = storage.of_path(here, drive.file)
        if volume is None:
            replies.bad_parameters({name: f"unable to associate path '{drive.file}' to any storage"})
        if volume.kind == "iso" and "media" not in drive.values:
            drive = drive.but(media="cdrom")
        expected = {"disk": "images", "cdrom": "iso"}.get(drive.values.get("media", ""), volume.kind)
        if volume.kind != expected:
            replies.bad_parameters({name: f"unexpected media type ({volume.kind} != {expected})"})
        return drive.but(file=volume.id)
    if drive.file in ("none", "cdrom") and "media" not in drive.values:
        return drive.but(media="cdrom")
    return drive


def hookscript(here: node.Node, volid: str) -> None:
    def wrong(text: str) -> None:
        replies.bad_parameters({"hookscript": f"{text}\n"})

    try:
        volume = storage.parse(here, volid)
    except replies.Refused as error:
        wrong(error.text)
        return
    if volume.kind != "snippets":
        wrong(f"'{volid}' is not in the snippets directory")
    if storage.size_of(here, volume) is None:
        wrong(f"script '{volid}' does not exist")
    if not storage.file_of(here, volume).stat().st_mode & 0o111:
        wrong(f"script '{volid}' is not executable")


def values(here: node.Node, params: dict[str, str]) -> None:
    """Normalises the parameters of a change in place."""
    drive_params(here, params)
    for name, value in list(params.items()):
        if schema.of_kind(name, "net"):
            params[name] = net(value)
        elif name == "vmgenid" and value == "1":
            params[name] = new_uuid()
        elif name == "hookscript":
            hookscript(here, value)


def vga(value: str) -> None:
    parts = formats.parse_property_string(devices.VGA, value)
    kind = parts.get("type", "")
    if parts.get("clipboard") == "vnc" and kind and not kind.startswith(("std", "cirrus", "vmware", "virtio", "qxl")):
        replies.die(f"vga type {kind} is not compatible with VNC clipboard")


def machine(value: str) -> None:
    """What the format alone does not catch."""
    parts = formats.parse_property_string(devices.MACHINE_FIELDS, value)
    q35 = "q35" in parts.get("type", "")
    if parts.get("viommu") == "intel" and not q35:
        replies.die("to use Intel vIOMMU please set the machine type to q35")
    if parts.get("viommu") == "intel" and parts.get("aw-bits", "48") not in ("39", "48"):
        replies.die("Intel vIOMMU supports only 39 or 48 bits as address width")
    if "aw-bits" in parts and "viommu" not in parts:
        replies.die("cannot set aw-bits if no vIOMMU is configured")


def pinned_machine(here: node.Node, machine_value: str, ostype: str) -> str:
    """The machine with a version, which Windows guests get at creation; '' when nothing is to be pinned."""
    parts = formats.parse_property_string(devices.MACHINE_FIELDS, machine_value) if machine_value else {}
    kind = parts.get("type", "pc")
    if not ostype.startswith("w") or kind not in ("pc", "q35"):
        return ""
    version = ".".join(here.world.qemu.split(".")[:2])
    version += REVISIONS.get(version, "")
    parts["type"] = f"pc-i440fx-{version}" if kind == "pc" else f"pc-q35-{version}"
    return devices.print_string(devices.MACHINE_FIELDS, parts)


def default_boot(main: conf.Section) -> str:
    """`order=` of the first disk, the first CD-ROM and the first network card."""
    found = [(name, drives.parse(name, str(main[name]))) for name in drives.ORDER if name in main]
    disks = [name for name, drive in found if drive and not drive.cdrom and name not in ("efidisk0", "tpmstate0")]
    cdroms = [name for name, drive in found if drive and drive.cdrom]
    nets = [f"net{index}" for index in range(32) if f"net{index}" in main]
    order = [*disks[:1], *cdroms[:1], *nets[:1]]
    return f"order={';'.join(order)}" if order else ""
