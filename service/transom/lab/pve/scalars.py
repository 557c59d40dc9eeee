"""Named formats of single values, each a function that raises `Unfit` in PVE's words."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final

from transom.lab.pve import roles


class Unfit(ValueError):
    """The value does not have the format; the text is PVE's, final newline included."""


def split_list(text: str) -> list[str]:
    """PVE's lists: separated by comma, semicolon, space or NUL; empty parts are nothing."""
    return [part for part in re.split(r"[,;\s\0]+", text.strip()) if part]


def matcher(pattern: str, complaint: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        if not re.fullmatch(pattern, value):
            raise Unfit(complaint.format(value) + "\n")

    return check


LABEL: Final = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9\-]*[a-zA-Z0-9])?)"
STORAGE_ID: Final = r"[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]"
VOLUME_ID: Final = rf"(?P<storage>{STORAGE_ID}):(?P<name>.+)"
DRIVE: Final = re.compile(r"ide[0-3]|sata[0-5]|scsi(?:[12]?\d|30)|virtio(?:1[0-5]|\d)|efidisk0|tpmstate0")
BOOT_DEVICE: Final = re.compile(rf"(?!efidisk|tpmstate)(?:{DRIVE.pattern})|(?:net|usb|hostpci)\d+")
CONTENT_TYPES: Final = ("images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none")


def boot_device(value: str) -> None:
    if not BOOT_DEVICE.fullmatch(value):
        raise Unfit(f"invalid boot device '{value}'\n")


def address(check: Callable[[str], object], what: str) -> Callable[[str], None]:
    def verify(value: str) -> None:
        try:
            check(value)
        except ValueError:
            raise Unfit(f"value does not look like a valid {what}\n") from None

    return verify


def any_address(value: str) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        if not re.fullmatch(rf"(?:{LABEL}\.)*{LABEL}", value):
            raise Unfit(f"value does not look like a valid address: {value}\n") from None


def mac_address(value: str) -> None:
    if not re.fullmatch(r"[a-fA-F0-9]{2}(:[a-fA-F0-9]{2}){5}", value) or int(value[:2], 16) & 1:
        raise Unfit("value does not look like a valid unicast MAC address\n")


def storage_id(value: str) -> None:
    if len(value) < 2:
        raise Unfit(f"storage ID '{value}' cannot be shorter than 2 characters\n")
    if not re.fullmatch(STORAGE_ID, value):
        raise Unfit(f"storage ID '{value}' contains illegal characters\n")


def volume_id(value: str) -> None:
    if not re.fullmatch(VOLUME_ID, value):
        raise Unfit(f"unable to parse volume ID '{value}'\n")


def volume_or_path(value: str) -> None:
    if value not in ("none", "cdrom") and not value.startswith("/"):
        volume_id(value)


def volume_or_absolute(value: str) -> None:
    if not value.startswith("/"):
        volume_id(value)


def bridge_id(value: str) -> None:
    if not re.fullmatch(r"[-_.\w]+", value):
        raise Unfit(f"invalid bridge ID '{value}'\n")


def boot_disk(value: str) -> None:
    if not DRIVE.fullmatch(value):
        raise Unfit(f"invalid boot disk '{value}'\n")


def hotplug_features(value: str) -> None:
    if value in ("0", "1"):
        return
    for feature in split_list(value):
        if feature not in ("network", "disk", "cpu", "memory", "usb", "cloudinit"):
            raise Unfit(f"invalid hotplug feature '{feature}'\n")


def cpu_set(value: str) -> None:
    for part in value.rstrip(",").split(",") if value.strip(",") else ():  # Perl's split drops empty parts at the end
        found = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not found or (found[2] and int(found[2]) < int(found[1])):
            raise Unfit("unable to parse cpuset option\n")


def startup_order(value: str) -> None:
    if value in ("", "0"):
        raise Unfit("unable to parse startup options\n")
    for part in value.split(","):
        if part.strip() and not re.fullmatch(r"(?:order=)?\d+|(?:up|down)=\d+", part):
            raise Unfit("unable to parse startup options\n")


def phys_bits(value: str) -> None:
    if value != "host" and not (value.isdigit() and 8 <= int(value) <= 64):
        raise Unfit("value must be an integer between 8 and 64 or 'host'\n")


def privilege(value: str) -> None:
    if value not in roles.ALL:
        raise Unfit(f"invalid privilege '{value}'\n")


def content_type(value: str) -> None:
    if value not in CONTENT_TYPES:
        raise Unfit(f"invalid content type '{value}'\n")


def ip_config(dynamic: tuple[str, ...], check: Callable[[str], object], what: str) -> Callable[[str], None]:
    def verify(value: str) -> None:
        if value in dynamic:
            return
        address(check, what)(value)
        if int(value.partition("/")[2] or 0) < 8:
            raise Unfit(f"value does not look like a valid {what}\n")

    return verify


FORMATS: Final[dict[str, Callable[[str], None]]] = {
    "address": any_address,
    "disk-size": matcher(r"\d+(?:\.\d+)?(?:[KMGT](?:iB)?)?", "value does not look like a valid disk size: {0}"),
    "dns-name": matcher(rf"(?:{LABEL}\.)*{LABEL}", "value does not look like a valid DNS name"),
    "ipv4": address(ipaddress.IPv4Address, "IPv4 address"),
    "ipv6": address(ipaddress.IPv6Address, "IPv6 address"),
    "mac-addr": mac_address,
    "pve-bootdev": boot_device,
    "pve-bridge-id": bridge_id,
    "pve-qm-bootdisk": boot_disk,
    "pve-configid": matcher(r"[A-Za-z][A-Za-z0-9_-]+", "invalid configuration ID '{0}'"),
    "pve-cpuset": cpu_set,
    "pve-hotplug-features": hotplug_features,
    "pve-ipv4-config": ip_config(("dhcp", "manual"), ipaddress.IPv4Interface, "ipv4 network configuration"),
    "pve-ipv6-config": ip_config(("auto", "dhcp", "manual"), ipaddress.IPv6Interface, "ipv6 network configuration"),
    "pve-node": matcher(LABEL, "value does not look like a valid node name"),
    "pve-phys-bits": phys_bits,
    "pve-poolid": matcher(r"[A-Za-z0-9._/-]+", "value '{0}' does not look like a valid pool name"),
    "pve-priv": privilege,
    "pve-roleid": matcher(r"[A-Za-z0-9.\-_]+", "role name '{0}' contains invalid characters"),
    "pve-startup-order": startup_order,
    "pve-storage-content": content_type,
    "pve-storage-id": storage_id,
    "pve-tag": matcher(r"(?i:[a-z0-9_][a-z0-9_\-+.]*)", "invalid characters in tag"),
    "pve-userid": matcher(r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+", "value '{0}' does not look like a valid user name"),
    "pve-vmid": matcher(r"[1-9][0-9]{2,8}", "value does not look like a valid VM ID"),
    "pve-volume-id": volume_id,
    "pve-volume-id-or-absolute-path": volume_or_absolute,
    "pve-volume-id-or-qm-path": volume_or_path,
    "urlencoded": matcher(r"[-%a-zA-Z0-9_.!~*'()]*", "invalid urlencoded string: {0}"),
}
