"""Host settings: wanted items against the merged reading of all files, the ledger and the running system.

Here: what the files say; ``boot`` has what the boot reads of them and what runs. A foreign line that gives a wanted item satisfies
it; one that contradicts it holds the plan until it is taken over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from transom import errors, model
from transom.host import derive, registry
from transom.host.setting import HostSetting, Item
from transom.plan import actions as acts
from transom.plan import boot
from transom.plan.draft import Draft, Ledger, cannot_read
from transom.spec import wish


@dataclasses.dataclass
class Texts:
    """Files as they would be after the actions planned so far, beside what was observed."""

    facts: model.Facts
    now: dict[str, str] = dataclasses.field(default_factory=dict)

    def get(self, path: str) -> str | model.Unknown:
        """The text; ``""`` for a file that is not there."""
        if path in self.now:
            return self.now[path]
        file = self.facts.file(path)
        if isinstance(file, model.Unknown):
            return file
        return "" if isinstance(file, model.Absent) else file.text

    def view(self) -> model.Facts:
        """The facts with the planned texts in place, for judging what a file will say."""
        files = dict(self.facts.files)
        for path, text in self.now.items():
            old = files.get(path)
            base = old if isinstance(old, model.HostFile) else model.HostFile(path=path, text="", sha256="")
            files[path] = dataclasses.replace(base, text=text) if text else model.Absent()
        return dataclasses.replace(self.facts, files=files)


def plan(node: wish.NodeWish, facts: model.Facts, ledger: Ledger, *, take_over: bool = False) -> Draft:
    """Everything about the node's host settings; no reboot yet, only the reasons for one."""
    draft, texts = Draft(), Texts(facts)
    wants_by_key = derive.derive(node.host)
    if not any(wants_by_key.values()) and not any(path.startswith(("host/", "foreign/")) for path in ledger):
        return draft
    for setting in registry.SETTINGS:
        wants = wants_by_key.get(setting.key, ())
        _setting(setting, wants, texts, ledger, draft, node=node.name, take_over=take_over)
    _give_back(texts, ledger, wants_by_key, draft)
    changed = _file_actions(texts, draft)
    boot.plan(facts, wants_by_key, draft, {path: afterwards(path) for path in changed})
    if draft.reboot:
        draft.actions = [_owing(action) for action in draft.actions]
    return draft


def ledger_path(setting: HostSetting, item: str) -> str:
    return f"host/{setting.key}/{item}"


def _owned(setting: HostSetting, ledger: Ledger) -> frozenset[str]:
    prefix = f"host/{setting.key}/"
    return frozenset(path.removeprefix(prefix) for path in ledger if path.startswith(prefix))


def _setting(
    setting: HostSetting,
    wants: tuple[wish.Want, ...],
    texts: Texts,
    ledger: Ledger,
    draft: Draft,
    *,
    node: str,
    take_over: bool,
) -> None:
    owned = _owned(setting, ledger)
    if not wants and not owned:
        return
    selection = setting.select(wants, texts.facts)
    if isinstance(selection, model.Unknown):
        draft.findings.append(cannot_read(f"what {setting.key} needs on this host", selection.unknown))
        return
    draft.noops.extend(selection.skipped)
    items = setting.read(texts.view())
    if isinstance(items, model.Unknown):
        draft.findings.append(cannot_read(setting.path, items.unknown))
        return
    foreign = tuple(item for item in items if item.path != setting.path)
    values = tuple(want.value for want in selection.wants)
    if not _settle_clashes(
        setting, values, foreign, texts, draft, node=node, wants=selection.wants, take_over=take_over
    ):
        return
    if take_over:  # the foreign lines may be gone now
        items = setting.read(texts.view())
        assert not isinstance(items, model.Unknown)
    ours = _ours(setting, selection.wants, items, owned, texts.facts, draft, node=node)
    _dropped(setting, values, owned, items, ledger, draft)
    old = texts.get(setting.path)
    if isinstance(old, model.Unknown):
        draft.findings.append(cannot_read(setting.path, old.unknown))
        return
    new = setting.edit(old, owned, ours)
    if new != old:
        texts.now[setting.path] = new


def _settle_clashes(
    setting: HostSetting,
    values: tuple[str, ...],
    foreign: tuple[Item, ...],
    texts: Texts,
    draft: Draft,
    *,
    node: str,
    wants: tuple[wish.Want, ...],
    take_over: bool,
) -> bool:
    """False when a contradiction stands. With ``take_over`` the contradicting lines are commented out in ``texts``."""
    clashes = setting.clashes(values, foreign)
    if not clashes:
        return True
    if not take_over:
        draft.findings.extend(_contradiction(clash.want, clash.item, clash.reason) for clash in clashes)
        return False
    documents = {want.value: want.document for want in wants}
    for item in sorted({clash.item for clash in clashes}, key=lambda item: -item.line):  # from the end: lines stay put
        old = texts.get(item.path)
        if isinstance(old, model.Unknown):
            draft.findings.append(cannot_read(item.path, old.unknown))
            return False
        try:
            new = setting.release(old, item.line, item.value)
        except errors.TransomError as error:
            draft.findings.append(_contradiction(item.value, item, str(error)))
            return False
        texts.now[item.path] = new
        want = next(clash.want for clash in clashes if clash.item == item)
        before, applied = _difference(old, new)
        draft.drifts.append(_drift(f"{item.place}", applied, before, documents.get(want, ""), "taken over"))
        draft.entries.append(
            model.Entry(
                node=node,
                path=f"foreign/{setting.key}/{want}{item.path}",
                before=before,
                applied=applied,
                document=documents.get(want, ""),
                run="",
            )
        )
    return True


