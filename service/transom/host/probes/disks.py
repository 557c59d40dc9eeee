"""Which PCI devices the host's own storage hangs on: mounts, swap, and members of pools, volume groups and arrays."""

from __future__ import annotations

import re
import shlex

from transom import model
from transom.host import probe

_SPLIT = "-- links --"
_MEMBERS = frozenset({"zfs_member", "LVM2_member", "linux_raid_member", "bcache", "ceph_bluestore", "drbd"})
_SEVERAL = frozenset({"btrfs", "bcachefs"})
"""File systems of several devices, all of one UUID; lsblk shows the mount point at one of them alone."""
_PCI = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
COMMAND = f"""
lsblk -P -o KNAME,PKNAME,FSTYPE,MOUNTPOINT,UUID || exit 3
printf '%s\\n' '{_SPLIT}'
find /sys/class/block -maxdepth 1 -type l -printf '%f %l\\n'
"""


def parse(body: bytes) -> tuple[model.Vital, ...]:
    """One a use of a disk or partition, with the PCI functions on the way to it. ValueError for a row that is none."""
    table, mark, links = body.decode("utf-8", "replace").partition(f"{_SPLIT}\n")
    if not mark:
        raise ValueError("the list was cut short")
    rows = [_row(line) for line in table.splitlines() if line.strip()]
    paths = dict(line.split(" ", 1) for line in links.splitlines() if " " in line)
    parents: dict[str, set[str]] = {}
    for row in rows:
        parents.setdefault(row["KNAME"], set()).update({row["PKNAME"]} - {""})
    found: dict[tuple[str, str], model.Vital] = {}
    mounted = {row["UUID"]: row["MOUNTPOINT"] for row in rows if row.get("UUID") and row.get("MOUNTPOINT")}
    for row in rows:
        use = _use(row, mounted)
        if use:
            addresses = {pci for name in _below(row["KNAME"], parents) for pci in _PCI.findall(paths.get(name, ""))}
            vital = model.Vital(use, tuple(sorted(addresses)), f"lsblk {row['KNAME']}", use)
            found.setdefault((row["KNAME"], use), vital)
    return tuple(found.values())


def _row(line: str) -> dict[str, str]:
    row = dict(word.partition("=")[::2] for word in shlex.split(line))
    if "KNAME" not in row or "PKNAME" not in row:
        raise ValueError(f"{line[:80]!r} is no block device")
    return row


def _use(row: dict[str, str], mounted: dict[str, str]) -> str:
    """``mounted``: UUID of a file system → where."""
    if row.get("MOUNTPOINT"):
        return f"mounted on {row['MOUNTPOINT']}"
    if row.get("FSTYPE") in _SEVERAL and row.get("UUID") in mounted:
        return f"a member ({row['FSTYPE']}, mounted on {mounted[row['UUID']]})"
    return f"a member ({row['FSTYPE']})" if row.get("FSTYPE") in _MEMBERS else ""


def _below(name: str, parents: dict[str, set[str]]) -> set[str]:
    """The device and all that it is made of."""
    seen: set[str] = set()
    left = [name]
    while left:
        one = left.pop()
        if one not in seen:
            seen.add(one)
            left += parents.get(one, ())
    return seen


PROBE = probe.Probe("disks", COMMAND, parse)
