"""What can be done to a node, as values: each says itself in words, as the shell commands a person would type, and how to go back.

Nothing here touches a host; ``reconcile.steps`` does, one module a kind. An action carries everything that it needs, so that a
stored plan can be shown, hashed, approved and carried out later, and refused when what it expects is no longer there.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Annotated, Literal

import pydantic

from transom import model
from transom.guest import shell as guest_shell
from transom.host import rebuild
from transom.plan import emptying, once, rehearsal, typed

ROM_FOLDER = "/usr/share/kvm"


@dataclasses.dataclass(frozen=True)
class WriteFile:
    """Write a text file whole, atomically, if it still is what the plan saw."""

    path: str
    text: str
    before: str | None
    """The text that the plan saw; None when there was no file."""
    before_sha256: str | None
    mode: int = 0o644
    after: tuple[model.Step, ...] = ()
    reboot: bool = False
    """Whether it is read at boot."""
    owes: bool = False
    """Whether the running system needs that reboot; marked on the node before the file changes."""
    kind: Literal["write-file"] = "write-file"

    def describe(self) -> str:
        return f"write {self.path}" if self.before is not None else f"create {self.path}"

    def shell(self) -> tuple[str, ...]:
        return (typed.to_file(self.path, self.text),)

    def undo_shell(self) -> tuple[str, ...]:
        if self.before is None:
            return (f"rm {shlex.quote(self.path)}",)
        return (typed.to_file(self.path, self.before),)


@dataclasses.dataclass(frozen=True)
class RemoveFile:
    """Remove a file of our own that has nothing left to say."""

    path: str
    before: str
    before_sha256: str
    mode: int = 0o644
    after: tuple[model.Step, ...] = ()
    reboot: bool = False
    owes: bool = False
    kind: Literal["remove-file"] = "remove-file"

    def describe(self) -> str:
        return f"remove {self.path}"

    def shell(self) -> tuple[str, ...]:
        return (f"rm {shlex.quote(self.path)}",)

    def undo_shell(self) -> tuple[str, ...]:
        return (typed.to_file(self.path, self.before),)


@dataclasses.dataclass(frozen=True)
class RunStep:
    """Rebuild what the boot reads: the initramfs, or the boot loader's configuration."""

    step: model.Step
    reason: str
    command: str = ""
    """One line of shell; empty for the usual one of the step."""
    kind: Literal["run-step"] = "run-step"

    @property
    def line(self) -> str:
        """What is run."""
        return self.command or rebuild.USUAL[self.step]

    def describe(self) -> str:
        return f"run {self.line} ({self.reason})"

    def shell(self) -> tuple[str, ...]:
        return (self.line,)

    def undo_shell(self) -> tuple[str, ...]:
        return (self.line,)


@dataclasses.dataclass(frozen=True)
class PlaceRom:
    """Copy an option ROM to the node, under a name that carries its hash."""

    filename: str
    sha256: str
    source: str
    """Where the bytes are on this side; checked against the hash before anything is sent."""
    before_sha256: str | None = None
    kind: Literal["place-rom"] = "place-rom"

    @property
    def path(self) -> str:
        return f"{ROM_FOLDER}/{self.filename}"

    def describe(self) -> str:
        return f"place option ROM {self.path}"

    def shell(self) -> tuple[str, ...]:
        return (f"echo {self.sha256} {shlex.quote(f' {self.path}')} | sha256sum -c",)

    def undo_shell(self) -> tuple[str, ...]:
        return (f"rm {shlex.quote(self.path)}",)


@dataclasses.dataclass(frozen=True)
class RemoveRom:
    """Remove an option ROM that Transom placed and that no VM's configuration names any more."""

    filename: str
    before_sha256: str
    kind: Literal["remove-rom"] = "remove-rom"

    @property
    def path(self) -> str:
        return f"{ROM_FOLDER}/{self.filename}"

    def describe(self) -> str:
        return f"remove option ROM {self.path}"

    def shell(self) -> tuple[str, ...]:
        return (f"rm {shlex.quote(self.path)}",)

    def undo_shell(self) -> tuple[str, ...]:
        return (f"# put the ROM with sha256 {self.before_sha256} back at {shlex.quote(self.path)}",)


@dataclasses.dataclass(frozen=True)
class Reboot:
    """Reboot the node, wait until another boot id shows, and go on."""

    boot_id: str
    reason: str
    by_hand: bool = False
    """Transom runs on this node: a person reboots it, and the run waits."""
    kind: Literal["reboot"] = "reboot"

    def describe(self) -> str:
        if self.by_hand:
            return f"wait until you reboot this node, on which Transom itself runs: systemctl reboot ({self.reason})"
        return f"reboot the node ({self.reason})"

    def shell(self) -> tuple[str, ...]:
        return ("reboot",)

    def undo_shell(self) -> tuple[str, ...]:
        return ("reboot",)


KEPT = "/root/before-reboot"
"""Where a person who types a plan keeps the copies that Transom keeps in a folder of its own."""


