"""Hardware as documents say it → keys and values in PVE's own syntax. What is not named gives no key."""

from __future__ import annotations

import decimal
from collections.abc import Iterator

from transom.spec import documents
from transom.spec import hardware as parts

_PLAIN = (
    "name", "ostype", "bios", "machine", "cpu", "cores", "sockets", "numa", "memory", "balloon", "agent", "vga",
    "scsihw", "tablet", "onboot", "protection",
)  # fmt: skip
"""Fields that are called and valued in PVE as they are here."""


_GIB = {"M": decimal.Decimal(1) / 1024, "G": decimal.Decimal(1), "T": decimal.Decimal(1024)}


def hardware(wanted: parts.Hardware) -> dict[str, str]:
    """``{"cores": "6", "net0": "virtio,bridge=vmbr0", "boot": "order=scsi0;net0", …}``."""
    config = {key: _scalar(value) for key in _PLAIN if (value := getattr(wanted, key)) is not None}
    if wanted.tags:
        config["tags"] = ";".join(wanted.tags)
    config |= {key: disk(value) for key, value in wanted.disks.items()}
    config |= {key: nic(value) for key, value in wanted.network.items()}
    config |= {f"usb{index}": f"host={device}" for index, device in enumerate(wanted.usb)}
    if wanted.boot:
        config["boot"] = f"order={';'.join(wanted.boot)}"
    return config


def disk(wanted: parts.Disk) -> str:
    """In the form that makes it: ``local-lvm:32,iothread=1,ssd=1``, the size in GiB whatever the storage."""
    gib = decimal.Decimal(int(wanted.size[:-1])) * _GIB[wanted.size[-1]]
    head = f"{wanted.storage}:{gib.normalize():f}"
    return ",".join([head, *_disk_options(wanted)])


def _disk_options(wanted: parts.Disk) -> Iterator[str]:
    if wanted.aio is not None:
        yield f"aio={wanted.aio}"
    if wanted.backup is not None:
        yield f"backup={_scalar(wanted.backup)}"
    if wanted.cache is not None:
        yield f"cache={wanted.cache}"
    if wanted.discard is not None:
        yield f"discard={'on' if wanted.discard else 'ignore'}"
    if wanted.iothread is not None:
        yield f"iothread={_scalar(wanted.iothread)}"
    if wanted.ssd is not None:
        yield f"ssd={_scalar(wanted.ssd)}"


def nic(wanted: parts.Nic) -> str:
    """``virtio=F6:ED:C6:88:12:F6,bridge=vmbr0,firewall=1``; without a MAC ``virtio,bridge=vmbr0``."""
    options = [f"{wanted.model}={wanted.mac}" if wanted.mac else wanted.model]
    if wanted.bridge is not None:
        options.append(f"bridge={wanted.bridge}")
    if wanted.firewall is not None:
        options.append(f"firewall={_scalar(wanted.firewall)}")
    if wanted.rate is not None:
        options.append(f"rate={wanted.rate}")
    if wanted.tag is not None:
        options.append(f"tag={wanted.tag}")
    return ",".join(options)


def media(wanted: documents.VmSpec) -> dict[str, str]:
    """``{"ide2": "local:iso/x.iso,media=cdrom"}``"""
    return {key: f"{volume},media=cdrom" for key, volume in wanted.media.items()}


def _scalar(value: str | int | bool) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
