"""The command lines that a person would type as root for the same change: ``qm create``, ``qm set``."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping


def create(vmid: int | None, values: Mapping[str, str]) -> tuple[str, ...]:
    """``qm create 112 --memory … --name …``, keys sorted; without an id the next free one is asked for, as the API does."""
    line = shlex.join(["qm", "create", "VMID", *_options(values)])
    if vmid is None:
        return ("VMID=$(pvesh get /cluster/nextid)", line.replace("VMID", '"$VMID"', 1))
    return (line.replace("VMID", str(vmid), 1),)


def change(
    vmid: int, values: Mapping[str, str], delete: Iterable[str] = (), digest: str = "", *, revert: Iterable[str] = ()
) -> tuple[str, ...]:
    """``qm set 112 --args … --delete … --revert … --digest …``; no line when there is nothing to change."""
    options = [*_options(values), *_list("delete", delete), *_list("revert", revert)]
    if not options:
        return ()
    return (shlex.join(["qm", "set", str(vmid), *options, *(["--digest", digest] if digest else [])]),)


def _options(values: Mapping[str, str]) -> list[str]:
    return [word for key in sorted(values) for word in (f"--{key}", values[key])]


def _list(name: str, keys: Iterable[str]) -> list[str]:
    joined = ",".join(sorted(keys))
    return [f"--{name}", joined] if joined else []
