"""One look at one node: who may change it, what is true of it, what differs, and what stood before."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from transom import model
from transom.host import fingerprint, registry
from transom.plan import make, policy, result, rom
from transom.reconcile import control, driftlog, good, job, lease
from transom.spec import wish
from transom.store import records, store

_UNREAD = frozenset({"api-unreadable", "cannot-read", rom.NOT_BUILT})


@dataclasses.dataclass(frozen=True)
class Look:
    """Made with the node's lock held, which stays held until its turn ends."""

    wish: wish.NodeWish
    job: job.Job
    lease: lease.Found
    facts: model.Facts
    plan: result.Plan
    before: records.Node
    at: float
    """Seconds since the epoch."""
    asked: frozenset[str] = frozenset()
    """Operations that were open before the documents were read, and that this look so can answer."""
    not_renewed: str = ""
    """Why our lease on the node could not be kept fresh."""
    unapproved: frozenset[str] = frozenset()
    """Documents whose part nobody has approved yet, as known before this look."""
    told: bool = False
    """An upgrade, or another change of the host, has been told at an earlier look; when all is well now, it goes."""

    @property
    def node(self) -> str:
        return self.wish.name

    @property
    def declared(self) -> str:
        """What the documents come to by themselves; ``plan.documents`` has what was built of files that they name in it too."""
        return make.fingerprint(self.wish)

    @property
    def newly_differs(self) -> bool:
        """It was as these same documents say, and is not any more."""
        before = self.before
        known = before.observed_at is not None and not before.differs
        return bool(self.plan.drifts) and known and before.documents == self.plan.documents

    def findings(self) -> tuple[model.Finding, ...]:
        """What stands beside the plan's own findings."""
        before = {} if self._upgrade_is_well else self.before.versions
        upgraded = driftlog.upgraded(self.node, before, driftlog.versions(self.facts))
        found = good.not_ours(self.job.store, self.before, fingerprint.differing(before, self._fingerprint, self.facts))
        changed = driftlog.changed_since_good(self.node, found, self.facts)
        lease_finding = () if self.lease.mine else (lease.finding(self.lease),)
        if self.not_renewed:
            lease_finding = (lease.not_renewed(self.not_renewed),)
        return (*lease_finding, *(one for one in (upgraded, changed) if one))

    @property
    def unread(self) -> bool:
        """No plan could be made, since not everything could be read."""
        return any(finding.holds and finding.id in _UNREAD for finding in self.plan.findings)

    @property
    def _upgrade_is_well(self) -> bool:
        return self.plan.empty and self.told

    @property
    def _settled(self) -> bool:
        """As declared, but for what VMs are held with."""
        return self.plan.empty or self.plan.only(self.plan.waits)

    def still_unapproved(self) -> frozenset[str]:
        """The documents whose VMs have waited since the others were as these documents say for the first time."""
        if not self._settled:
            return self.unapproved
        waits = frozenset(self.plan.waits)
        return self.unapproved & waits if self.before.accepted == self.plan.documents else waits

    @property
    def _good(self) -> bool:
        """Whether the node as it is now is what later looks are compared with."""
        first = self.plan.empty and not any(name.startswith("file ") for name in self.before.versions)
        return self._upgrade_is_well or first or not self.before.versions

    @property
    def _fingerprint(self) -> dict[str, str]:
        return fingerprint.take(self.facts, self.wish)

    def seen(self) -> records.Node:
        """What is to be kept of this look, before it is decided on."""
        before, now = self.before, driftlog.versions(self.facts)
        if self.plan.empty:
            now |= self._fingerprint
        seen = dataclasses.replace(
            before,
            plan=self.plan.hash,
            documents=self.plan.documents,
            accepted=self.plan.documents if self._settled else before.accepted,
            differs=bool(self.plan.drifts),
            differs_since=self.at if self.newly_differs else before.differs_since,
            versions=now if self._good else before.versions,
            observed_at=self.at,
        )
        return good.since(before, seen, self.at)


def history(kept: store.Store, node: str, *, since: float) -> tuple[policy.Applied, ...]:
    """What runs that nobody was asked for have put right since then."""
    found = []
    for run in unasked(kept, node, since=since):
        stored = kept.plan(run.plan) if run.state == records.APPLIED else None
        repairs = model.from_json(result.Plan, stored.content).repairs if stored else ()
        for drift in repairs:
            found.append(policy.Applied(drift.path, control.aware(run.ended_at or run.started_at), run.id))
    return tuple(found)


UNASKED = "enforce"
"""The kind of a run that a policy began, not a person."""


def unasked(kept: store.Store, node: str, *, since: float) -> list[records.Run]:
    return kept.runs(node, kind=UNASKED, since=since)


def rewriters(facts: model.Facts, paths: Sequence[str]) -> dict[str, tuple[model.Evidence, ...]]:
    """What can be seen of who changed these paths last: a file's own time. PVE keeps no record of who changed a VM."""
    found: dict[str, tuple[model.Evidence, ...]] = {}
    for path in paths:
        place = _file(path)
        file = facts.files.get(place) if place else None
        if isinstance(file, model.HostFile) and file.mtime_ns:
            when = control.aware(file.mtime_ns / 1e9)
            found[path] = (model.Evidence(place, f"last written {when:%Y-%m-%d %H:%M:%S} UTC by uid {file.uid}"),)
    return found


def _file(path: str) -> str:
    """Of a ledger path of the host, the file that holds it; empty for all others."""
    kind, _, rest = path.partition("/")
    key = rest.partition("/")[0]
    found = [setting.path for setting in registry.SETTINGS if kind == "host" and setting.key == key]
    return found[0] if found else ""


def taken_back(kept: store.Store, node: str) -> str:
    """The run that the node's newest one undid; empty when that was no undo."""
    newest = kept.newest_run(node)
    return newest.undoes if newest and newest.kind == "undo" and newest.state == records.APPLIED else ""


def unapproved(kept: store.Store, node: str) -> frozenset[str]:
    """``policy.State.unapproved`` of the node."""
    return frozenset(kept.meta.get(f"unapproved/{node}") or ())


def keep_unapproved(kept: store.Store, node: str, documents: frozenset[str]) -> None:
    if documents != unapproved(kept, node):
        kept.meta.put(f"unapproved/{node}", sorted(documents))
