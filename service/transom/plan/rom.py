"""Option ROMs on a node: there with the right bytes under the name that carries their hash, gone when nobody needs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence

from transom import model
from transom.plan import actions as acts
from transom.plan import guest_actions
from transom.plan.draft import Draft, Ledger, Part, cannot_read, needs_ssh
from transom.spec import wish


def settled(node: wish.NodeWish, facts: model.Facts) -> wish.NodeWish:
    """The wish with every ROM that has been built in its place; one that has not stays without a hash, and its VM is held."""
    return dataclasses.replace(node, guests=tuple(_with_rom(guest, facts) for guest in node.guests))


def _with_rom(guest: wish.GuestWish, facts: model.Facts) -> wish.GuestWish:
    rom = guest.rom
    result = facts.rom_builds.get(rom.name) if rom and rom.build else None
    if rom is None or result is None or result.state != "built":
        return guest
    return dataclasses.replace(guest, rom=dataclasses.replace(rom, sha256=result.sha256, file=result.path))


def parts(node: wish.NodeWish, facts: model.Facts) -> list[Part]:
    """The ROMs that VMs need, each with those that name it; before the VMs."""
    wanted = {guest.rom.filename: guest.rom for guest in node.guests if guest.rom}
    return [Part(_one(node, rom, facts), _naming_it(node, filename)).about() for filename, rom in wanted.items()]


def _naming_it(node: wish.NodeWish, filename: str) -> frozenset[str]:
    return frozenset(guest.document for guest in node.guests if guest.rom and guest.rom.filename == filename)


def _one(node: wish.NodeWish, rom: wish.RomWish, facts: model.Facts) -> Draft:
    draft = Draft()
    if not rom.ready:
        _not_built(rom, facts.rom_builds.get(rom.name), draft)
    elif not node.access.has_ssh:
        draft.findings.append(_unseen(rom))
    elif isinstance(facts.roms, model.Unknown):
        draft.findings.append(cannot_read(acts.ROM_FOLDER, facts.roms.unknown))
    else:
        _place(node.name, rom, facts.roms.get(rom.filename), facts.rom_sources.get(rom.file), draft)
    return draft


NOT_BUILT, FAILED = "rom-not-built", "rom-failed"


def _not_built(rom: wish.RomWish, result: model.RomResult | None, draft: Draft) -> None:
    """Nothing rests on a guess: not even which file name the VM would be given."""
    failed = result is not None and result.state == "failed"
    reason = result.reason if result and result.reason else "nobody has built it yet"
    path = f"rom/{rom.name}"
    draft.drifts.append(model.Drift(path, "built", None, model.Level.DECLARED, model.Impact.LIVE, rom.document, reason))
    told = "could not be built" if failed else "is not built yet"
    waits = "It is planned for as soon as it is built: look again, or `transom rom ls`."
    mends = "Give other firmware or options in the document; `transom rom inspect FILE` shows what a file holds."
    draft.findings.append(
        model.Finding(
            id=FAILED if failed else NOT_BUILT,
            subject=rom.document,
            summary=f"the ROM of {rom.document} {told}, so no VM that names it is changed",
            remedy=mends if failed else waits,
            who=model.Who.REFUSE if failed else model.Who.REPORT,
            evidence=(model.Evidence(rom.document, reason),),
            holds=True,
        )
    )


def removals(node: wish.NodeWish, facts: model.Facts, ledger: Ledger, planned: Sequence[acts.Action]) -> Draft:
    """The ROMs that we placed and that nobody names once the ``planned`` actions are done; after the VMs."""
    draft = Draft()
    wanted = {guest.rom.filename for guest in node.guests if guest.rom}
    for path, entry in ledger.items():
        filename = path.removeprefix("rom/")
        if not path.startswith("rom/") or filename in wanted:
            continue
        if node.access.has_ssh:
            _remove(filename, entry, facts, planned, draft)
        else:
            draft.noops.append(model.Noop(path, "kept: without SSH it cannot be removed"))
    return draft


def _unseen(rom: wish.RomWish) -> model.Finding:
    path = f"{acts.ROM_FOLDER}/{rom.filename}"
    return needs_ssh(
        rom.document,
        f"whether {path} is on the node cannot be seen without SSH, nor can it be put there; a VM that names it does not start "
        "without it",
        f"{rom.document}: sha256 {rom.sha256}",
    )


def _place(node: str, rom: wish.RomWish, present: str | None, source: str | model.Unknown | None, draft: Draft) -> None:
    """``source`` is the hash of the file on our side; None when it was not looked at."""
    path = f"rom/{rom.filename}"
    if present == rom.sha256:
        draft.noops.append(model.Noop(path, f"is in {acts.ROM_FOLDER} with the right bytes"))
        return
    if rom.placed_as and present is not None:
        draft.findings.append(_other_bytes(rom, present))
        return
    if source is not None and source != rom.sha256:
        draft.findings.append(_wrong_source(rom, source))
    why = "not there" if present is None else "other bytes under this name"
    draft.drifts.append(
        model.Drift(path, rom.sha256, present, model.Level.PERSISTED, model.Impact.LIVE, rom.document, why)
    )
    draft.actions.append(acts.PlaceRom(rom.filename, rom.sha256, rom.file, present))
    draft.entries.append(model.Entry(node, path, None, rom.sha256, rom.document, ""))


def _other_bytes(rom: wish.RomWish, present: str) -> model.Finding:
    """A name that carries no hash is somebody's: what lies under it is never overwritten."""
    return model.Finding(
        id="rom-other-bytes",
        subject=rom.document,
        summary=f"{acts.ROM_FOLDER}/{rom.filename} has other bytes than {rom.document} names",
        remedy="Take spec.filename out of the Rom document: Transom then places the ROM under a name of its own.",
        who=model.Who.REPORT,
        evidence=(model.Evidence(f"{acts.ROM_FOLDER}/{rom.filename}", f"sha256 {present}"),),
        holds=True,
    )


