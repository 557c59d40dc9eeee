"""Host settings: wanted items against the merged reading of all files, the ledger and the running system.

Here: what the files say; ``boot`` has what the boot reads of them and what runs. A foreign line that gives a wanted item satisfies
it; one that contradicts it holds the plan until it is taken over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from transom import model
from transom.host import derive, devices, registry
from transom.host.setting import HostSetting, Item, Selection
from transom.plan import actions as acts
from transom.plan import boot, ledger_paths, takeover
from transom.plan.draft import Draft, Ledger, cannot_read, needs_ssh
from transom.plan.texts import Texts
from transom.spec import wish


@dataclasses.dataclass
class Desk:
    """What planning one node's host settings looks at, and the files as planned so far."""

    node: str
    ledger: Ledger
    texts: Texts
    take_over: bool
    taken: takeover.Taken = dataclasses.field(default_factory=takeover.Taken)
    draft: Draft = dataclasses.field(default_factory=Draft)


def plan(node: wish.NodeWish, facts: model.Facts, ledger: Ledger, *, take_over: bool = False) -> Draft:
    """Everything about the node's host settings; no reboot yet, only the reasons for one."""
    desk = Desk(node.name, ledger, Texts(facts), take_over)
    wants = derive.derive(devices.by_address(node, facts.pci), facts.pci, _softdeps(ledger))
    draft = desk.draft
    concerned = any(wants.values()) or any(path.startswith(("host/", "foreign/")) for path in ledger)
    if not node.access.has_ssh:
        draft.findings.extend(_out_of_reach(node, wants, ledger))
        return draft
    if not concerned and not boot.marked(facts):
        return draft
    for setting in registry.SETTINGS:
        _setting(desk, setting, wants.get(setting.key, ()))
    documents = {(key, want.value): want.document for key, items in wants.items() for want in items}
    takeover.record(desk.taken, ledger, draft, node=node.name, documents=documents)
    takeover.give_back(desk.texts, ledger, wants, draft)
    changed = _file_actions(desk.texts, draft)
    boot.plan(facts, wants, draft, {path: afterwards(path) for path in changed})
    if draft.reboot:
        draft.actions = [_owing(action) for action in draft.actions]
    else:
        draft.drifts = [_without_reboot(drift) for drift in draft.drifts]
    return draft


def _out_of_reach(
    node: wish.NodeWish, wants: Mapping[str, tuple[wish.Want, ...]], ledger: Ledger
) -> Iterator[model.Finding]:
    """One finding for all settings that are wanted, or ours, on a node without SSH."""
    wanted = [f"{key}: {' '.join(want.value for want in items)}" for key, items in wants.items() if items]
    ours = [path for path in ledger if path.startswith(("host/", "foreign/"))]
    if wanted or ours:
        summary = (
            f"host settings of {node.name} can be neither seen nor made without SSH; its VMs are kept all the same"
        )
        yield needs_ssh(f"node {node.name}", summary, "; ".join([*wanted, *(f"was made: {path}" for path in ours)]))


def ledger_path(setting: HostSetting, item: str) -> str:
    return str(ledger_paths.Host(setting.key, item))


def _softdeps(ledger: Ledger) -> dict[str, str]:
    """Those that are ours: driver → document."""
    rows = ((ledger_paths.parse(path), entry) for path, entry in ledger.items())
    return {
        row.item: entry.document
        for row, entry in rows
        if isinstance(row, ledger_paths.Host) and row.setting == "softdep"
    }


def _owned(setting: HostSetting, ledger: Ledger) -> frozenset[str]:
    prefix = f"host/{setting.key}/"
    return frozenset(path.removeprefix(prefix) for path in ledger if path.startswith(prefix))


def _setting(desk: Desk, setting: HostSetting, wants: tuple[wish.Want, ...]) -> None:
    owned = _owned(setting, desk.ledger)
    if not wants and not owned:
        return
    selection = setting.select(wants, desk.texts.facts)
    if isinstance(selection, model.Unknown):
        desk.draft.findings.append(cannot_read(f"what {setting.key} needs on this host", selection.unknown))
        return
    desk.draft.noops.extend(selection.skipped)
    if not selection.wants and not owned:
        return
    nothing = not selection.wants and isinstance(desk.texts.facts.file(setting.path), model.Absent)
    items = () if nothing else _settled(desk, setting, tuple(want.value for want in selection.wants))
    old = desk.texts.get(setting.path)
    if isinstance(old, model.Unknown):
        desk.draft.findings.append(cannot_read(setting.path, old.unknown))
    elif items is not None:
        ours = _ours(desk, setting, selection.wants, items)
        _dropped(desk, setting, selection, items)
        new = setting.edit(old, owned, ours)
        if new != old or _not_executable(setting, desk.texts.facts):
            desk.texts.now[setting.path] = new


def _settled(desk: Desk, setting: HostSetting, values: tuple[str, ...]) -> tuple[Item, ...] | None:
    """All items as read, with nothing left that contradicts ``values``; None when that cannot be had, which a finding tells."""
    findings = desk.draft.findings
    items = setting.read(desk.texts.view())
    if isinstance(items, model.Unknown):
        findings.append(cannot_read(setting.path, items.unknown))
        return None
    owned = _owned(setting, desk.ledger)
    clashes = setting.clashes(values, takeover.foreign(setting, items, owned))
    if not clashes:
        return items
    if not desk.take_over:
        findings.extend(takeover.contradiction(clash.want, clash.item, clash.reason) for clash in clashes)
        return None
    settled = takeover.settle(setting, values, desk.texts, desk.taken, owned)
    if isinstance(settled, model.Finding):
        findings.append(settled)
        return None
    return settled


