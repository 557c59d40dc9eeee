"""A node that was rebooted for a change and answers now: confirmed by whoever looks next when its run is gone, and told when it
went back by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from transom import errors, model
from transom.plan import actions as acts
from transom.plan import result
from transom.reconcile import back, deadman, mirror
from transom.reconcile import world as w
from transom.reconcile.steps import confirm
from transom.store import records, store

BOOT_LOG = "boot-log"
"""Phase of the journal: the end of the journal of the boot that the node went back from."""
WENT_BACK = "the node went back by itself"


def settle(node: str, facts: model.Facts, world: w.World, kept: store.Store) -> bool:
    """Whether something was settled, so that ``facts`` are old. A run of another store is left alone."""
    gone, waits = deadman.rolled_back(facts), deadman.waits(facts)
    if not gone and not waits:
        return _swept(node, facts, world, kept)
    run = kept.run(gone.run if gone else waits.run if waits else "")
    if run is None or run.node != node:
        return False
    if gone:
        return _note(run, gone, world, kept)
    return _confirm(run, facts, world, kept)


def _swept(node: str, facts: model.Facts, world: w.World, kept: store.Store) -> bool:
    """What a run was putting there to go back by, when it was cut off, goes."""
    found = () if isinstance(facts.keeping, model.Unknown) else facts.keeping.unarmed
    ended = [run for one in found if (run := kept.run(one)) and run.node == node and run.state != records.RUNNING]
    for run in ended:
        deadman.disarm(world.host, run.id)
        kept.append(
            run.id, 0, "swept", "cut off before the node was armed: its copies there are removed", None, world.now()
        )
    return bool(ended)


def _confirm(run: records.Run, facts: model.Facts, world: w.World, kept: store.Store) -> bool:
    found = _of(run, kept, acts.Confirm)
    if found is None:
        return False
    early = not _came_to_reboot(run, kept)
    missing = confirm.against(dataclasses.replace(found, wants=()) if early else found, facts, world)
    if missing:
        text = f"not confirmed: {'; '.join(missing)}; {confirm.goes_back(facts)}"
        if list(missing) != _missing(run, kept):
            kept.append(run.id, 0, deadman.MISSING, text, list(missing), world.now())
        world.say(f"run {run.id} is {text}")
        return False
    deadman.disarm(world.host, run.id)
    said = "the node rebooted before its run had come to that, and can be reached: going on from what is there"
    if not early:
        said = "confirmed after its run had ended; the node keeps this boot"
    kept.append(run.id, 0, "confirmed", said, None, world.now())
    world.say(f"run {run.id}: {said}")
    return True


def _missing(run: records.Run, kept: store.Store) -> list[str]:
    """What was missing when the boot after ``run`` was looked at last."""
    found: list[str] = next((one.data for one in reversed(kept.events(run.id)) if one.phase == deadman.MISSING), [])
    return found


def explained(facts: model.Facts, kept: store.Store) -> model.Facts:
    """``facts`` of a node that went back, with what was missing: the node itself could not know."""
    gone = deadman.rolled_back(facts)
    run = kept.run(gone.run) if gone else None
    if gone is None or run is None or isinstance(facts.keeping, model.Unknown):
        return facts
    why = dataclasses.replace(gone, reason=deadman.why(gone.reason, _missing(run, kept)))
    return dataclasses.replace(facts, keeping=dataclasses.replace(facts.keeping, rolled_back=why))


def undecided(plan: result.Plan, events: Sequence[records.Event]) -> bool:
    """Whether a run that failed with these lines may have left a boot that waits to be confirmed."""
    begun = {type(plan.actions[event.step - 1]) for event in events if event.phase == "before" and event.step}
    ended = {type(plan.actions[event.step - 1]) for event in events if event.phase == "after" and event.step}
    return acts.Reboot in begun and acts.Confirm not in ended


def _came_to_reboot(run: records.Run, kept: store.Store) -> bool:
    """Whether everything was in its place. A run that was cut off before that (with the power, say) is gone on with from what is
    there, as long as the node can be reached."""
    stored = kept.plan(run.plan)
    steps = stored.content["actions"] if stored else ()
    begun = {event.step for event in kept.events(run.id) if event.phase == "before"}
    return any(action["kind"] == "reboot" and number in begun for number, action in enumerate(steps, 1))


def _of(run: records.Run, kept: store.Store, kind: type[acts.Confirm]) -> acts.Confirm | None:
    stored = kept.plan(run.plan)
    plan = model.from_json(result.Plan, stored.content) if stored else None
    return next((action for action in plan.actions if isinstance(action, kind)), None) if plan else None


def _note(run: records.Run, gone: model.RolledBack, world: w.World, kept: store.Store) -> bool:
    """Once: the run has failed, and its node is as it was before it."""
    if any(event.phase == BOOT_LOG for event in kept.events(run.id)):
        return False
    said = f"{WENT_BACK}: {'; '.join((gone.reason, *gone.problems))}"
    for one in _same_change(run, kept):
        kept.reset_ledger(one.node, _without_roms(back.ledger_before(one, kept)))
    kept.nodes.accept_nothing(run.node)
    mirror.write(world.host, kept.ledger(run.node))
    kept.end_run(run.id, records.FAILED, world.now(), said)
    log = deadman.log(world.host, run.id)
    where = f"{deadman.FOLDER}/{run.id}/journal on the node, until `transom resume {run.node}`"
    kept.append(run.id, 0, BOOT_LOG, f"{said}; all of its journal is in {where}; its end:\n{log}", None, world.now())
    world.say(f"run {run.id}: {said}")
    return True


def _same_change(run: records.Run, kept: store.Store) -> list[records.Run]:
    """Newest first, the runs whose changes went back with this one: what was kept in that boot is from before the first of them."""
    runs = [one for one in kept.runs(run.node) if one.boot_id == run.boot_id and one.state != records.UNDONE]
    return [one for one in runs if one.id == run.id or (one.started_at <= run.started_at and _kept_boot(one, kept))]


def _kept_boot(run: records.Run, kept: store.Store) -> bool:
    stored = kept.plan(run.plan)
    return stored is not None and any(action["kind"] == "keep-boot" for action in stored.content["actions"])


def _without_roms(before: dict[str, model.Entry | None]) -> dict[str, model.Entry | None]:
    """Placed ROMs stay where they are: no boot reads them."""
    return {path: entry for path, entry in before.items() if not path.startswith("rom/")}


def refuse(facts: model.Facts) -> None:
    """Busy while the node waits for a confirmation: nothing else is begun there."""
    if waits := deadman.waits(facts):
        raise errors.Busy(f"the boot after run {waits.run} is not confirmed", hint=confirm.goes_back(facts))
