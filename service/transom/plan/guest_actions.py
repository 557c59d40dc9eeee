"""What can be done to VMs, and to the resource mappings that they name, as values like those of ``actions``."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Literal

from transom.guest import shell as guest_shell


@dataclasses.dataclass(frozen=True)
class CreateGuest:
    """Create a VM: what a token may write by the API, the root-only keys over SSH."""

    vmid: int | None
    """None: the next free one, taken when the plan is carried out."""
    name: str
    """Name of the document, which the mark in the VM carries."""
    api: Mapping[str, str]
    root: Mapping[str, str]
    kind: Literal["create-guest"] = "create-guest"

    def describe(self) -> str:
        return f"create VM {self.vmid if self.vmid is not None else '(next free id)'} for {self.name}"

    def shell(self) -> tuple[str, ...]:
        return guest_shell.create(self.vmid, {**self.api, **self.root})

    def undo_shell(self) -> tuple[str, ...]:
        conf = f"/etc/pve/qemu-server/{self.vmid if self.vmid is not None else 'VMID'}.conf"
        return (f"mv {conf} /root/  # the disks stay",)


@dataclasses.dataclass(frozen=True)
class ChangeGuest:
    """Change keys of a VM whose configuration still has this digest. ``before`` holds every key's old value, None for none."""

    vmid: int
    digest: str
    api: Mapping[str, str]
    root: Mapping[str, str]
    api_delete: tuple[str, ...]
    root_delete: tuple[str, ...]
    before: Mapping[str, str | None]
    revert: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    """Keys whose pending change is taken back, with the value that stands then; None for none."""
    follows: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    """What PVE changes by itself with that; it is not sent."""
    then: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    """What is sent in a request of its own after the rest, since PVE would overwrite it: ``boot`` when a CD drive comes."""
    kind: Literal["change-guest"] = "change-guest"

    @property
    def wanted(self) -> dict[str, str | None]:
        """Every key that is changed, with its new value; None for deleted."""
        deleted = dict.fromkeys((*self.api_delete, *self.root_delete))
        return {**self.api, **self.root, **deleted, **self.revert, **self.follows, **self.then}

    def describe(self) -> str:
        keys = (f"{key} (pending change taken back)" if key in self.revert else key for key in sorted(self.wanted))
        return f"change VM {self.vmid}: {', '.join(keys)}"

    def shell(self) -> tuple[str, ...]:
        deleted = (*self.api_delete, *self.root_delete)
        last = {key: value for key, value in self.then.items() if value is not None}
        return (
            *guest_shell.change(self.vmid, {**self.api, **self.root}, deleted, revert=self.revert),
            *guest_shell.change(self.vmid, last, tuple(key for key in self.then if key not in last)),
        )

    def undo_shell(self) -> tuple[str, ...]:
        back = {key: value for key, value in self.before.items() if value is not None}
        return guest_shell.change(self.vmid, back, tuple(key for key, value in self.before.items() if value is None))


@dataclasses.dataclass(frozen=True)
class RestartGuest:
    """Restart a running VM if changes of ``keys`` are pending then: only trying tells what QEMU takes while it runs.

    ``stale``: keys of which its QEMU has something else though nothing is pending; for them it is restarted in any case.
    """

    vmid: int
    keys: tuple[str, ...]
    stale: tuple[str, ...] = ()
    kind: Literal["restart-guest"] = "restart-guest"

    def describe(self) -> str:
        if self.stale:
            return f"restart VM {self.vmid}, whose QEMU was started with something else for {', '.join(self.stale)}"
        return f"restart VM {self.vmid} if {', '.join(self.keys)} cannot change while it runs"

    def shell(self) -> tuple[str, ...]:
        if self.stale:
            return (f"qm reboot {self.vmid}",)
        return (f"qm pending {self.vmid} | grep -Eq '^(new|del) ' && qm reboot {self.vmid} || true",)

    def undo_shell(self) -> tuple[str, ...]:
        return dataclasses.replace(self, stale=()).shell()


@dataclasses.dataclass(frozen=True)
class StartGuest:
    """Start a VM that has been off since we restarted it."""

    vmid: int
    kind: Literal["start-guest"] = "start-guest"

    def describe(self) -> str:
        return f"start VM {self.vmid}"

    def shell(self) -> tuple[str, ...]:
        return (f"qm start {self.vmid}",)

    def undo_shell(self) -> tuple[str, ...]:
        return (f"# VM {self.vmid} stays as it is: it ran before its restart",)


@dataclasses.dataclass(frozen=True)
class DestroyGuest:
    """Delete a stopped VM that Transom made, with the disks it owns, if its configuration still has this digest."""

    vmid: int
    name: str
    """Name of the document, which the mark in the VM carries."""
    digest: str
    disks: tuple[str, ...] = ()
    """What goes with it: ``scsi0 local-lvm:vm-112-disk-1 (64G)``."""
    kind: Literal["destroy-guest"] = "destroy-guest"

    def describe(self) -> str:
        disks = f"with {', '.join(self.disks)}" if self.disks else "(it owns no disk)"
        return f"delete VM {self.vmid} ({self.name}) {disks}; nothing brings it back"

    def shell(self) -> tuple[str, ...]:
        return (f"qm destroy {self.vmid}",)

    def undo_shell(self) -> tuple[str, ...]:
        return (f"# VM {self.vmid} comes back from a backup only: qmrestore",)


@dataclasses.dataclass(frozen=True)
class SetMapping:
    """Give a PCI mapping of the cluster another entry for one node, if nobody changed the mappings since. Other nodes' stay."""

    name: str
    digest: str
    """Of the file with all mappings; empty when this one is to be made."""
    others: tuple[str, ...]
    """The entries that stay as they are."""
    entry: str | None
    """This node's; None takes it out, and with the last one the mapping."""
    before: str | None
    kind: Literal["set-mapping"] = "set-mapping"

    @property
    def entries(self) -> tuple[str, ...]:
        return (*self.others, *((self.entry,) if self.entry is not None else ()))

    def describe(self) -> str:
        if self.entry is None:
            return f"take this node out of PCI mapping {self.name}"
        return f"{'correct' if self.before else 'add'} this node's entry in PCI mapping {self.name}: {self.entry}"

    def shell(self) -> tuple[str, ...]:
        return (_pvesh(self.name, self.entries, new=not self.digest),)

    def undo_shell(self) -> tuple[str, ...]:
        back = (*self.others, *((self.before,) if self.before is not None else ()))
        return (_pvesh(self.name, back, new=self.entry is None and not self.others),)


def _pvesh(name: str, entries: tuple[str, ...], *, new: bool) -> str:
    if not entries:
        return shlex.join(["pvesh", "delete", f"/cluster/mapping/pci/{name}"])
    maps = [word for entry in entries for word in ("--map", entry)]
    if new:
        return shlex.join(["pvesh", "create", "/cluster/mapping/pci", "--id", name, *maps])
    return shlex.join(["pvesh", "set", f"/cluster/mapping/pci/{name}", *maps])