def _provided(setting: HostSetting, values: tuple[str, ...], items: tuple[Item, ...]) -> Mapping[str, Item]:
    """Which wanted items somebody else's line gives already."""
    if not setting.whole:
        others = [item for item in items if item.path != setting.path and not item.hides]
        return {want: item for item in others for want in values if setting.gives(item.value, want)}
    giving = [item for item in items if not item.hides]
    last = [item for item in giving if item.place == giving[-1].place]
    given = {item.value: item for item in last if item.path != setting.path}
    return given if set(values) <= set(given) else {}


def _ours(desk: Desk, setting: HostSetting, wants: tuple[wish.Want, ...], items: tuple[Item, ...]) -> tuple[str, ...]:
    """The items that our own file must hold; notes drifts, no-ops and ledger lines on the way."""
    present = {item.value for item in items if item.path == setting.path}
    provided = _provided(setting, tuple(want.value for want in wants), items)
    draft, ours = desk.draft, []
    for want in wants:
        path = ledger_path(setting, want.value)
        if want.value in present:
            ours.append(want.value)
            draft.noops.append(model.Noop(path, f"is in {setting.path}"))
        elif want.value in provided:
            draft.noops.append(model.Noop(path, f"provided by {provided[want.value].place}"))
            if path in desk.ledger:
                draft.forgets.append(path)
        else:
            ours.append(want.value)
            now = setting.effective(want.value, desk.texts.facts) is True  # it runs already: only the files lack it
            draft.drifts.append(_drift(path, want.value, None, want, model.Impact.LIVE if now else setting.impact))
            draft.entries.append(model.Entry(desk.node, path, None, want.value, want.document, ""))
    return tuple(ours)


def _dropped(desk: Desk, setting: HostSetting, selection: Selection, items: tuple[Item, ...]) -> None:
    """Items that we wrote and that no document wants any more, or this kernel does not need."""
    skipped = {noop.path: noop.reason for noop in selection.skipped}
    present = {item.value for item in items if item.path == setting.path}
    for value in sorted(_owned(setting, desk.ledger) - {want.value for want in selection.wants}):
        path = ledger_path(setting, value)
        desk.draft.forgets.append(path)
        if value in present:
            reason = skipped.get(path, selection.instead or "no document wants it any more")
            why = wish.Want(value, desk.ledger[path].document, reason)
            now = setting.effective(value, desk.texts.facts) is True
            desk.draft.drifts.append(_drift(path, None, value, why, setting.impact if now else model.Impact.LIVE))
        else:
            desk.draft.noops.append(model.Noop(path, f"already gone from {setting.path}"))


def _drift(path: str, desired: str | None, observed: str | None, want: wish.Want, impact: model.Impact) -> model.Drift:
    return model.Drift(path, desired, observed, model.Level.PERSISTED, impact, want.document, want.why)


def _file_actions(texts: Texts, draft: Draft) -> frozenset[str]:
    """One write or removal for each file that comes out different; returns their paths."""
    changed = set()
    for path, text in texts.now.items():
        file = texts.facts.file(path)
        old = file if isinstance(file, model.HostFile) else None
        before = old.text if old and isinstance(old.text, str) else None
        mode = _mode(path, old)
        if text == (before or "") and (old is not None) == bool(text) and (old is None or old.mode == mode):
            continue
        changed.add(path)
        after, reboot = afterwards(path)
        if text:
            sha = old.sha256 if old else None
            draft.actions.append(acts.WriteFile(path, text, before, sha, mode, after, reboot))
        elif old and before is not None:
            draft.actions.append(acts.RemoveFile(path, before, old.sha256, old.mode, after, reboot))
    return frozenset(changed)


def _mode(path: str, old: model.HostFile | None) -> int:
    """A file keeps its own, but is made executable where it has to be."""
    made = max((setting.mode for setting in registry.SETTINGS if setting.path == path), default=0o644)
    return made if old is None else old.mode | (made & 0o111)


def _not_executable(setting: HostSetting, facts: model.Facts) -> bool:
    file = facts.file(setting.path)
    return isinstance(file, model.HostFile) and file.mode != _mode(setting.path, file)


def _without_reboot(drift: model.Drift) -> model.Drift:
    """What the files alone lack, where no reboot is planned, costs none: what runs shows it already, or never tells."""
    due = drift.level is model.Level.PERSISTED and drift.impact is model.Impact.HOST_REBOOT
    return dataclasses.replace(drift, impact=model.Impact.LIVE) if due else drift


def _owing(action: acts.Action) -> acts.Action:
    """The same, with the mark on the node that a reboot is owed from then on."""
    return dataclasses.replace(action, owes=action.reboot) if isinstance(action, acts.FILE_ACTIONS) else action


def afterwards(path: str) -> tuple[tuple[model.Step, ...], bool]:
    """What must run after a change of ``path``, by the settings that are read from it."""
    kinds = [setting for setting in registry.SETTINGS if setting.path == path]
    if not kinds:  # a foreign file that was taken over: the settings whose own file lies in the same place
        folder = "/etc/default" if path.startswith("/etc/default/") else path.rsplit("/", 1)[0]
        kinds = [setting for setting in registry.SETTINGS if setting.path.startswith(folder)]
    steps = {step for setting in kinds for step in setting.after}
    return tuple(step for step in model.Step if step in steps), any(
        setting.impact is model.Impact.HOST_REBOOT for setting in kinds
    )
