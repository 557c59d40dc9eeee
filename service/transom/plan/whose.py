"""Whether a VM is still the one that a document means: ids are used again, marks are copied by clones. Told, never acted upon."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from transom import model
from transom.guest import conf, identity, registry
from transom.plan.draft import Ledger
from transom.spec import wish


def gone(guest: wish.GuestWish, ledger: Ledger) -> model.Finding | None:
    """A VM that was made or taken over for a document is not made anew when somebody has deleted it: what was on it is gone too.
    None: there never was one. A creation that was cut off has left a line in the ledger that knows no VM."""
    if guest.identity:
        remedy = "Restore it, release the document, or take spec.identity out of it to have a new VM made."
        return _gone(guest, guest.vmid, (), remedy)
    vmid = next((vmid for vmid in made(guest, ledger) if ledger[f"qemu/{vmid}"].applied is not None), None)
    if vmid is None or guest.vmid not in (None, vmid):
        return None
    entry = ledger[f"qemu/{vmid}"]
    remedy = (
        "Put it back: restore a backup, or its file; its disks may still lie on their storages. For a new VM in its place: "
        f"transom release {guest.name}, then apply the document again."
    )
    known = [model.Evidence("ledger", f"run {entry.run}: {entry.applied or 'a VM without UUID'}")]
    keys = ((path.removeprefix(f"qemu/{vmid}/"), one.applied) for path, one in sorted(ledger.items()))
    known += [
        model.Evidence("ledger", f"{key}: {value}")
        for key, value in keys
        if "/" not in key and value and registry.field_for(key).holds_data
    ]
    return _gone(guest, vmid, known, remedy)


def made(guest: wish.GuestWish, ledger: Ledger) -> list[int]:
    """Ids under which we made or took a VM for this document; the document's own first."""
    rows = ((re.fullmatch(r"qemu/(\d+)", path), entry) for path, entry in ledger.items())
    found = [int(match[1]) for match, entry in rows if match and entry.document == guest.document]
    return sorted(found, key=lambda vmid: (vmid != guest.vmid, vmid))


def _gone(guest: wish.GuestWish, vmid: int | None, known: Sequence[model.Evidence], remedy: str) -> model.Finding:
    how = "took over" if guest.identity else "had"
    return model.Finding(
        id="vm-gone",
        subject=f"VM {vmid}",
        summary=f"VM {vmid}, which {guest.document} {how}, is not there any more; nothing is made in its place",
        remedy=remedy,
        who=model.Who.REPORT,
        evidence=(model.Evidence(_place(vmid), "not there"), *known),
        holds=True,
    )


def another(vmid: int, guest: wish.GuestWish, there: conf.GuestConf, ledger: Ledger) -> model.Finding | None:
    """The VM with the id is not the one that was made or taken for the document."""
    if guest.identity and not identity.is_it(there, guest.identity):
        return _another(vmid, guest, there, guest.identity, "Adopt the VM that is there (transom adopt VMID -o FILE)")
    if not guest.identity and reused(vmid, guest, there, ledger):
        was = ledger[f"qemu/{vmid}"].applied or ""
        return _another(vmid, guest, there, was, "Let Transom take the VM over (transom adopt NODE --take-over)")
    return None


def reused(vmid: int, guest: wish.GuestWish, there: conf.GuestConf, ledger: Ledger) -> bool:
    """Whether the ledger knows another VM under this id for the document. A mark proves nothing then: a clone carries a copy."""
    entry = ledger.get(f"qemu/{vmid}")
    if entry is None or entry.document != guest.document or not identity.is_telling(entry.applied):
        return False
    return not identity.known(there, entry.applied)


def taken(vmid: int, guest: wish.GuestWish, there: conf.GuestConf, ledger: Ledger) -> model.Drift:
    """What a user's taking over of another VM under the id changes, though it may carry our mark already."""
    now, was = identity.known_as(there), ledger[f"qemu/{vmid}"].applied
    level, impact = model.Level.PERSISTED, model.Impact.LIVE
    return model.Drift(f"qemu/{vmid}", now, was, level, impact, guest.document, "another VM, taken over")


def copies(guest: wish.GuestWish, vmid: int, files: Mapping[int, model.GuestFile]) -> list[model.Finding]:
    """Other VMs of the node that carry the document's mark: clones. They are nobody's, and are left alone."""
    texts = {one: file.text for one, file in sorted(files.items()) if one != vmid and isinstance(file.text, str)}
    marked = {one: text for one, text in texts.items() if identity.TAG in text}
    found = [one for one, text in marked.items() if identity.marked(conf.parse(text)) == guest.name]
    return [
        model.Finding(
            id="vm-mark-copied",
            subject=f"VM {one}",
            summary=f"VM {one} carries the mark of {guest.document}, which is VM {vmid}: a clone, left alone",
            remedy=f"Take the tag {identity.TAG} and the last line of the notes out of VM {one}.",
            who=model.Who.REPORT,
            evidence=(model.Evidence(_place(one), f"transom: {guest.name}"),),
        )
        for one in found
    ]


def _another(vmid: int, guest: wish.GuestWish, there: conf.GuestConf, was: str, remedy: str) -> model.Finding:
    return model.Finding(
        id="vm-reused",
        subject=f"VM {vmid}",
        summary=f"VM {vmid} is another VM than the one of {guest.document}: it is {identity.of(there)}, known is {was}",
        remedy=f"{remedy} if it is the one that you mean now; else give the document another vmid.",
        who=model.Who.ADOPT,
        evidence=(model.Evidence(_place(vmid), identity.of(there)),),
        holds=True,
    )


def _place(vmid: int | None) -> str:
    return f"/etc/pve/qemu-server/{vmid}.conf"
