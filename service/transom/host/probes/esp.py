"""What lies on the ESPs that proxmox-boot-tool or kernel-install writes to: loader configuration, read as text.

An ESP of proxmox-boot-tool's is normally not mounted. It is then mounted read-only in a mount namespace of this command alone,
which the kernel takes away with it: nothing else on the host sees it, and FAT's dirty mark is not set.
"""

from __future__ import annotations

import base64
import binascii

from transom import model
from transom.host import probe

COMMAND = r"""
dump='for path in loader/loader.conf loader/entries/*.conf grub/grub.cfg; do
  [ -f "$path" ] || continue
  printf "file %s %s " "$path" "$(stat -c %Y -- "$path")"; base64 -w0 -- "$path" || exit 5; echo
done; exit 0'
if [ ! -s /etc/kernel/proxmox-boot-uuids ]; then
  for at in /boot/efi /efi /boot; do
    [ -d "$at/loader/entries" ] || continue
    out=$(cd "$at" && eval "$dump") && printf 'esp %s ok\n%s\n' "$at" "$out" || printf 'esp %s could not be read\n' "$at"
  done
  exit 0
fi
while IFS= read -r uuid || [ -n "$uuid" ]; do
  case $uuid in *[!0-9A-Fa-f-]*|'') continue ;; esac
  device=/dev/disk/by-uuid/$uuid
  at=$(findmnt -fnro TARGET -S "$(readlink -f "$device")")
  if [ ! -e "$device" ]; then
    printf 'esp %s %s does not exist\n' "$uuid" "$device"
  elif [ -n "$at" ]; then
    out=$(cd "$at" && eval "$dump") && printf 'esp %s ok\n%s\n' "$uuid" "$out" || printf 'esp %s could not be read\n' "$uuid"
  else
    out=$(unshare --mount --propagation slave sh -c \
      "mount -t vfat -o ro,nosuid,nodev,noexec \"\$1\" /mnt && cd /mnt || exit 4; $dump" sh "$device") &&
      printf 'esp %s ok\n%s\n' "$uuid" "$out" || printf 'esp %s could not be mounted and read\n' "$uuid"
  fi
done </etc/kernel/proxmox-boot-uuids
exit 0
"""


def parse(body: bytes) -> tuple[model.Esp, ...]:
    """The ESPs in their order. ValueError when the answer is not of this form."""
    found: list[tuple[str, str, dict[str, str], list[int]]] = []
    for line in body.decode("ascii", "replace").splitlines():
        kind, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        if kind == "esp" and name and value:
            found.append((name, value, {}, [0]))
        elif kind == "file" and found:
            seconds, _, encoded = value.partition(" ")
            found[-1][2][name] = _text(encoded)
            found[-1][3].append(int(seconds) * 1_000_000_000)
        elif line:
            raise ValueError(f"{line[:80]!r} is no line of it")
    return tuple(
        model.Esp(name, dict(texts) if state == "ok" else model.Unknown(state), max(times))
        for name, state, texts, times in found
    )


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except binascii.Error as fault:
        raise ValueError(f"{encoded[:40]!r} is not base64") from fault


PROBE = probe.Probe("esp", COMMAND, parse)
