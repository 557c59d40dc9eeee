"""What a node was when it was last good: kept after each run of ours that went well, and by looks that find it as declared; and
what of it is another now, our own work left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from transom import model
from transom.host import fingerprint
from transom.reconcile import back, driftlog
from transom.spec import wish
from transom.store import records, store

_FILE = "file "


@dataclasses.dataclass(frozen=True)
class Difference:
    """``name`` as in the fingerprint; ``said`` for people."""

    name: str
    was: str
    now: str
    said: str


@dataclasses.dataclass(frozen=True)
class LastGood:
    """A node's last good fingerprint: kernel with its command line, QEMU, BIOS, devices with groups and drivers, ROMs, VMs, files,
    each by name."""

    node: str
    since: float | None
    """When it began to be so, in seconds since the epoch; None where it has not been good yet, or that is not known."""
    fingerprint: Mapping[str, str]
    differs: tuple[Difference, ...]
    """What is another now."""


def take(facts: model.Facts, node: wish.NodeWish) -> dict[str, str]:
    return driftlog.versions(facts) | fingerprint.take(facts, node)


def keep(kept: store.Store, node: wish.NodeWish, facts: model.Facts, at: float) -> None:
    """A run of ours went well and left ``facts``: what has changed by it is no news at the next look."""
    row = kept.nodes.get(node.name)
    kept.nodes.put(since(row, dataclasses.replace(row, versions=take(facts, node)), at))


def forget(kept: store.Store, node: str) -> None:
    """It is not as documents declare any more, by our own hand."""
    kept.nodes.put(dataclasses.replace(kept.nodes.get(node), versions={}, good_since=None))


def since(before: records.Node, after: records.Node, at: float) -> records.Node:
    """``after`` with the time at which it began to be good as it is."""
    same = before.versions == after.versions and before.good_since is not None
    return dataclasses.replace(after, good_since=before.good_since if same else at)


def last(kept: store.Store, node: wish.NodeWish, facts: model.Facts) -> LastGood:
    """Compared with ``facts``."""
    row = kept.nodes.get(node.name)
    found = fingerprint.differing(row.versions, take(facts, node), facts) if row.versions else {}
    differs = tuple(Difference(name, *pair, fingerprint.said(name, *pair)) for name, pair in sorted(found.items()))
    return LastGood(node.name, row.good_since, row.versions, differs)


def not_ours(kept: store.Store, node: records.Node, found: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Without the files that are as a run of ours left them: one that failed half-way is no good state, but it is our work."""
    files = {name.removeprefix(_FILE): pair[1] for name, pair in found.items() if name.startswith(_FILE)}
    if not files:
        return dict(found)
    left = {
        (effect.path, effect.after_sha256 or fingerprint.GONE)
        for run in kept.runs(node.node, since=node.good_since or 0)
        if run.state in (records.FAILED, records.INTERRUPTED)
        for effect in back.effects(kept, run)
        if effect.path in files
    }
    ours = {f"{_FILE}{path}" for path, now in files.items() if (path, now) in left}
    return {name: pair for name, pair in found.items() if name not in ours}
