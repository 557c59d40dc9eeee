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
from transom.host import rebuild
from transom.plan import emptying, guest_actions, once, rehearsal, typed

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
        return f"run {rebuild.said(self.line)} ({self.reason})"

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


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


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
        files = f", {_count(len(self.paths), 'file')}" if self.paths else ""
        return f"keep what boots now: kernel {self.kernel}, initramfs images, boot configuration{files}"

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
    only: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """``setting/item`` → the kernels that it is for, where it is not for all: another one may boot than the one that planned."""
    kind: Literal["confirm"] = "confirm"

    def describe(self) -> str:
        settings = f", {_count(len(self.wants), 'setting')} in effect" if self.wants else ""
        return f"confirm the boot (SSH, API, quorum{settings}), so that the node does not go back"

    def shell(self) -> tuple[str, ...]:
        return (f"grep -Fqvx {self.boot_id} /proc/sys/kernel/random/boot_id && cat /proc/cmdline", f"rm -rf {KEPT}")

    def undo_shell(self) -> tuple[str, ...]:
        return ()


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
    | guest_actions.CreateGuest
    | guest_actions.ChangeGuest
    | guest_actions.RestartGuest
    | guest_actions.StartGuest
    | guest_actions.DestroyGuest
    | guest_actions.SetMapping
    | RestoreFile,
    pydantic.Field(discriminator="kind"),
]


FILE_ACTIONS = (WriteFile, RemoveFile)
"""What is done to files that a boot may read."""
