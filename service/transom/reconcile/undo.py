"""The way back from a run, as a plan of its own: every file to the byte, newest change first; disks are never deleted. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from transom import model
from transom.diagnose import registry as diagnoses
from transom.guest import conf, derived
from transom.host import rebuild
from transom.plan import actions as acts
from transom.plan import another_kernel, forecast, guest_actions, keys, later, make, mapping, reboot, result
from transom.plan.draft import cannot_read
from transom.reconcile import changed
from transom.reconcile import effect as eff
from transom.spec import wish


def plan(node: str, past: changed.Past, facts: model.Facts) -> result.Plan:
    """Undo ``past.effects``. What somebody changed since holds everything, and every such path is named."""
    findings: list[model.Finding] = []
    back: list[tuple[eff.Effect, acts.RestoreFile | guest_actions.ChangeGuest]] = []
    for path, effect in past.oldest().items():
        if past.present[path].sha256 == effect.before_sha256:
            continue
        step = changed.since(path, past, facts) or _step(effect, past, facts)
        if isinstance(step, model.Finding):
            findings.append(step)
        else:
            back.append((effect, step))
    maps = _mappings_back(node, past, facts, findings)
    findings += _still_named([action for _, action in back if isinstance(action, acts.RestoreFile)], facts)
    findings += _later(past)
    rest = _afterwards([effect for effect, _ in back], past, facts, findings)
    gates = tuple(result.Gate(one.id, False, f"{one.id}: {one.summary}") for one in findings if one.holds)
    actions = (*(action for _, action in reversed(back)), *(action for _, action in maps), *(one for _, one in rest))
    return result.Plan(
        node=node,
        documents=f"undo of {past.run}",
        drifts=(
            *(_drift(effect, past) for effect, _ in back),
            *(drift for drift, _ in maps),
            *(drift for drift, _ in rest if drift),
        ),
        findings=tuple(findings),
        actions=() if gates else actions,
        gates=gates,
    )


def guarded(plan: result.Plan, facts: model.Facts, node: wish.NodeWish) -> result.Plan:
    """The same with what its reboot asks for, and held where the host as it stands must not be changed or rebooted: the way
    back is a change like any other."""
    seen = forecast.of(node, facts, plan.actions)
    told = (*plan.findings, *later.note(plan.actions, facts, seen), *another_kernel.note(plan.actions, facts))
    plan = dataclasses.replace(
        plan, actions=reboot.around(plan.actions, node, facts, undo=True), findings=told, next_boot=seen
    )
    against = diagnoses.guards(facts, node, make.doing(plan.actions), forecast.after(facts, plan.actions))
    if not against:
        return plan
    gates = tuple(result.Gate(one.id, False, f"{one.id}: {one.summary}") for one in against if one.holds)
    return dataclasses.replace(
        plan, findings=(*plan.findings, *against), gates=(*plan.gates, *gates), actions=() if gates else plan.actions
    )


def _drift(effect: eff.Effect, past: changed.Past) -> model.Drift:
    impact = model.Impact.HOST_REBOOT if effect.reboot and not past.same_boot else model.Impact.LIVE
    before = "as before the run" if effect.before_sha256 else None
    now = "as the run left it" if past.present[effect.path].sha256 else None
    return model.Drift(effect.path, before, now, model.Level.PERSISTED, impact, "", "undo")


def _step(
    effect: eff.Effect, past: changed.Past, facts: model.Facts
) -> acts.RestoreFile | guest_actions.ChangeGuest | model.Finding:
    return _keys_back(effect, past, facts) if past.by_api else _restore(effect, past)


def _keys_back(effect: eff.Effect, past: changed.Past, facts: model.Facts) -> guest_actions.ChangeGuest | model.Finding:
    """Without a shell a VM goes back key by key; one that was made stays, since deleting it would take its disks along."""
    before, now = past.images[effect.path].text, past.present[effect.path].text
    file = None if isinstance(facts.guests, model.Unknown) else facts.guests.get(effect.vmid or 0)
    if before is None or now is None or file is None:
        return changed.finding(
            "undo-needs-ssh",
            effect.path,
            f"VM {effect.vmid} was made by this run, and without SSH its configuration cannot be taken away alone",
            "Delete the VM with its disks (transom rm), or grant SSH to the node.",
        )
    there = conf.parse(now)
    old, new = conf.parse(before).persisted(), there.persisted()
    ours = {key for one in past.ours(effect.path) for key in one.wanted}
    if derived.pinned(ours, new.get("machine")):
        ours.add("machine")
    differing = {key: old.get(key) for key in ours if old.get(key) != new.get(key)}
    return keys.change(file.vmid, file.digest, differing, there)


def _restore(effect: eff.Effect, past: changed.Past) -> acts.RestoreFile:
    now, image = past.present[effect.path], past.images[effect.path]
    return acts.RestoreFile(
        path=effect.path,
        backup=eff.Context(past.run, "").image(effect.before_sha256),
        expect_sha256=now.sha256,
        before_sha256=effect.before_sha256,
        before=image.text,
        now=now.text,
        mode=image.mode,
        owner=image.owner,
        after=effect.after,
        reboot=effect.reboot,
        owes=effect.reboot and not past.same_boot,
        vmid=effect.vmid,
    )


def _mappings_back(
    node: str, past: changed.Past, facts: model.Facts, findings: list[model.Finding]
) -> list[tuple[model.Drift, guest_actions.SetMapping]]:
    """This node's entries as they were, where they still are what the run left."""
    if not past.mapped:
        return []
    if isinstance(facts.mappings, model.Unknown):
        findings.append(cannot_read("PCI mappings", facts.mappings.unknown))
        return []
    found = []
    for name in dict.fromkeys(effect.mapping for effect in past.mapped):
        ours = [effect for effect in past.mapped if effect.mapping == name]
        before, after = ours[0].mapping_before, ours[-1].mapping_after
        there = facts.mappings.get(name)
        mine, others = mapping.entries_of(facts.node, there)
        now = mine[0] if mine else None
        if len(mine) <= 1 and _same_entry(now, before):
            continue
        if len(mine) > 1 or not _same_entry(now, after):
            summary = f"this node's entry in PCI mapping {name} was changed after the run: {', '.join(mine) or 'gone'}"
            remedy = "Set it as it should be (Datacenter, Resource Mappings), then undo again."
            findings.append(changed.finding("changed-since", f"mapping {name}", summary, remedy))
            continue
        drift = model.Drift(
            f"mapping/{name}", before, now, model.Level.PERSISTED, model.Impact.LIVE, "", f"undo on {node}"
        )
        found.append((drift, guest_actions.SetMapping(name, there.digest if there else "", others, before, now)))
    return found


