"""Option ROMs on a node: there with the right bytes under the name that carries their hash, gone when nobody needs them."""

from __future__ import annotations

from collections.abc import Iterator

from transom import model
from transom.plan import actions as acts
from transom.plan.draft import Draft, Ledger, cannot_read
from transom.spec import wish


def plan(node: wish.NodeWish, facts: model.Facts, ledger: Ledger) -> Draft:
    draft = Draft()
    wanted = {guest.rom.filename: guest.rom for guest in node.guests if guest.rom}
    ours = {path.removeprefix("rom/"): entry for path, entry in ledger.items() if path.startswith("rom/")}
    if not wanted and not ours:
        return draft
    if isinstance(facts.roms, model.Unknown):
        draft.findings.append(cannot_read(acts.ROM_FOLDER, facts.roms.unknown))
        return draft
    for filename, rom in wanted.items():
        _place(node.name, rom, facts.roms.get(filename), draft)
    for filename, entry in ours.items():
        if filename not in wanted:
            _remove(filename, entry, facts, draft)
    return draft


def _place(node: str, rom: wish.RomWish, present: str | None, draft: Draft) -> None:
    path = f"rom/{rom.filename}"
    if present == rom.sha256:
        draft.noops.append(model.Noop(path, f"is in {acts.ROM_FOLDER} with the right bytes"))
        return
    why = "not there" if present is None else "other bytes under this name"
    draft.drifts.append(
        model.Drift(path, rom.sha256, present, model.Level.PERSISTED, model.Impact.LIVE, rom.document, why)
    )
    draft.actions.append(acts.PlaceRom(rom.filename, rom.sha256, rom.file, present))
    draft.entries.append(model.Entry(node, path, None, rom.sha256, rom.document, ""))


def _remove(filename: str, entry: model.Entry, facts: model.Facts, draft: Draft) -> None:
    path = f"rom/{filename}"
    roms = facts.roms if not isinstance(facts.roms, model.Unknown) else {}
    if filename not in roms:
        draft.forgets.append(path)
        draft.noops.append(model.Noop(path, "already gone"))
    elif user := next(_users(filename, facts), None):
        draft.noops.append(model.Noop(path, f"kept: {user} names it"))
    elif roms[filename] != entry.applied:
        draft.forgets.append(path)
        draft.noops.append(model.Noop(path, "changed by somebody else since; left alone"))
    else:
        why = "no document wants it any more"
        draft.drifts.append(
            model.Drift(path, None, entry.applied, model.Level.PERSISTED, model.Impact.LIVE, entry.document, why)
        )
        draft.actions.append(acts.RemoveRom(filename, roms[filename]))
        draft.forgets.append(path)


def _users(filename: str, facts: model.Facts) -> Iterator[str]:
    """Every VM configuration (pending changes and snapshots included) that names the file; an unreadable one counts as one."""
    if isinstance(facts.guests, model.Unknown):
        yield "a VM that could not be read"
        return
    for vmid, guest in facts.guests.items():
        if isinstance(guest.text, model.Unknown) or filename in guest.text:
            yield f"VM {vmid}"
