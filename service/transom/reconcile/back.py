"""What the way back from a run is planned from: its journal, what lies on the node now, before-images, the runs after it."""

from __future__ import annotations

import posixpath

from transom import errors, model
from transom.plan import actions as acts
from transom.plan import ledger_paths
from transom.reconcile import changed, engine, guests
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.ssh import files as remote
from transom.store import records, store


def refuse(run: records.Run) -> None:
    """Rejected when there is no way back from ``run``."""
    if run.kind == "undo":
        raise errors.Rejected(f"{run.id} is itself an undo", hint="apply the documents again to have its opposite")
    if run.kind == "remove":
        raise errors.Rejected(f"{run.id} deleted a VM with its disks", hint="restore it from a backup")
    if run.state == records.UNDONE:
        raise errors.Rejected(f"{run.id} has been undone already")


def past(run: records.Run, kept: store.Store, world: w.World, facts: model.Facts) -> changed.Past:
    """Reads the journal and the node. A file that is as before is not asked for its before-image."""
    found = effects(kept, run)
    vmids = {effect.path: effect.vmid for effect in found}
    present = {path: _present(world, path, vmid) for path, vmid in vmids.items()}
    first: dict[str, str | None] = {}
    for effect in found:
        first.setdefault(effect.path, effect.before_sha256)
    differing = [path for path, before in first.items() if present[path].sha256 != before]
    others = [one for one in kept.runs(run.node) if one.id != run.id and one.state != records.UNDONE]
    return changed.Past(
        run=run.id,
        effects=found,
        present=present,
        images=_images(run, found, differing, world),
        mapped=tuple(effect for effect in _all_effects(kept, run) if effect.mapping),
        by_api=not world.shell,
        same_boot=facts.boot.boot_id == run.boot_id,
        later=_later(run, others, kept),
        others_owe_reboot=any(_owes(one, facts, kept) for one in others),
    )


def effects(kept: store.Store, run: records.Run) -> tuple[eff.Effect, ...]:
    """Those on files."""
    return tuple(effect for effect in _all_effects(kept, run) if effect.path)


def _all_effects(kept: store.Store, run: records.Run) -> tuple[eff.Effect, ...]:
    """From the journal, in order; a step that was begun counts as done, for it may have been."""
    events: list[records.Event] = []
    for event in kept.events(run.id):
        if event.phase == "before":
            events.append(event)
        elif event.phase == engine.TAKEN:
            events.pop()  # the step's own: steps follow one another
    return tuple(model.from_json(eff.Effect, event.data) for event in events)


def _present(world: w.World, path: str, vmid: int | None) -> changed.Present:
    if vmid is not None and not world.shell:
        file = guests.read(vmid, world)
        return changed.Present(guests.sha256(file), guests.text(file) if file else None)
    data = remote.read(world.host, path)
    return changed.Present(None, None) if data is None else changed.Present(remote.sha256(data), _text(path, data))


def _images(
    run: records.Run, effects: tuple[eff.Effect, ...], paths: list[str], world: w.World
) -> dict[str, changed.Image]:
    """Of those paths that the run kept, on the node or, for VMs of a node without SSH, in its journal."""
    if not paths:
        return {}
    if world.shell:
        return _on_node(world.host, eff.Context(run.id, "").backup, paths)
    oldest = {effect.path: effect for effect in reversed(effects)}
    return {path: changed.Image(oldest[path].before_sha256, oldest[path].image) for path in paths}


def _on_node(host: w.Host, backup: str, paths: list[str]) -> dict[str, changed.Image]:
    """One whose bytes are gone or damaged is left out."""
    found: dict[str, changed.Image] = {}
    for one in remote.kept(host, backup):
        if one.path not in paths or one.was == "dir":
            continue
        if one.sha256 is None:
            found[one.path] = changed.Image(None)
            continue
        data = remote.read(host, posixpath.join(backup, one.sha256))
        if data is not None and remote.sha256(data) == one.sha256:
            found[one.path] = changed.Image(one.sha256, _text(one.path, data), one.mode, one.owner)
    return found


def _text(path: str, data: bytes) -> str | None:
    if path.startswith(f"{acts.ROM_FOLDER}/"):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _later(run: records.Run, others: list[records.Run], kept: store.Store) -> tuple[changed.Later, ...]:
    after = [one for one in others if one.kind != "undo" and (one.started_at, one.id) > (run.started_at, run.id)]
    found = (changed.Later(one.id, effects(kept, one)) for one in reversed(after))
    return tuple(one for one in found if one.effects)


def _owes(run: records.Run, facts: model.Facts, kept: store.Store) -> bool:
    """Whether ``run``, of this boot, changed what is read at boot. An undo of a run of the same boot took back what never ran."""
    if run.boot_id != facts.boot.boot_id:
        return False
    undone = kept.run(run.undoes) if run.undoes else None
    if undone is not None and undone.boot_id == run.boot_id:
        return False
    return any(effect.reboot for effect in effects(kept, run))


def roms_needed(node: str, kept: store.Store) -> dict[str, str]:
    """File name of each ROM that is ours → the newest run whose undo would give it to a VM again without bringing it back."""
    ours = [path.removeprefix("rom/") for path in kept.ledger(node) if path.startswith("rom/")]
    found: dict[str, str] = {}
    if not ours:
        return found
    runs = [run for run in kept.runs(node) if run.state != records.UNDONE and run.kind not in ("undo", "remove")]
    for run in runs:
        given = [
            str(entry.get("applied")) for path, entry in run.ledger_before.items() if path.startswith("qemu/") and entry
        ]
        names = {name for name in ours if any(name in value for value in given)} - found.keys()
        removed = (
            {effect.path.rpartition("/")[2] for effect in effects(kept, run) if effect.before_sha256} if names else ()
        )
        found |= dict.fromkeys(names - set(removed), run.id)
    return found


def ledger_before(run: records.Run, kept: store.Store) -> dict[str, model.Entry | None]:
    """The ledger's paths as they were before ``run``; None for those that were not there."""
    back = {
        path: model.from_json(model.Entry, entry) if entry is not None else None
        for path, entry in run.ledger_before.items()
    }
    moved = [event.data["is"] for event in kept.events(run.id) if event.phase == "vmid"]
    paths = [path for path in kept.ledger(run.node) if any(ledger_paths.within(path, new) for new in moved)]
    return back | dict.fromkeys(paths)
