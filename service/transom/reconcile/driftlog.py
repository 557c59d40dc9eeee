"""What differs on a node, told once when it appears and once when it goes; what stands has a since-when."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

from transom import errors, model
from transom.host import fingerprint
from transom.plan import result
from transom.reconcile import hub
from transom.store import records, store

Rows = Mapping[tuple[str, str], model.Drift | model.Finding]
"""Kind and key → what stands."""
NO_ACCESS = "node-unreachable"
_WATCHED = ("pve-qemu-kvm", "qemu-server", "pve-manager")


class Log:
    """Compares what stands now with what stood, and keeps and tells the difference."""

    def __init__(self, kept: store.Store, events: hub.Hub) -> None:
        self._store = kept
        self._events = events

    def record(self, node: str, rows: Rows, now: float) -> None:
        """``rows`` is all that stands on ``node``; the rest has gone."""
        stood = {(row.kind, row.key): row for row in self._store.drift.all(node)}
        gone = [row for key, row in stood.items() if key not in rows]
        seen = [_row(node, kind, key, what, now) for (kind, key), what in rows.items()]
        self._store.drift.change(gone, seen)
        self._tell(gone, "gone")
        self._tell([row for row in seen if (row.kind, row.key) not in stood], "appeared")

    def forget(self, node: str, now: float) -> None:
        """The node is nobody's any more: what stood about it has gone."""
        self.record(node, {}, now)
        self._store.nodes.drop(node)

    def out_of_reach(self, node: str, error: errors.TransomError, now: float) -> None:
        """What stood still stands, as far as anybody knows; that nobody can look stands too."""
        finding = model.Finding(
            id=NO_ACCESS,
            subject=node,
            summary=f"{node} cannot be looked at: {error}",
            remedy="Look whether it is up, and whether its SSH key, host key and address are those of its document.",
            who=model.Who.REPORT,
            evidence=(model.Evidence(type(error).__name__, str(error)),),
            holds=True,
        )
        kind, key = "finding", f"{NO_ACCESS} {node}"
        known = any(row.key == key for row in self._store.drift.all(node))
        row = _row(node, kind, key, finding, now)
        self._store.drift.change((), [row])
        self._tell([] if known else [row], "appeared")

    def _tell(self, rows: Iterable[records.Drift], what: str) -> None:
        for row in rows:
            data = {"kind": row.kind, "key": row.key, "since": row.since, "detail": row.detail}
            self._events.tell(f"drift.{what}", row.node, data)


def rows(plan: result.Plan, findings: Iterable[model.Finding] = ()) -> Rows:
    """What a plan says, and ``findings`` beside it. Of several differences on one path the first."""
    found: dict[tuple[str, str], model.Drift | model.Finding] = {}
    for drift in plan.drifts:
        found.setdefault(("drift", drift.path), drift)
    for finding in (*plan.findings, *findings):
        found.setdefault(("finding", f"{finding.id} {finding.subject}"), finding)
    return found


def versions(facts: model.Facts) -> dict[str, str]:
    """What an upgrade would change."""
    packages = facts.packages if not isinstance(facts.packages, model.Unknown) else {}
    found = {name: packages[name] for name in _WATCHED if name in packages}
    if isinstance(facts.boot.kernel, str):
        found["kernel"] = facts.boot.kernel
    return found


def changed_since_good(node: str, found: Mapping[str, tuple[str, str]], facts: model.Facts) -> model.Finding | None:
    """A finding when anything was ``found`` to be another than when the node was last as declared, not by our runs."""
    if not found:
        return None
    said = [fingerprint.said(name, was, is_now) for name, (was, is_now) in sorted(found.items())]
    return model.Finding(
        id="changed-since-good",
        subject=node,
        summary=f"not by Transom, since {node} was last as declared: {'; '.join(said)}",
        remedy="Nothing, when the node is as declared at the next look; else what differs says what to do, and this what changed.",
        who=model.Who.REPORT,
        evidence=tuple(
            model.Evidence(name.removeprefix("file "), _when(name.removeprefix("file "), facts) or is_now)
            for name, (_, is_now) in sorted(found.items())
        ),
    )


def _when(path: str, facts: model.Facts) -> str:
    file = facts.files.get(path)
    if not isinstance(file, model.HostFile) or not file.mtime_ns:
        return ""
    written = datetime.datetime.fromtimestamp(file.mtime_ns // 1_000_000_000, tz=datetime.UTC)
    return f"last written {written:%Y-%m-%d %H:%M:%S} UTC by uid {file.uid}"


def upgraded(node: str, before: Mapping[str, str], now: Mapping[str, str]) -> model.Finding | None:
    """A finding when anything has another version than when the node was last as declared."""
    changed = sorted(name for name, version in now.items() if before.get(name, version) != version)
    if not changed:
        return None
    said = ", ".join(f"{name} was {before[name]} and is {now[name]}" for name in changed)
    return model.Finding(
        id="upgraded",
        subject=node,
        summary=f"since {node} was last as declared: {said}",
        remedy="Nothing, when the node is as declared at the next look; else what differs says what to do.",
        who=model.Who.REPORT,
        evidence=tuple(model.Evidence(name, now[name]) for name in changed),
    )


def _row(node: str, kind: str, key: str, what: model.Drift | model.Finding, now: float) -> records.Drift:
    return records.Drift(node, kind, key, now, now, model.to_json(what))