def _wrong_source(rom: wish.RomWish, source: str | model.Unknown) -> model.Finding:
    says = source.unknown if isinstance(source, model.Unknown) else f"sha256 {source}"
    return model.Finding(
        id="rom-source",
        subject=rom.document,
        summary=f"{rom.file} is not the file with sha256 {rom.sha256[:12]}… that {rom.document} names",
        remedy="Put the right file there, or the hash that sha256sum prints for it into the document.",
        who=model.Who.REFUSE,
        evidence=(model.Evidence(rom.file, says),),
        holds=True,
    )


def _remove(
    filename: str, entry: model.Entry, facts: model.Facts, planned: Sequence[acts.Action], draft: Draft
) -> None:
    path = f"rom/{filename}"
    if isinstance(facts.roms, model.Unknown):
        draft.findings.append(cannot_read(acts.ROM_FOLDER, facts.roms.unknown))
        return
    roms = facts.roms
    if filename not in roms:
        draft.forgets.append(path)
        draft.noops.append(model.Noop(path, "already gone"))
    elif user := next(users(filename, facts, planned), None):
        draft.noops.append(model.Noop(path, f"kept: {user}"))
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


def users(filename: str, facts: model.Facts, planned: Sequence[acts.Action]) -> Iterator[str]:
    """Who still needs the file afterwards: VMs that name it in their configuration, pending changes or snapshots, a QEMU that
    runs with it, an undo that would give it to a VM again. What could not be read counts as one who does."""
    restarts = {action.vmid for action in planned if isinstance(action, guest_actions.RestartGuest)}
    yield from _naming(filename, facts, planned, restarts)
    if isinstance(facts.rom_users, model.Unknown):
        yield f"the arguments of running QEMUs could not be read ({facts.rom_users.unknown})"
    else:
        running = set(facts.rom_users.get(filename, ())) - restarts
        yield from (f"the running QEMU of VM {vmid} was started with it" for vmid in sorted(running))
    if filename in facts.undo_needs:
        yield f"the undo of run {facts.undo_needs[filename]} would give it to a VM again"


def _naming(
    filename: str, facts: model.Facts, planned: Sequence[acts.Action], restarts: Collection[int]
) -> Iterator[str]:
    if isinstance(facts.guests, model.Unknown) or isinstance(facts.states, model.Unknown):
        yield "a VM that could not be read may name it"
        return
    changes = {action.vmid: action for action in planned if isinstance(action, guest_actions.ChangeGuest)}
    for vmid, guest in facts.guests.items():
        if isinstance(guest.text, model.Unknown):
            yield f"VM {vmid} could not be read and may name it"
            continue
        stays = guest.text.count(filename)
        if vmid in changes:
            state = facts.states.get(vmid)
            if (state is not None and state.status == "stopped") or vmid in restarts:
                stays -= sum((before or "").count(filename) for before in changes[vmid].before.values())
        if stays > 0:
            yield f"VM {vmid} names it"
