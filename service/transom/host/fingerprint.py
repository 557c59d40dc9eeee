"""What a host was when all was well, as short texts by name: compared at each look, what differs since is told.

Only what could be read has a name in it; what could not be read so differs from nothing.
"""

from __future__ import annotations

import fnmatch
import hashlib
import itertools
from collections.abc import Iterator, Mapping

from transom import model
from transom.host import devices
from transom.spec import wish

_OWN_OR_BUILT = ("/boot/*", "/var/lib/transom/*")
"""Built from the others, or our own books."""
_FILE, _VM, _CMDLINE, GONE = "file ", "VM ", "kernel command line", "gone"
_LOADERS = ("BOOT_IMAGE=", "initrd=")
"""The boot loader's own: which kernel it is stands by its version."""


def take(facts: model.Facts, node: wish.NodeWish) -> dict[str, str]:
    """``bios`` → version, ``kernel command line``, ``group of igpu at 0000:00:02.0`` → its number, ``kind of …``, ``driver of …``,
    ``rom …`` → hash, ``VM 100`` → hash of its configuration, ``file /etc/…`` → hash."""
    return dict([*_machine(facts, node), *_roms(facts), *_guests(facts, node), *_files(facts)])


def _machine(facts: model.Facts, node: wish.NodeWish) -> Iterator[tuple[str, str]]:
    if isinstance(facts.hardware.bios, str):
        yield "bios", facts.hardware.bios
    if isinstance(facts.boot.cmdline, tuple):
        yield _CMDLINE, " ".join(token for token in facts.boot.cmdline if not token.startswith(_LOADERS))
    if isinstance(facts.pci, model.Unknown):
        return
    wishes = [*node.devices.values(), *(guest.device for guest in node.guests if guest.device)]
    for name, wished in {one.name: one for one in wishes}.items():
        found = devices.matching(wished, facts.pci)
        yield f"device {name}", ", ".join(dev.address for dev in found) or GONE
        for dev in found:
            kind = f"{dev.id} of class {dev.class_code}, subsystem {dev.subsystem or 'none'}, revision {dev.revision or 'none'}"
            yield f"kind of {name} at {dev.address}", kind
            yield f"group of {name} at {dev.address}", "none" if dev.iommu_group is None else str(dev.iommu_group)
            if isinstance(dev.driver, str):
                yield f"driver of {name} at {dev.address}", dev.driver or "none"


def _roms(facts: model.Facts) -> Iterator[tuple[str, str]]:
    for name, digest in ({} if isinstance(facts.roms, model.Unknown) else facts.roms).items():
        yield f"rom {name}", digest


def _guests(facts: model.Facts, node: wish.NodeWish) -> Iterator[tuple[str, str]]:
    declared = {guest.vmid for guest in node.guests}
    for vmid, file in ({} if isinstance(facts.guests, model.Unknown) else facts.guests).items():
        if vmid in declared and isinstance(file.text, str):
            yield f"{_VM}{vmid}", hashlib.sha256(_configuration(file.text).encode()).hexdigest()


def _configuration(text: str) -> str:
    """Without what comes and goes by itself, at each backup and snapshot: the lock, and the sections behind."""
    lines = itertools.takewhile(lambda line: not line.startswith("["), text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("lock:", "parent:")))


def _files(facts: model.Facts) -> Iterator[tuple[str, str]]:
    for path, file in facts.files.items():
        if isinstance(file, model.HostFile) and not any(fnmatch.fnmatchcase(path, one) for one in _OWN_OR_BUILT):
            yield f"{_FILE}{path}", file.sha256


def differing(before: Mapping[str, str], now: Mapping[str, str], facts: model.Facts) -> dict[str, tuple[str, str]]:
    """Name → what it was and what it is. A file that is new was ``gone``; a name that nobody could read now is left out."""
    found = {name: (before[name], value) for name, value in now.items() if name in before and before[name] != value}
    if any(name.startswith(_FILE) for name in before):
        found |= {name: (GONE, value) for name, value in now.items() if name.startswith(_FILE) and name not in before}
    lost = (name for name in before if name.startswith(_FILE) and name not in now)
    gone = (name for name in lost if isinstance(facts.file(name.removeprefix(_FILE)), model.Absent))
    return found | {name: (before[name], GONE) for name in gone}


def said(name: str, was: str, now: str) -> str:
    """One difference for people: hashes are not shown."""
    if name.startswith(_FILE):
        path = name.removeprefix(_FILE)
        return f"{path} is {'new' if was == GONE else 'gone' if now == GONE else 'another'}"
    if name.startswith("rom "):
        return f"{name.removeprefix('rom ')} has other content"
    if name.startswith(_VM):
        return f"the configuration of {name} is another"
    return f"{name} was {was} and is {now}"
