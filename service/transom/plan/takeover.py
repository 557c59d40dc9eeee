"""Taking over foreign lines that contradict what is wanted, when the user lets us; and giving them back when it is not wanted.

A line is commented out with a mark, and what else it gave stays on a line of its own. Each changed place of a file is one ledger
entry: the lines before, the lines instead, and the wanted items that it stood against. Places are given back newest first.
"""

from __future__ import annotations

import collections
import dataclasses
import difflib
import hashlib
from collections.abc import Iterator, Mapping

from transom import errors, model
from transom.host import initramfs_modules
from transom.host.setting import HostSetting, Item
from transom.plan import ledger_paths
from transom.plan.draft import Draft, Ledger, cannot_read
from transom.plan.texts import Texts
from transom.spec import wish

_ROUNDS = 100
"""Lines that one setting may have to take over: far more than any host has, and an end if a line cannot be settled."""

_EITHER = "Change that line yourself, or let Transom comment it out: transom adopt NODE --take-over."
_BY_HAND = (
    "Take the options out of that line, which Transom does not edit (the module's name may stay), and declare what you need "
    "of them; then update-initramfs -u -k all, and plan again."
)


@dataclasses.dataclass
class Taken:
    """What has been taken over so far: file → its text before, and what for."""

    before: dict[str, str] = dataclasses.field(default_factory=dict)
    causes: dict[str, dict[tuple[str, str], None]] = dataclasses.field(default_factory=dict)


def foreign(setting: HostSetting, items: tuple[Item, ...], owned: frozenset[str]) -> tuple[Item, ...]:
    """The items that are not ours: those of other files, and in a file that we share those that the ledger does not name."""
    if setting.shared:
        return tuple(item for item in items if item.value not in owned)
    return tuple(item for item in items if item.path != setting.path)


def settle(
    setting: HostSetting, values: tuple[str, ...], texts: Texts, taken: Taken, owned: frozenset[str]
) -> tuple[Item, ...] | model.Finding:
    """Release line after line in ``texts`` until nothing contradicts ``values``; the items as read then, or what is in the way."""
    stood, clash = collections.Counter[str](), None
    for _ in range(_ROUNDS):
        items = setting.read(texts.view())
        if isinstance(items, model.Unknown):
            return cannot_read(setting.path, items.unknown)
        given = collections.Counter(item.value for item in items if not item.hides)
        if clash and (lost := stood - given):
            return contradiction(clash.want, clash.item, f"taking it over would take {' '.join(lost)} away too")
        clashes = setting.clashes(values, foreign(setting, items, owned))
        if not clashes:
            return items
        clash = clashes[-1]  # from the end of a file: the lines above stay where they are
        stood = given - collections.Counter([clash.item.value])
        if clash.item.path == initramfs_modules.PATH:
            return contradiction(clash.want, clash.item, clash.reason)
        old = texts.get(clash.item.path)
        if isinstance(old, model.Unknown):
            return cannot_read(clash.item.path, old.unknown)
        try:
            new = setting.release(old, clash.item.line, clash.part or clash.item.value)
        except errors.TransomError as error:
            return contradiction(clash.want, clash.item, f"it cannot be taken over: {error}")
        if new == old:
            break
        taken.before.setdefault(clash.item.path, old)
        taken.causes.setdefault(clash.item.path, {})[setting.key, clash.want] = None
        texts.now[clash.item.path] = new
    assert clash
    return contradiction(clash.want, clash.item, "it stands there still after it was taken over")


def contradiction(want: str, item: Item, reason: str) -> model.Finding:
    return model.Finding(
        id="foreign-contradiction",
        subject=item.place,
        summary=f"{item.place} stands against the wanted {want!r}: {reason}",
        remedy=_BY_HAND if item.path == initramfs_modules.PATH else _EITHER,
        who=model.Who.ADOPT,
        evidence=(model.Evidence(source=item.place, says=item.value or reason),),
        holds=True,
    )


def record(taken: Taken, texts: Texts, draft: Draft, *, node: str, documents: Mapping[tuple[str, str], str]) -> None:
    """One drift and one ledger entry for each changed place. ``documents``: (setting, item) → who wants it."""
    for path, before in taken.before.items():
        causes = tuple(taken.causes[path])
        document = documents.get(causes[0], "")
        for number, (line, old, new) in enumerate(_places(before, texts.now[path])):
            mark = hashlib.sha256(f"{number}\0{old}\0{new}".encode()).hexdigest()[:8]
            name = str(ledger_paths.Foreign(path, mark, causes))
            draft.drifts.append(_drift(f"{path}:{line}", new, old, document, "taken over"))
            draft.entries.append(model.Entry(node, name, old, new, document, ""))


def give_back(texts: Texts, ledger: Ledger, wants: Mapping[str, tuple[wish.Want, ...]], draft: Draft) -> None:
    """Places taken over for items that no document wants any more come back as they were."""
    wanted = {(key, want.value) for key, items in wants.items() for want in items}
    rows = [(path, ledger_paths.parse(path), entry) for path, entry in ledger.items()]
    due = [
        (path, row.file, entry)
        for path, row, entry in rows
        if isinstance(row, ledger_paths.Foreign) and not wanted & set(row.causes)
    ]
    while step := next(((path, file, entry) for path, file, entry in due if _stands(texts, file, entry)), None):
        path, file, entry = step  # what was taken over later stands in the text of what came before: so it goes first
        text = texts.get(file)
        assert isinstance(text, str)
        texts.now[file] = text.replace(entry.applied or "", entry.before or "")
        draft.drifts.append(_drift(file, entry.before, entry.applied, entry.document, "given back"))
        draft.forgets.append(path)
        due.remove(step)
    for path, file, _ in due:
        text = texts.get(file)
        if isinstance(text, model.Unknown):
            draft.findings.append(cannot_read(file, text.unknown))
        else:
            draft.forgets.append(path)
            draft.noops.append(model.Noop(file, "the lines taken over have been changed since; left alone"))


def _stands(texts: Texts, file: str, entry: model.Entry) -> bool:
    """Whether the lines that we left are there, once."""
    text = texts.get(file)
    return isinstance(text, str) and bool(entry.applied) and text.count(entry.applied or "") == 1


def _places(old: str, new: str) -> Iterator[tuple[int, str, str]]:
    """(1-based line, lines before, lines instead) for each place where the texts differ."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for tag, start, end, at, to in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if tag != "equal":
            yield start + 1, "".join(before[start:end]), "".join(after[at:to])


def _drift(path: str, desired: str | None, observed: str | None, document: str, why: str) -> model.Drift:
    return model.Drift(path, desired, observed, model.Level.PERSISTED, model.Impact.HOST_REBOOT, document, why)
