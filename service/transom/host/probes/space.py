"""Room for a new initramfs: free bytes of /boot and of mounted ESPs, beside the largest image that is there.

update-initramfs writes the new image beside the old one; proxmox-boot-tool writes over the one on the ESP, so that an ESP that it
alone mounts needs no more than it has.
"""

from __future__ import annotations

from transom import model
from transom.host import probe

COMMAND = """
for image in /boot/initrd.img-*; do [ -f "$image" ] && stat -L -c 'image %s' -- "$image"; done
for at in /boot /boot/efi /efi; do
  [ -d "$at" ] && stat -f -c "room %a %S $at" -- "$at"
done
exit 0
"""


def parse(body: bytes) -> tuple[model.Space, ...]:
    """One a folder. ValueError for a line that is none, or when /boot was not among them."""
    largest = 0
    rooms: list[tuple[str, int]] = []
    for line in body.decode("utf-8", "replace").splitlines():
        words = line.split(" ")
        if words[0] == "image" and len(words) == 2:
            largest = max(largest, int(words[1]))
        elif words[0] == "room" and len(words) == 4:
            rooms.append((words[3], int(words[1]) * int(words[2])))
        else:
            raise ValueError(f"{line[:80]!r} is no line of it")
    if not rooms:
        raise ValueError("no /boot")
    return tuple(model.Space(path, free, largest) for path, free in rooms)


PROBE = probe.Probe("space", COMMAND, parse)
