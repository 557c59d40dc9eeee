"""Which PCI devices the host's own storage hangs on: mounts, swap, and members of pools, volume groups and arrays."""

from __future__ import annotations

import re
import shlex

from transom import model
from transom.host import closure, loader, probe

_SPLIT, _ESPS = "-- links --", "-- esps --"
_MEMBERS = frozenset({"zfs_member", "LVM2_member", "linux_raid_member", "bcache", "ceph_bluestore", "drbd"})
_SEVERAL = frozenset({"btrfs", "bcachefs"})
"""File systems of several devices, all of one UUID; lsblk shows the mount point at one of them alone."""
_PCI = re.compile(probe.PCI_FUNCTION)
_SUBSYSTEM = "/virtual/nvme-subsystem/"
_SHARED = re.compile(r"nvme(\d+)n(\d+)(?:p\d+)?")
COMMAND = f"""
lsblk -P -o KNAME,PKNAME,FSTYPE,MOUNTPOINT,UUID || exit 3
printf '%s\\n' '{_SPLIT}'
find /sys/class/block -maxdepth 1 -type l -printf '%f %l\\n'
printf '%s\\n' '{_ESPS}'
[ ! -r {loader.UUIDS} ] || cat {loader.UUIDS}
"""


def parse(body: bytes) -> tuple[model.Vital, ...]:
    """One a use of a disk or partition, with the PCI functions on the way to it. ValueError for a row that is none, and for a disk
    that the host uses of which sysfs does not say where it is."""
    table, mark, rest = body.decode("utf-8", "replace").partition(f"{_SPLIT}\n")
    if not mark:
        raise ValueError("the list was cut short")
    links, _, listed = rest.partition(f"{_ESPS}\n")
    rows = [_row(line) for line in table.splitlines() if line.strip()]
    paths = dict(line.split(" ", 1) for line in links.splitlines() if " " in line)
    esps = set(listed.split())
    parents: dict[str, set[str]] = {}
    for row in rows:
        parents.setdefault(row["KNAME"], set()).update({row["PKNAME"]} - {""})
    found: dict[tuple[str, str], model.Vital] = {}
    mounted = {row["UUID"]: row["MOUNTPOINT"] for row in rows if row.get("UUID") and row.get("MOUNTPOINT")}
    for row in rows:
        use = _use(row, mounted, esps)
        if use:
            addresses = _functions(row["KNAME"], parents, paths)
            vital = model.Vital(use, tuple(sorted(addresses)), f"lsblk {row['KNAME']}", use)
            found.setdefault((row["KNAME"], use), vital)
    return tuple(found.values())


def _row(line: str) -> dict[str, str]:
    row = dict(word.partition("=")[::2] for word in shlex.split(line))
    if "KNAME" not in row or "PKNAME" not in row:
        raise ValueError(f"{line[:80]!r} is no block device")
    named = {key: row[key].replace("/", "!") for key in ("KNAME", "PKNAME")}  # as sysfs writes cciss/c0d0
    return {**row, **named}


def _use(row: dict[str, str], mounted: dict[str, str], esps: set[str]) -> str:
    """``mounted``: UUID of a file system → where; ``esps``: those that proxmox-boot-tool writes to and leaves unmounted."""
    if row.get("MOUNTPOINT"):
        return f"mounted on {row['MOUNTPOINT']}"
    if row.get("UUID") and row["UUID"] in esps:
        return "an ESP that the host boots from"
    if row.get("FSTYPE") in _SEVERAL and row.get("UUID") in mounted:
        return f"a member ({row['FSTYPE']}, mounted on {mounted[row['UUID']]})"
    return f"a member ({row['FSTYPE']})" if row.get("FSTYPE") in _MEMBERS else ""


def _functions(used: str, parents: dict[str, set[str]], paths: dict[str, str]) -> set[str]:
    """PCI functions on the way to what is used; none for a disk of the network, eMMC off the bus, what is made of memory.
    ValueError where sysfs does not say where it is."""
    found: set[str] = set()
    for name in closure.closure(used, lambda one: sorted(parents.get(one, ()))):
        ways = _ways(name, paths)
        if not ways and not parents.get(name):
            raise ValueError(f"where {name} is, which {used} is on, cannot be told")
        found.update(pci for way in ways for pci in _PCI.findall(way))
    return found


def _ways(name: str, paths: dict[str, str]) -> list[str]:
    """Where in sysfs one disk or partition is. An NVMe disk with native multipath stands on its subsystem alone: its ways are the
    hidden ``nvme0c1n1`` beside it (drivers/nvme/host/multipath.c, nvme_mpath_set_disk_name)."""
    path = paths.get(name)
    if path is None:
        return []
    shared = _SHARED.fullmatch(name) if _SUBSYSTEM in path else None
    if not shared:
        return [path]
    hidden = re.compile(rf"nvme{shared.group(1)}c\d+n{shared.group(2)}")
    return [way for other, way in paths.items() if hidden.fullmatch(other)]


PROBE = probe.Probe("disks", COMMAND, parse)
