"""The configuration files that decide about the boot, with hashes, owners and times; images are looked at, not read."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping

from transom import model
from transom.host import packed, probe

READ = (
    "/etc/default/grub",
    "/etc/default/grub.d/*.cfg",
    "/etc/modules",
    "/etc/modules-load.d/*.conf",
    "/run/modules-load.d/*.conf",
    "/usr/lib/modules-load.d/*.conf",
    "/etc/modprobe.d/*.conf",
    "/run/modprobe.d/*.conf",
    "/usr/local/lib/modprobe.d/*.conf",
    "/lib/modprobe.d/*.conf",
    "/etc/sysctl.d/*.conf",
    "/run/sysctl.d/*.conf",
    "/usr/local/lib/sysctl.d/*.conf",
    "/usr/lib/sysctl.d/*.conf",
    "/etc/initramfs-tools/modules",
    "/etc/initramfs-tools/scripts/init-top/*",
    "/etc/kernel/cmdline",
    "/etc/kernel/proxmox-boot-uuids",
    "/etc/kernel/proxmox-boot-pin",
    "/etc/kernel/next-boot-pin",
    "/boot/grub/grub.cfg",
    "/var/lib/transom/ledger.json",
)
"""Shell patterns, read whole. On merged systems /lib is /usr/lib, whose modprobe.d so needs no pattern of its own."""
LOOKED_AT = "/boot/initrd.img-*"

_FOLDERS = "/etc/default/grub.d /etc/modules-load.d /etc/modprobe.d /etc/sysctl.d /etc/initramfs-tools /boot /boot/grub"
COMMAND = f"""
hash=sha256sum looked_at='{LOOKED_AT}'
{packed.COLLECT}
for folder in {_FOLDERS}; do
  [ ! -d "$folder" ] || {{ [ -r "$folder" ] && [ -x "$folder" ]; }} || exit 3
done
for path in {" ".join(READ)}; do {{ [ -f "$path" ] || [ "$path" -ef /dev/null ]; }} && set -- "$@" "$path"; done
collect "$@"
"""


@dataclasses.dataclass(frozen=True)
class Files:
    """The files by path, and the patterns that were looked for completely."""

    files: Mapping[str, model.HostFile]
    covered: tuple[str, ...]


def parse(body: bytes) -> Files:
    """Every file that is there; ValueError when the answer is not of the form that ``packed`` reads."""
    found = {path: _file(path, one) for path, one in packed.parse(body).items()}
    return Files(found, (*READ, LOOKED_AT))


def _file(path: str, one: packed.Packed) -> model.HostFile:
    text = model.Unknown("not read: binary") if fnmatch.fnmatchcase(path, LOOKED_AT) else one.text
    return model.HostFile(path, text, one.digest, one.mode, one.uid, one.gid, one.mtime_ns)


PROBE = probe.Probe("files", COMMAND, parse)
