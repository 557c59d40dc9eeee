"""Reading one VM's configuration now: the file itself where there is a shell, what the API tells of it where there is none."""

from __future__ import annotations

import hashlib

from transom import errors, model
from transom.reconcile import effect as eff
from transom.reconcile import told
from transom.reconcile import world as w
from transom.ssh import files as remote


def read(vmid: int, world: w.World) -> model.GuestFile | None:
    """The configuration with its digest; None when the node has no such VM."""
    if not world.shell:
        return told.file(vmid, world) if vmid in world.api.guests(world.node) else None
    data = remote.read(world.host, eff.guest_path(vmid))
    return None if data is None else model.GuestFile(vmid, _decoded(data), hashlib.sha1(data).hexdigest())


def need(vmid: int, world: w.World) -> model.GuestFile:
    """The same; VerifyFailed when there is none."""
    found = read(vmid, world)
    if found is None:
        raise errors.VerifyFailed(f"VM {vmid} is gone")
    return found


def text(file: model.GuestFile) -> str:
    """Its text; Garbled when that could not be read."""
    if isinstance(file.text, model.Unknown):
        raise errors.Garbled(f"VM {file.vmid}: {file.text.unknown}")
    return file.text


def sha256(file: model.GuestFile | None) -> str | None:
    """By which an effect knows a configuration; None when there is none."""
    return None if file is None else remote.sha256(text(file).encode())


def _decoded(data: bytes) -> str | model.Unknown:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return model.Unknown(f"not UTF-8: {error}")
