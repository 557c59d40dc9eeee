"""What a step leaves behind on a node, written to the journal before the step runs: enough to undo it after any crash."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from transom import model

KEEP = "/var/lib/transom"
"""Where Transom keeps things on a node: before-images, marks of owed steps, the mirror of the ledger."""


@dataclasses.dataclass(frozen=True)
class Effect:
    """One file that a step changes (a VM's configuration is one too). Hashes are SHA-256 of the bytes; None means no file."""

    path: str = ""
    """Empty when the step leaves no file changed (a rebuild, a restart)."""
    before_sha256: str | None = None
    after_sha256: str | None = None
    """What the step will leave; for a VM's configuration it is not known before, and ``vmid`` and ``wanted`` stand for it."""
    after: tuple[model.Step, ...] = ()
    reboot: bool = False
    """Whether the running system needed a reboot for it; its undo needs one too then."""
    vmid: int | None = None
    wanted: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    """Keys of the VM that the step sets, None for deleted."""
    mapping: str = ""
    """Name of the PCI mapping in which the step gives this node another entry: ``mapping_after`` for ``mapping_before``."""
    mapping_before: str | None = None
    mapping_after: str | None = None
    image: str | None = None
    """The VM's configuration before, as its API told it, where no before-image can be kept on the node."""


def _unheard(*said: Any) -> None:
    del said


def _nothing_against(*, emptied: bool) -> None:
    del emptied


class RefuseNow(Protocol):
    """Looks at the node once more; Void when something speaks against rebooting it now. ``emptied``: it should be empty."""

    def __call__(self, *, emptied: bool) -> None: ...


@dataclasses.dataclass(frozen=True)
class Context:
    """The run that a step belongs to."""

    run: str
    boot_id: str
    """Of the boot in which the run began."""
    note: Callable[[str, str, Any], None] = _unheard
    """Takes a line of the run's journal durably: phase, text, data in JSON types."""
    tell: Callable[[str, Mapping[str, Any]], None] = _unheard
    """Takes what happens for those who watch, and keeps nothing: kind of the event, data in JSON types."""
    refuse_now: RefuseNow = _nothing_against

    @property
    def backup(self) -> str:
        """Folder of before-images on the node."""
        return f"{KEEP}/backup/{self.run}"

    def image(self, sha256: str | None) -> str:
        """Where the before-image with this hash lies; a name that no image has when there was no file."""
        return f"{self.backup}/{sha256 or 'absent'}"


def guest_path(vmid: int) -> str:
    """Where PVE keeps a VM's configuration, seen from its own node."""
    return f"/etc/pve/qemu-server/{vmid}.conf"
