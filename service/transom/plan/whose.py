"""Whether a VM is still the one that a document means: ids are used again, marks are copied by clones. Told, never acted upon."""

from __future__ import annotations

from collections.abc import Mapping

from transom import model
from transom.guest import conf, identity
from transom.plan.draft import Ledger
from transom.spec import wish


def gone(guest: wish.GuestWish) -> model.Finding | None:
    """A VM that a document took over is not made anew when somebody has deleted it: what it was made of is gone with it."""
    if not guest.identity:
        return None
    return model.Finding(
        id="vm-gone",
        subject=f"VM {guest.vmid}",
        summary=f"VM {guest.vmid}, which {guest.document} took over, is not there any more",
        remedy="Restore it, release the document, or take spec.identity out of it to have a new VM made.",
        who=model.Who.REPORT,
        evidence=(model.Evidence(_place(guest.vmid), "not there"),),
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
