"""Taking over foreign lines that contradict what is wanted, when the user lets us; and giving them back when it is not wanted.

A line is commented out with a mark, and what else it gave stays on a line of its own. Each changed place of a file (``places``) is
one ledger entry: the lines before, the lines instead, and the wanted items that it stood against. A later run that changes such a
place anew makes one entry of both. (Of older versions' entries one may stand in the text of another: then the newest goes first.)
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
from collections.abc import Mapping

from transom import errors, model
from transom.host import initramfs_modules
from transom.host.setting import HostSetting, Item
from transom.plan import ledger_paths, places
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
    """What has been taken over so far: file → its texts from before the first line that was taken over on, and what for."""

    texts: dict[str, list[str]] = dataclasses.field(default_factory=dict)
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
        taken.texts.setdefault(clash.item.path, [old]).append(new)
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


def record(taken: Taken, ledger: Ledger, draft: Draft, *, node: str, documents: Mapping[tuple[str, str], str]) -> None:
    """One drift and one ledger entry for each changed place. ``documents``: (setting, item) → who wants it."""
    for path, texts in taken.texts.items():
        rows = [row for row in _rows(ledger) if row.file == path and len(places.spans(texts[0], row.applied)) == 1]
        known = [(row.before, row.applied) for row in rows]
        found = places.between(texts, known)
        left = {(one.before, one.applied) for one in found}
        merged = [row for row in rows if (row.before, row.applied) not in left]
        causes = tuple(dict.fromkeys([*taken.causes[path], *(one for row in merged for one in row.causes)]))
        document = documents.get(causes[0], "")
        for number, one in enumerate(found):
            if (one.before, one.applied) in known:
                continue
            mark = hashlib.sha256(f"{number}\0{one.before}\0{one.applied}".encode()).hexdigest()[:8]
            name = str(ledger_paths.Foreign(path, mark, causes))
            draft.drifts.append(_drift(f"{path}:{one.line}", one.applied, one.before, document, "taken over"))
            draft.entries.append(model.Entry(node, name, one.before, one.applied, document, ""))
        draft.forgets.extend(row.path for row in merged)


def give_back(texts: Texts, ledger: Ledger, wants: Mapping[str, tuple[wish.Want, ...]], draft: Draft) -> None:
    """Places taken over for items that no document wants any more come back as they were."""
    wanted = {(key, want.value) for key, items in wants.items() for want in items}
    mine = {path: entry for path, entry in ledger.items() if path not in draft.forgets}
    rows = _rows(mine | {entry.path: entry for entry in draft.entries})
    staying = [row for row in rows if wanted & set(row.causes)]
    due = sorted((row for row in rows if row not in staying), key=lambda row: -len(row.applied))
    while step := next((found for row in due if (found := _given_back(texts, row, due, staying))), None):
        row, text = step  # of older versions' rows one may stand in the text of another, which goes later
        texts.now[row.file] = text
        for one in [one for one in due if one.same(row)]:
            draft.drifts.append(_drift(one.file, one.before, one.applied, one.entry.document, "given back"))
            draft.forgets.append(one.path)
            due.remove(one)
    for row in due:
        now = texts.get(row.file)
        if isinstance(now, model.Unknown):
            draft.findings.append(cannot_read(row.file, now.unknown))
        elif any(other.file == row.file for other in staying):
            draft.noops.append(
                model.Noop(row.file, "lines taken over here stay until what else was taken over comes back")
            )
        else:
            draft.forgets.append(row.path)
            draft.noops.append(model.Noop(row.file, "the lines taken over have been changed since; left alone"))


@dataclasses.dataclass(frozen=True)
class _Row:
    """A ledger line about a place of ``file``."""

    path: str
    file: str
    causes: tuple[tuple[str, str], ...]
    entry: model.Entry

    @property
    def before(self) -> str:
        return self.entry.before or ""

    @property
    def applied(self) -> str:
        return self.entry.applied or ""

    def same(self, other: _Row) -> bool:
        """Whether both made the same of the same lines: which of the places is whose does not matter then."""
        return (self.file, self.before, self.applied) == (other.file, other.before, other.applied)


def _rows(ledger: Ledger) -> list[_Row]:
    parsed = ((path, ledger_paths.parse(path), entry) for path, entry in ledger.items())
    return [
        _Row(path, one.file, one.causes, entry) for path, one, entry in parsed if isinstance(one, ledger_paths.Foreign)
    ]


def _given_back(texts: Texts, row: _Row, due: list[_Row], staying: list[_Row]) -> tuple[_Row, str] | None:
    """The text of the row's file with its lines as they were; None while that cannot be told, or would change another's lines."""
    text = texts.get(row.file)
    if isinstance(text, model.Unknown):
        return None
    where = places.spans(text, row.applied)
    apart = all(two - one >= len(row.applied) for one, two in itertools.pairwise(where))
    if not apart or not 0 < len(where) <= sum(one.same(row) for one in due):
        return None
    then = text
    for start in reversed(where):
        then = then[:start] + row.before + then[start + len(row.applied) :]
    others = [one.applied for one in staying if one.file == row.file and places.spans(text, one.applied)]
    return (row, then) if all(places.spans(then, other) for other in others) else None


def _drift(path: str, desired: str | None, observed: str | None, document: str, why: str) -> model.Drift:
    return model.Drift(path, desired, observed, model.Level.PERSISTED, model.Impact.HOST_REBOOT, document, why)