def _difference(old: str, new: str) -> tuple[str, str]:
    """The lines of ``old`` that ``new`` has otherwise, and what stands there instead."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    head = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return "".join(before[head : len(before) - tail]), "".join(after[head : len(after) - tail])


def _contradiction(want: str, item: Item, reason: str) -> model.Finding:
    return model.Finding(
        id="foreign-contradiction",
        subject=item.place,
        summary=f"{item.place} gives {item.value!r}, which contradicts the wanted {want!r}: {reason}",
        remedy="Change that line yourself, or let Transom comment it out: transom adopt NODE --take-over.",
        who=model.Who.ADOPT,
        evidence=(model.Evidence(source=item.place, says=item.value),),
        holds=True,
    )


def _provided(setting: HostSetting, values: tuple[str, ...], items: tuple[Item, ...]) -> Mapping[str, Item]:
    """Which wanted items somebody else's line gives already."""
    if not setting.whole:
        return {item.value: item for item in items if item.path != setting.path and not item.hides}
    giving = [item for item in items if not item.hides]
    last = [item for item in giving if item.place == giving[-1].place]
    given = {item.value: item for item in last if item.path != setting.path}
    return given if set(values) <= set(given) else {}


def _ours(
    setting: HostSetting,
    wants: tuple[wish.Want, ...],
    items: tuple[Item, ...],
    owned: frozenset[str],
    facts: model.Facts,
    draft: Draft,
    *,
    node: str,
) -> tuple[str, ...]:
    """The items that our own file must hold; notes drifts, no-ops and ledger lines on the way."""
    present = {item.value for item in items if item.path == setting.path}
    provided = _provided(setting, tuple(want.value for want in wants), items)
    ours = []
    for want in wants:
        path = ledger_path(setting, want.value)
        if want.value in present:
            ours.append(want.value)
            draft.noops.append(model.Noop(path, f"is in {setting.path}"))
        elif want.value in provided:
            draft.noops.append(model.Noop(path, f"provided by {provided[want.value].place}"))
            if want.value in owned:
                draft.forgets.append(path)
        else:
            ours.append(want.value)
            now = setting.effective(want.value, facts) is True
            impact = model.Impact.LIVE if now else setting.impact  # it runs already: only the files lack it
            draft.drifts.append(_drift(path, want.value, None, want.document, want.why, impact))
            draft.entries.append(model.Entry(node, path, None, want.value, want.document, ""))
    return tuple(ours)


def _dropped(
    setting: HostSetting,
    values: tuple[str, ...],
    owned: frozenset[str],
    items: tuple[Item, ...],
    ledger: Ledger,
    draft: Draft,
) -> None:
    """Items that we wrote and that no document wants any more."""
    present = {item.value for item in items if item.path == setting.path}
    for value in sorted(owned - set(values)):
        path = ledger_path(setting, value)
        draft.forgets.append(path)
        if value in present:
            why = "no document wants it any more"
            draft.drifts.append(_drift(path, None, value, ledger[path].document, why, setting.impact))
        else:
            draft.noops.append(model.Noop(path, f"already gone from {setting.path}"))


def _give_back(texts: Texts, ledger: Ledger, wants: Mapping[str, tuple[wish.Want, ...]], draft: Draft) -> None:
    """Lines taken over for an item that no document wants any more come back as they were."""
    for path, entry in ledger.items():
        if not path.startswith("foreign/"):
            continue
        key, _, rest = path.removeprefix("foreign/").partition("/")
        want, _, name = rest.partition("/")
        if any(w.value == want for w in wants.get(key, ())):
            continue
        file, text = "/" + name, texts.get("/" + name)
        draft.forgets.append(path)
        if isinstance(text, model.Unknown):
            draft.findings.append(cannot_read(file, text.unknown))
        elif entry.applied and entry.before is not None and text.count(entry.applied) == 1:
            texts.now[file] = text.replace(entry.applied, entry.before)
            draft.drifts.append(_drift(file, entry.before, entry.applied, entry.document, "given back"))
        else:
            draft.noops.append(model.Noop(file, "the line taken over has been changed since; left alone"))


def _drift(
    path: str,
    desired: str | None,
    observed: str | None,
    document: str,
    why: str,
    impact: model.Impact = model.Impact.HOST_REBOOT,
) -> model.Drift:
    return model.Drift(path, desired, observed, model.Level.PERSISTED, impact, document, why)


def _file_actions(texts: Texts, draft: Draft) -> frozenset[str]:
    """One write or removal for each file that comes out different; returns their paths."""
    changed = set()
    for path, text in texts.now.items():
        file = texts.facts.file(path)
        old = file if isinstance(file, model.HostFile) else None
        before = old.text if old and isinstance(old.text, str) else None
        if text == (before or "") and (old is not None) == bool(text):
            continue
        changed.add(path)
        after, reboot = afterwards(path)
        if text:
            sha = old.sha256 if old else None
            mode = old.mode if old else 0o644
            draft.actions.append(acts.WriteFile(path, text, before, sha, mode, after, reboot))
        elif old and before is not None:
            draft.actions.append(acts.RemoveFile(path, before, old.sha256, old.mode, after, reboot))
    return frozenset(changed)


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