def _same_entry(one: str | None, other: str | None) -> bool:
    return one is other is None or (one is not None and other is not None and mapping.same(one, other))


# --- what else rests on what goes ------------------------------------------------------------------------------------


def _still_named(back: Sequence[acts.RestoreFile], facts: model.Facts) -> Iterator[model.Finding]:
    """ROMs that would go although a VM names them, as its configuration will be after this plan."""
    roms = [one for one in back if one.before_sha256 is None and one.path.startswith(f"{acts.ROM_FOLDER}/")]
    if not roms:
        return
    if isinstance(facts.guests, model.Unknown):
        yield cannot_read("VM configurations", facts.guests.unknown)
        return
    coming = {one.vmid: one.before or "" for one in back if one.vmid is not None}
    texts = {vmid: coming.get(vmid, guest.text) for vmid, guest in facts.guests.items()}
    if isinstance(facts.rom_users, model.Unknown):
        yield cannot_read("arguments of running QEMUs", facts.rom_users.unknown)
        return
    for rom in roms:
        name = rom.path.rpartition("/")[2]
        users = [vmid for vmid, text in texts.items() if isinstance(text, model.Unknown) or name in text]
        users += [vmid for vmid in facts.rom_users.get(name, ()) if vmid not in users]
        if users:
            named = ", ".join(f"VM {vmid}" for vmid in users)
            yield changed.finding(
                "rom-in-use",
                rom.path,
                f"{rom.path} is still named by {named}",
                "Undo the later run that made use of it first, or take it out of the VM.",
            )


def _later(past: changed.Past) -> Iterator[model.Finding]:
    """Runs that came after and stand: what they did to the same files goes too, the rest may need what goes. A note."""
    if not past.later:
        return
    runs = ", ".join(one.run for one in past.later)
    yield model.Finding(
        id="later-runs",
        subject=past.run,
        summary=f"later runs of this node stand: {runs}",
        remedy="What they changed in the same files goes with this run; to take back all of theirs, undo the newest first.",
        who=model.Who.REPORT,
        evidence=tuple(model.Evidence(f"run {one.run}", ", ".join(sorted(one.paths))) for one in past.later),
    )


# --- what the boot is built from -------------------------------------------------------------------------------------

Extra = tuple[model.Drift | None, acts.Action]


def _afterwards(
    touched: Sequence[eff.Effect], past: changed.Past, facts: model.Facts, findings: list[model.Finding]
) -> list[Extra]:
    """Rebuilds and the reboot: of what goes back now, and what an undo that was cut off still owes."""
    if past.by_api:
        return []
    keeping, boot_id = facts.keeping, facts.boot.boot_id
    if isinstance(keeping, model.Unknown):
        findings.append(cannot_read(eff.KEEP, keeping.unknown))
        return []
    if isinstance(boot_id, model.Unknown):
        findings.append(cannot_read("/proc/sys/kernel/random/boot_id", boot_id.unknown))
        return []
    out: list[Extra] = []
    for step in model.Step:
        command = rebuild.command(step, facts.boot)
        due = any(step in effect.after for effect in touched)
        if not due and step not in keeping.dirty:
            continue
        if isinstance(command, model.Unknown):
            findings.append(cannot_read(f"how to run {step}", command.unknown))
        elif due:
            out.append((None, acts.RunStep(step, "its sources are as before", command)))
        else:
            why = "an earlier change has not been brought to the boot yet"
            drift = _owed(f"boot/{step}", "up to date", "stale", model.Level.PERSISTED, model.Impact.LIVE, why)
            out.append((drift, acts.RunStep(step, why, command)))
    if past.same_boot:  # what runs has never seen the change
        return out
    by_hand = facts.here is not False
    if any(effect.reboot for effect in touched):
        out.append((None, acts.Reboot(boot_id, "what was undone leaves the running system at boot", by_hand=by_hand)))
    elif keeping.dirty or keeping.reboot_from == boot_id:
        why = "an earlier change comes into effect at boot"
        level, impact = model.Level.EFFECTIVE, model.Impact.HOST_REBOOT
        drift = _owed("boot/id", "rebooted", "not since the last change", level, impact, why)
        out.append((drift, acts.Reboot(boot_id, why, by_hand=by_hand)))
    return out


def _owed(path: str, desired: str, observed: str, level: model.Level, impact: model.Impact, why: str) -> model.Drift:
    return model.Drift(path, desired, observed, level, impact, "", why)


def owes_reboot_still(past: changed.Past, facts: model.Facts) -> bool:
    """Whether the mark of an owed reboot is to stay once this undo is done: it is not this run's, or others owe one too."""
    mark = facts.keeping.reboot_from if isinstance(facts.keeping, model.Keeping) else ""
    return not past.same_boot or mark != facts.boot.boot_id or past.others_owe_reboot
