"""Which PCI devices the host's own storage hangs on: mounts, swap, and members of pools, volume groups and arrays."""

from __future__ import annotations

import dataclasses
import re
import shlex

from transom import model
from transom.host import closure, loader, probe

_SPLIT, _POOLS, _ESPS = "-- links --", "-- pools --", "-- esps --"
_VDEVS, _STORAGES, _ASKED = "-- vdevs --", "-- storages --", "-- asked --"
_MEMBERS = frozenset({"zfs_member", "LVM2_member", "linux_raid_member", "bcache", "ceph_bluestore", "drbd"})
_SEVERAL = frozenset({"btrfs", "bcachefs"})
"""File systems of several devices, all of one UUID; lsblk shows the mount point at one of them alone."""
_PCI = re.compile(probe.PCI_FUNCTION)
_SUBSYSTEM = "/virtual/nvme-subsystem/"
_SHARED = re.compile(r"nvme(\d+)n(\d+)(?:p\d+)?")
_DEVICE = re.compile(r"(?<!\S)/dev/(\S+)")
_POOL = re.compile(r"^\s+pool\s+([^\s/]+)", re.M)
COMMAND = f"""
rows=$(lsblk -P -o KNAME,PKNAME,FSTYPE,MOUNTPOINT,UUID,LABEL) || exit 3
printf '%s\\n' "$rows" '{_SPLIT}'
find /sys/class/block -maxdepth 1 -type l -printf '%f %l\\n'
case $rows in *'FSTYPE="zfs_member"'*)
  # without the module zpool would load it
  [ -d /sys/module/zfs ] && pools=$(timeout 10 zpool list -H -o guid) && vdevs=$(timeout 10 zpool status -LP) &&
    storages=$(cat /etc/pve/storage.cfg) &&
    printf '%s\\n' '{_POOLS}' "$pools" '{_VDEVS}' "$vdevs" '{_STORAGES}' "$storages" '{_ASKED}';;
esac
printf '%s\\n' '{_ESPS}'
[ ! -r {loader.UUIDS} ] || cat {loader.UUIDS}
"""


@dataclasses.dataclass(frozen=True)
class _Pools:
    """GUIDs of the imported ZFS pools, the devices in them, and the pools that a storage of PVE is on, imported or not."""

    guids: frozenset[str]
    devices: frozenset[str]
    storages: frozenset[str]

    def lets_go(self, row: dict[str, str]) -> bool:
        """Whether a row is a member of a pool, and one that is none of these. blkid's UUID is the pool's GUID, LABEL its name; a
        spare or cache device has neither (``vdev_label_init``), and one of an imported pool may have gone from its status."""
        if row.get("FSTYPE") != "zfs_member" or row.get("MOUNTPOINT") or not row.get("UUID") or not row.get("LABEL"):
            return False
        taken = row["UUID"] in self.guids or row["KNAME"] in self.devices or row["LABEL"] in self.storages
        return not taken


def _pools(asked: str) -> _Pools | None:
    """None where they could not be asked for."""
    guids, _, rest = asked.partition(f"{_VDEVS}\n")
    vdevs, _, rest = rest.partition(f"{_STORAGES}\n")
    storages, whole, _ = rest.partition(f"{_ASKED}\n")
    if not whole:
        return None
    devices = (name.replace("/", "!") for name in _DEVICE.findall(vdevs))
    return _Pools(frozenset(guids.split()), frozenset(devices), frozenset(_POOL.findall(storages)))


def _idle(vital: model.Vital, row: dict[str, str]) -> model.Vital:
    words = f"{vital.what} of the pool {row['LABEL']}, which is not imported"
    return dataclasses.replace(vital, what=words, says=words, idle=True)


def parse(body: bytes) -> tuple[model.Vital, ...]:
    """One a use of a disk or partition, with the PCI functions on the way to it. ValueError for a row that is none, and for a disk
    that the host uses of which sysfs does not say where it is."""
    table, mark, rest = body.decode("utf-8", "replace").partition(f"{_SPLIT}\n")
    if not mark:
        raise ValueError("the list was cut short")
    links, _, listed = rest.partition(f"{_ESPS}\n")
    links, _, asked = links.partition(f"{_POOLS}\n")
    pools = _pools(asked)
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
            found.setdefault((row["KNAME"], use), _idle(vital, row) if pools and pools.lets_go(row) else vital)
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
