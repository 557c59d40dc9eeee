"""A disk that was made for a VM and is attached to it no more: told, with where it is now. An empty one never takes its place."""

from __future__ import annotations

import re

from transom import model
from transom.guest import conf, registry
from transom.guest.fields import disks
from transom.plan.draft import Ledger
from transom.spec import wish

_UNUSED = re.compile(r"unused\d+")


def applied(key: str, want: str, stands: str | None) -> str | None:
    """What the ledger says of a key that is written: the wish; of a disk the volume that there is, None until it has been made.

    A disk is told to have been there by that line: one that a run was to make, and did not, is no loss. ``stands``: the value
    after the write, as far as it is known before.
    """
    field = registry.field_for(key)
    return stands if field.holds_data and disks.makes(want, name=field.name) else want


def judge(vmid: int, key: str, want: wish.Want, there: conf.GuestConf, ledger: Ledger) -> model.Finding | None:
    """Why ``key``, which the VM has not, must not be made: the ledger knows a disk there. None for all that may be written."""
    field, entry = registry.field_for(key), ledger.get(f"qemu/{vmid}/{key}")
    if not field.holds_data or not disks.makes(want.value, name=field.name) or entry is None or entry.applied is None:
        return None
    if key in there.current():  # a pending removal, which is taken back
        return None
    was = disks.volume(entry.applied, name=field.name)
    where = _where(there.persisted(), was)
    known = was or (next(iter(where.values())).partition(",")[0] if len(where) == 1 else "VOLUME")
    return model.Finding(
        id="vm-disk-detached",
        subject=f"VM {vmid} {key}",
        summary=f"{key} was made for {want.document} and is attached no more: {_told(was, where)}; a new disk would be empty",
        remedy=f"Attach it again: qm set {vmid} --{key} {known}, or say in the document where it is now. For a new, empty disk: "
        f"take {key} out of {want.document}, apply, put it back, apply.",
        who=model.Who.REPORT,
        evidence=(
            model.Evidence("ledger", f"run {entry.run} {key}: {entry.applied}"),
            *(model.Evidence(f"/etc/pve/qemu-server/{vmid}.conf", f"{one}: {value}") for one, value in where.items()),
        ),
        holds=True,
    )


def _where(values: dict[str, str], was: str) -> dict[str, str]:
    """The keys that name the volume; else those of volumes that are attached nowhere, for it may be one of them."""
    named = {key: value for key, value in values.items() if was and value.partition(",")[0] == was}
    return named or {key: value for key, value in values.items() if _UNUSED.fullmatch(key)}


def _told(was: str, where: dict[str, str]) -> str:
    if not where:
        return f"its volume{f' {was}' if was else ''} is not to be seen in the VM's configuration"
    named = [key for key, value in where.items() if was and value.partition(",")[0] == was]
    return f"{was} is {', '.join(named)} now" if named else f"its volume may be {', '.join(sorted(where))}"