@dataclasses.dataclass(frozen=True)
class KeepBoot:
    """Keep copies of what boots now and of the files that are to change, before the first of them does."""

    boot_id: str
    kernel: str
    """The running one."""
    paths: tuple[str, ...]
    """Those that are to change."""
    kind: Literal["keep-boot"] = "keep-boot"

    def describe(self) -> str:
        return (
            f"keep what boots now: kernel {self.kernel}, initramfs images, boot configuration, {len(self.paths)} files"
        )

    def shell(self) -> tuple[str, ...]:
        boots = (f"/boot/vmlinuz-{self.kernel}", f"/boot/initrd.img-{self.kernel}", "/boot/grub/grub.cfg")
        words = shlex.join([*boots, *self.paths])
        copy = f'mkdir -p "{KEPT}${{file%/*}}" && cp -a "$file" "{KEPT}$file"'
        return (f"mkdir -p -m 0700 {KEPT}", f'for file in {words}; do [ ! -e "$file" ] || {{ {copy}; }}; done')

    def undo_shell(self) -> tuple[str, ...]:
        return ()


@dataclasses.dataclass(frozen=True)
class ArmRollback:
    """Have the node go back to the kept copies by itself, and reboot once, unless the coming boot is confirmed."""

    boot_id: str
    """Of this boot, in which nothing happens yet."""
    cmdline: tuple[str, ...]
    """Of the running kernel: what a person types at the boot loader's prompt."""
    loader: str
    changes: tuple[str, ...]
    """What the plan changes of the host, in words."""
    within: int | None = None
    """Seconds from the kernel's start; None for those of the settings."""
    kind: Literal["arm-rollback"] = "arm-rollback"

    def describe(self) -> str:
        when = f"within {self.within} s" if self.within else "in time"
        return f"have the node go back by itself unless the next boot is confirmed {when}"

    def shell(self) -> tuple[str, ...]:
        return (
            f"# (Transom leaves a timer that goes back to the copies by itself. By hand: have a console, and {KEPT})",
        )

    def undo_shell(self) -> tuple[str, ...]:
        return ()


@dataclasses.dataclass(frozen=True)
class Confirm:
    """See that the node booted as the plan wants it, over SSH, its API and with quorum; only then does it not go back."""

    boot_id: str
    """Of the boot that must be over."""
    wants: tuple[str, ...] = ()
    """``setting/item`` of what must be in effect."""
    kind: Literal["confirm"] = "confirm"

    def describe(self) -> str:
        settings = f", {len(self.wants)} settings in effect" if self.wants else ""
        return f"confirm the boot (SSH, API, quorum{settings}), so that the node does not go back"

    def shell(self) -> tuple[str, ...]:
        return (f"grep -Fqvx {self.boot_id} /proc/sys/kernel/random/boot_id && cat /proc/cmdline", f"rm -rf {KEPT}")

    def undo_shell(self) -> tuple[str, ...]:
        return ()


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


@dataclasses.dataclass(frozen=True)
class RestoreFile:
    """Put a before-image back, if the file still is what the run left. ``vmid`` is set for a VM's configuration."""

    path: str
    backup: str
    """The before-image on the node; a name that no image has when there was no file."""
    expect_sha256: str | None
    """What the run left there; None when it removed the file."""
    before_sha256: str | None
    """What comes back; None when there was no file."""
    before: str | None = None
    """The text that comes back; None when there was no file, or no text."""
    now: str | None = None
    """The text that lies there; None when there is no file, or no text."""
    mode: int | None = None
    owner: str | None = None
    """``uid:gid`` of the file that comes back."""
    after: tuple[model.Step, ...] = ()
    reboot: bool = False
    owes: bool = False
    vmid: int | None = None
    kind: Literal["restore-file"] = "restore-file"

    def describe(self) -> str:
        if self.before_sha256 is None:
            return f"remove {self.path}, which was not there before" + (" (its disks stay)" if self.vmid else "")
        return f"restore {self.path} to the byte"

    def shell(self) -> tuple[str, ...]:
        if self.before_sha256 is None:
            return (f"rm {shlex.quote(self.path)}",)
        if self.vmid is not None or self.mode is None or self.owner is None:  # pmxcfs gives mode and owner itself
            return (f"cp {shlex.quote(self.backup)} {shlex.quote(self.path)}",)
        user, _, group = self.owner.partition(":")
        return (f"install -m {self.mode:04o} -o {user} -g {group} {shlex.quote(self.backup)} {shlex.quote(self.path)}",)

    def undo_shell(self) -> tuple[str, ...]:
        if self.expect_sha256 is None:
            return (f"rm {shlex.quote(self.path)}",)
        if self.now is None:
            return (f"# put the file with sha256 {self.expect_sha256} back at {shlex.quote(self.path)}",)
        return (typed.to_file(self.path, self.now),)


Action = Annotated[
    WriteFile
    | RemoveFile
    | RunStep
    | PlaceRom
    | RemoveRom
    | KeepBoot
    | ArmRollback
    | Reboot
    | rehearsal.Simulate
    | emptying.Drain
    | emptying.Undrain
    | once.TryBoot
    | Confirm
    | CreateGuest
    | ChangeGuest
    | RestartGuest
    | StartGuest
    | DestroyGuest
    | SetMapping
    | RestoreFile,
    pydantic.Field(discriminator="kind"),
]


FILE_ACTIONS = (WriteFile, RemoveFile)
"""What is done to files that a boot may read."""
