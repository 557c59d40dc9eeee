"""How this node could boot something once: what GRUB's menu and environment lie on, and the tools that are there."""

from __future__ import annotations

import shlex

from transom import model
from transom.host import probe

TOOLS = ("grub-reboot", "bootctl", "kexec")
_PLACES = ("/boot/grub", "/boot", "/")
COMMAND = f"""
for tool in {" ".join(TOOLS)}; do command -v "$tool" >/dev/null && printf 'tool %s\\n' "$tool"; done
[ -s /boot/grub/grubenv ] && echo grubenv
exec lsblk -P -o KNAME,PKNAME,FSTYPE,MOUNTPOINT
"""


def parse(body: bytes) -> model.OneShot:
    """ValueError for a row that is no block device."""
    tools: list[str] = []
    grubenv = False
    mounted: dict[str, str] = {}
    for line in body.decode("utf-8", "replace").splitlines():
        if line.startswith("tool "):
            tools.append(line.removeprefix("tool "))
        elif line == "grubenv":
            grubenv = True
        else:
            row = dict(word.partition("=")[::2] for word in shlex.split(line))
            mounted.setdefault(row.get("MOUNTPOINT", ""), f"{row.get('FSTYPE', '')} on {_kname(row)}")
    place = next((mounted[path] for path in _PLACES if path in mounted), "")
    return model.OneShot(place, grubenv, frozenset(tools))


def _kname(row: dict[str, str]) -> str:
    if not row.get("KNAME"):
        raise ValueError(f"{row} is no block device")
    return row["KNAME"]


PROBE = probe.Probe("oneshot", COMMAND, parse)
