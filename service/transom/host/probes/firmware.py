"""What a boot by the firmware's BootNext would stand on: its variables, Secure Boot, the running kernel's images, room on ESPs.

An ESP of proxmox-boot-tool's that is not mounted is mounted read-only in a mount namespace of this command alone, as by ``esp``.
Newer kernels tell the room in the variable store (statfs of efivarfs); others say 0 of 0.
"""

from __future__ import annotations

import re

from transom import model
from transom.host import probe

_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
COMMAND = rf"""
[ -d /sys/firmware/efi ] || {{ [ -d /sys/firmware ] && echo bios; exit; }}
vars=/sys/firmware/efi/efivars
printf 'bits %s\n' "$(cat /sys/firmware/efi/fw_platform_size)"
awk -v at="$vars" '$2 == at && $3 == "efivarfs" {{ sub(",.*", "", $4); print "variables " $4 }}' /proc/mounts
stat -f -c 'room %b %f %S' "$vars"
secure=$vars/SecureBoot-{_GLOBAL} next=$vars/BootNext-{_GLOBAL}
if [ -e "$secure" ]; then printf 'secure %s\n' "$(tail -c 1 "$secure" | od -An -tu1 | tr -d ' ')"; else echo 'secure absent'; fi
if [ -e "$next" ]; then printf 'next %s\n' "$(tail -c 2 "$next" | od -An -tx1 | tr -d ' ')"; else echo 'next absent'; fi
command -v efibootmgr >/dev/null && echo efibootmgr
image=/boot/vmlinuz-$(uname -r) initrd=/boot/initrd.img-$(uname -r)
[ "$(head -c 2 "$image")" = MZ ] && echo stub
[ -f "$image" ] && [ -f "$initrd" ] && stat -L -c 'image %s' "$image" "$initrd"
place() {{
  here=/sys/class/block/${{2##*/}}
  if [ ! -r "$here/partition" ]; then printf 'unfit %s %s is no partition\n' "$1" "$2"; return; fi
  disk=$(readlink -f "$here/..")
  printf 'esp %s /dev/%s %s %s\n' "$1" "${{disk##*/}}" "$(cat "$here/partition")" "$3"
}}
if [ ! -s /etc/kernel/proxmox-boot-uuids ]; then
  for at in /boot/efi /efi; do
    device=$(findmnt -fnro SOURCE -t vfat -M "$at") && [ -n "$device" ] || continue
    [ -w "$at" ] || {{ printf 'unfit %s it is mounted read-only\n' "$at"; continue; }}
    place "$at" "$device" "$(stat -f -c '%a %S' "$at")"
  done
  exit 0
fi
while IFS= read -r uuid || [ -n "$uuid" ]; do
  case $uuid in *[!0-9A-Fa-f-]*|'') continue ;; esac
  device=$(readlink -f "/dev/disk/by-uuid/$uuid")
  at=$(findmnt -fnro TARGET -S "$device")
  room=$(if [ -n "$at" ]; then stat -f -c '%a %S' "$at"; else unshare --mount --propagation slave sh -c \
    'mount -t vfat -o ro,nosuid,nodev,noexec "$1" /mnt && stat -f -c "%a %S" /mnt' sh "$device"; fi) &&
    place "$uuid" "$device" "$room" || printf 'unfit %s it could not be mounted and read\n' "$uuid"
done </etc/kernel/proxmox-boot-uuids
exit 0
"""
_SECURE: dict[str, bool] = {"0": False, "1": True, "absent": False}
"""A firmware without the variable knows no Secure Boot (the kernel's ``efi_get_secureboot`` reads it so)."""


def parse(body: bytes) -> model.Firmware | None:
    """None: this node did not boot by UEFI. ValueError when the answer is not of this form."""
    said: dict[str, list[str]] = {}
    for line in body.decode("utf-8", "replace").splitlines():
        key, _, rest = line.partition(" ")
        said.setdefault(key, []).append(rest)
    if set(said) == {"bios"}:
        return None
    if "bits" not in said or not set(said) <= _KEYS:
        raise ValueError(f"{sorted(said)} are not its lines")
    images = said.get("image", [])
    return model.Firmware(
        bits=int(said["bits"][0]),
        variables=said.get("variables", [""])[-1],
        room=_room(said.get("room", ["0 0 0"])[0]),
        secure_boot=_SECURE.get(said.get("secure", [""])[0], model.Unknown("the variable SecureBoot cannot be read")),
        next=_next(said.get("next", [""])[0]),
        manager="efibootmgr" in said,
        stub="stub" in said,
        image=sum(map(int, images)) if len(images) == 2 else 0,
        esps=tuple(map(_esp, said.get("esp", []))),
        unfit=tuple(f"ESP {name}: {why}" for name, _, why in (one.partition(" ") for one in said.get("unfit", []))),
    )


_KEYS = frozenset({"bits", "variables", "room", "secure", "next", "efibootmgr", "stub", "image", "esp", "unfit"})


def _room(said: str) -> int | model.Unknown:
    blocks, free, size = map(int, said.split())
    return free * size if blocks else model.Unknown("this kernel does not tell the room for EFI variables")


def _next(said: str) -> str | model.Unknown:
    """Two bytes, the lower first."""
    if said == "absent":
        return ""
    if not re.fullmatch("[0-9a-f]{4}", said):
        return model.Unknown("the variable BootNext cannot be read")
    return (said[2:] + said[:2]).upper()


def _esp(said: str) -> model.EspRoom:
    name, disk, part, free, size = said.split()
    return model.EspRoom(name, disk, int(part), int(free) * int(size))


PROBE = probe.Probe("firmware", COMMAND, parse)
