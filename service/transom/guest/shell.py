"""The command lines that a person would type as root for the same change: ``qm create``, ``qm set``."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping


def create(vmid: int, values: Mapping[str, str]) -> str:
    """``qm create 112 --name … --memory …``, keys sorted."""
    return shlex.join(["qm", "create", str(vmid), *_options(values)])


def change(
    vmid: int, values: Mapping[str, str], *, delete: Iterable[str] = (), revert: Iterable[str] = (), digest: str = ""
) -> str:
    """``qm set 112 --args … --delete … --digest …``; ValueError when there is nothing to change."""
    options = [*_options(values), *_list("delete", delete), *_list("revert", revert)]
    if not options:
        raise ValueError(f"nothing to change in VM {vmid}")
    return shlex.join(["qm", "set", str(vmid), *options, *(["--digest", digest] if digest else [])])


def undo(vmid: int, before: Mapping[str, str | None]) -> str:
    """The line that brings back ``before``: None was not there and is deleted."""
    kept = {key: value for key, value in before.items() if value is not None}
    return change(vmid, kept, delete=(key for key, value in before.items() if value is None))


def undo_create(vmid: int) -> str:
    """A comment, no command: taking a VM back would delete its disks, which only a person does."""
    return f"# VM {vmid} stays: to delete it with its disks, type: qm destroy {vmid}"


def _options(values: Mapping[str, str]) -> list[str]:
    return [word for key in sorted(values) for word in (f"--{key}", values[key])]


def _list(name: str, keys: Iterable[str]) -> list[str]:
    joined = ",".join(sorted(keys))
    return [f"--{name}", joined] if joined else []
