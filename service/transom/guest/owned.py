"""The disks that go when PVE deletes a VM: those whose name says that they are the VM's own (qemu-server, destroy_vm)."""

from __future__ import annotations

import re

from transom.guest import conf

_KEY = re.compile(r"(?:ide|sata|scsi|virtio|efidisk|tpmstate|unused)\d+|vmstate")
_VOLUME = re.compile(r"[^:/,]+:(?:.*/)?(?:vm|base)-(\d+)-")
_SIZE = re.compile(r"size=([^,]+)")


def volumes(parsed: conf.GuestConf, vmid: int) -> tuple[str, ...]:
    """``scsi0 local-lvm:vm-112-disk-1 (64G)``, one each; also those that only a snapshot or an unused entry names."""
    found: dict[str, str] = {}
    for section in (parsed.main, parsed.pending, *(other.values for other in parsed.others)):
        for key, value in section.items():
            volume = value.partition(",")[0]
            owner = _VOLUME.match(volume)
            if _KEY.fullmatch(key) and owner and int(owner[1]) == vmid:
                size = _SIZE.search(value)
                found.setdefault(volume, f"{key} {volume} ({size[1]})" if size else f"{key} {volume}")
    return tuple(found.values())
