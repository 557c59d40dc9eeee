"""What PVE changes by itself in a VM's configuration when other keys are written: the boot order, ``bootdisk``, a pinned machine.

Source of the rules: qemu-server 9.2.6, ``update_vm_api``. PVE looks at the order that the VM has now, not at a pending one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from transom.guest import props
from transom.guest.fields import boot, disks

_DEVICE = re.compile(r"(?:net|hostpci|usb)\d+")
_DRIVE = re.compile(r"(?:scsi|virtio|sata|ide|efidisk|tpmstate)\d+")
_UNUSED = re.compile(r"unused\d+")
_PINNED = re.compile(r"pc-(?:i440fx|q35)-\d+\.\d+(?:\+pve\d+)?(?:,.*)?")


def order(value: str | None) -> tuple[str, ...]:
    """The devices that a ``boot`` names; empty for the old letters and for none, where every drive counts."""
    try:
        named = props.split(boot.SCHEMA, value or "")
    except ValueError:
        return ()
    return tuple(one for one in re.split(r"[;,\s]+", named.get("order", "")) if one)


def follows(changes: Mapping[str, str | None], persisted: Mapping[str, str]) -> dict[str, str | None]:
    """What else is other once ``changes`` (None: deleted) are written, with its value then: devices that go leave the boot order,
    and an order takes ``bootdisk`` away. None of it is to be sent."""
    found: dict[str, str | None] = {}
    if order(changes.get("boot")) and "bootdisk" in persisted and "bootdisk" not in changes:
        found["bootdisk"] = None
    standing = order(persisted.get("boot"))
    left = [one for one in standing if one not in changes or changes[one] is not None]
    if "boot" not in changes and left and len(left) < len(standing):
        found["boot"] = f"order={';'.join(left)}"
    return found


def appends(changes: Mapping[str, str | None], current: Mapping[str, str]) -> bool:
    """Whether PVE puts a CD drive of ``changes`` at the end of the boot order: one that the order does not name.

    It does so in no certain order with the other keys, so that a ``boot`` in the same request may be lost.
    """
    standing = order(current.get("boot"))
    cds = (key for key, value in changes.items() if _DRIVE.fullmatch(key) and value and disks.is_cd(value))
    return bool(standing) and any(key not in standing for key in cds)


def pinned(changed: Collection[str], machine: str | None) -> bool:
    """Whether ``machine`` may have got its version by a change of ``ostype``: Windows has it pinned when nobody names one."""
    return "ostype" in changed and machine is not None and _PINNED.fullmatch(machine) is not None


def by_pve(key: str, changed: Collection[str], before: str | None, after: str | None) -> bool:
    """Whether that ``key`` is other now than before may be PVE's own doing, after a write of ``changed``."""
    if key in {"boot", "bootdisk"}:
        return any(one == "boot" or _DRIVE.fullmatch(one) or _DEVICE.fullmatch(one) for one in changed)
    if key == "machine":
        return pinned(changed, after)
    # A volume that leaves its key is kept under the next free number.
    return _UNUSED.fullmatch(key) is not None and before is None and _any_drive(changed)


def _any_drive(keys: Iterable[str]) -> bool:
    return any(_DRIVE.fullmatch(key) for key in keys)
