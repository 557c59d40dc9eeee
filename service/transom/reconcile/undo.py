"""The way back from a run, as a plan of its own: every file to the byte, newest change first; disks are never deleted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from transom import model
from transom.guest import compare, conf
from transom.plan import actions as acts
from transom.plan import result
from transom.reconcile import effect as eff


@dataclasses.dataclass(frozen=True)
class Present:
    """What lies at a path on the node now; both None when there is no file."""

    sha256: str | None
    text: str | None


def plan(
    node: str,
    run: str,
    effects: Sequence[eff.Effect],
    present: Mapping[str, Present],
    images: Mapping[str, str | None],
    facts: model.Facts,
    *,
    same_boot: bool,
) -> result.Plan:
    """Undo ``effects`` of ``run``. ``images`` holds the before-image of each VM configuration; ``same_boot``: the node has not
    rebooted since the run began, so what runs never saw the change. A file that somebody changed since holds everything."""
    findings: list[model.Finding] = []
    actions: list[acts.Action] = []
    drifts: list[model.Drift] = []
    for path, effect in _oldest(effects).items():
        now = present[path]
        if now.sha256 == effect.before_sha256:
            continue
        last = [one for one in effects if one.path == path][-1]
        if finding := _changed_since(last, effects, now, images, facts):
            findings.append(finding)
            continue
        drifts.append(_drift(effect, now))
        actions.append(_restore(effect, now, run, owes=effect.reboot and not same_boot))
    actions.reverse()
    touched = [effect for effect in effects if effect.path and any(d.path == effect.path for d in drifts)]
    actions += _afterwards(touched, facts, same_boot=same_boot)
    gates = tuple(result.Gate(finding.id, False, f"{finding.id}: {finding.summary}") for finding in findings)
    return result.Plan(
        node=node,
        documents=f"undo of {run}",
        drifts=tuple(drifts),
        findings=tuple(findings),
        actions=() if gates else tuple(actions),
        gates=gates,
    )


def _oldest(effects: Sequence[eff.Effect]) -> dict[str, eff.Effect]:
    """The first effect on each path: its before-image is what comes back."""
    first: dict[str, eff.Effect] = {}
    for effect in effects:
        if effect.path:
            first.setdefault(effect.path, effect)
    return first


def _changed_since(
    last: eff.Effect,
    effects: Sequence[eff.Effect],
    now: Present,
    images: Mapping[str, str | None],
    facts: model.Facts,
) -> model.Finding | None:
    """Why going back would take something of somebody else's away; None when it would not."""
    if last.vmid is None:
        if now.sha256 == last.after_sha256:
            return None
        return _finding(last.path, "it was changed after the run; its present bytes are nobody's but that person's")
    states = facts.states if not isinstance(facts.states, model.Unknown) else {}
    state = states.get(last.vmid)
    if isinstance(facts.states, model.Unknown):
        return _finding(last.path, f"whether VM {last.vmid} runs is not known")
    if state is not None and (state.status != "stopped" or state.lock):
        says = f"is locked ({state.lock})" if state.lock else f"is {state.status}"
        return _finding(last.path, f"VM {last.vmid} {says}; shut it down first")
    wanted: dict[str, str | None] = {}
    for effect in effects:
        if effect.path == last.path:
            wanted |= effect.wanted
    foreign = _foreign_keys(images[last.path], now.text, wanted)
    if foreign:
        return _finding(last.path, f"{', '.join(foreign)} of VM {last.vmid} was changed after the run")
    return None


SERVER_MADE = frozenset({"meta", "vmgenid", "smbios1", "digest", "boot"})


def _foreign_keys(before: str | None, now: str | None, wanted: Mapping[str, str | None]) -> list[str]:
    """Keys whose present value is neither that of before nor what the run wrote."""
    if now is None:
        return []
    old = conf.parse(before).persisted() if before is not None else {}
    new = conf.parse(now).persisted()
    foreign = []
    for key in sorted({*old, *new}):
        if old.get(key) == new.get(key) or (before is None and key in SERVER_MADE):
            continue
        want = wanted.get(key)
        if want is not None and not compare.differences({key: want}, new):
            continue
        if key in wanted and want is None and key not in new:
            continue
        foreign.append(key)
    return foreign


def _finding(path: str, summary: str) -> model.Finding:
    return model.Finding(
        id="changed-since-run",
        subject=path,
        summary=f"{path}: {summary}",
        remedy="Undo the later change first, or put the file right by hand.",
        who=model.Who.REPORT,
        evidence=(model.Evidence(path, "differs from what the run left"),),
        holds=True,
    )


def _drift(effect: eff.Effect, now: Present) -> model.Drift:
    impact = model.Impact.HOST_REBOOT if effect.reboot else model.Impact.LIVE
    return model.Drift(effect.path, effect.before_sha256, now.sha256, model.Level.PERSISTED, impact, "", "undo")


def _restore(effect: eff.Effect, now: Present, run: str, *, owes: bool) -> acts.RestoreFile:
    context = eff.Context(run, "")
    return acts.RestoreFile(
        path=effect.path,
        backup=context.backup,
        expect_sha256=now.sha256,
        before_sha256=effect.before_sha256,
        after=effect.after,
        reboot=effect.reboot,
        owes=owes,
        vmid=effect.vmid,
    )


def _afterwards(touched: Sequence[eff.Effect], facts: model.Facts, *, same_boot: bool) -> list[acts.Action]:
    out: list[acts.Action] = [
        acts.RunStep(step, "its sources are as before")
        for step in model.Step
        if any(step in effect.after for effect in touched)
    ]
    if any(effect.reboot for effect in touched) and not same_boot and isinstance(facts.boot.boot_id, str):
        out.append(acts.Reboot(facts.boot.boot_id, "what was undone leaves the running system at boot"))
    return out
