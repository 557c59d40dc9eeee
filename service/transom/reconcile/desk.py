"""What became of plans, and how far operations have got: approvals, rejections, and the shares that wait for them.

An approval names one plan and is good for one run: it is spent when a run of that plan has begun after it was given. So the run's
own record spends it, and a crash in between loses nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from transom import errors, model
from transom.plan import policy, result
from transom.reconcile import hub, remainder
from transom.store import records, store

_OPEN = (records.PROPOSED, records.WAITING, records.APPROVED, records.HELD)
_APPROVABLE = (records.PROPOSED, records.WAITING, records.FAILED)
Asked = tuple[records.Operation, records.Share]


class Desk:
    """Every change of a plan's or a share's state goes through here, and is told."""

    def __init__(self, kept: store.Store, events: hub.Hub, now: Callable[[], float]) -> None:
        self._store = kept
        self._events = events
        self._now = now

    # --- plans ---

    def plan(self, hash: str) -> result.Plan:
        """Rejected when there is none of that hash."""
        stored = self._store.plan(hash)
        if stored is None:
            raise errors.Rejected(f"there is no plan {hash!r}", hint="transom plan shows those that are")
        return model.from_json(result.Plan, stored.content)

    def proposal(self, hash: str) -> records.Proposal:
        """Rejected when the plan was never proposed by the daemon."""
        found = self._store.proposals.get(hash)
        if found is None:
            raise errors.Rejected(f"there is no plan {hash!r} to decide on", hint="transom plan shows those that are")
        return found

    def note(self, plan: result.Plan, kind: str, state: str, reason: str) -> None:
        """What a look has found about ``plan``, which takes the place of the node's earlier ones of that kind. A rejection stands
        as long as the plan is the same, and so does an approval that is not spent."""
        self.supersede(plan.node, kind, plan.hash)
        old = self._store.proposals.get(plan.hash)
        if old and (old.state == records.REJECTED or self.approval(plan.hash)):
            return
        if old and old.state == records.FAILED and state == records.WAITING:
            state = records.FAILED
        made = old.made_at if old and old.state == state else self._now()
        self._put(self._row(plan, kind, state, reason, made), old)

    def supersede(self, node: str, kind: str, hash: str = "") -> None:
        """The node's open plans of ``kind`` other than ``hash`` are void: things have changed."""
        for old in self._store.proposals.all(node, _OPEN):
            if old.kind == kind and old.hash != hash:
                self.end(old.hash, records.VOID, "what was found has changed since")

    def approve(self, plan: result.Plan, kind: str, by: str, reason: str) -> None:
        row = self._approved(plan, kind, by, reason)
        self._store.proposals.put(row)
        self._tell_plan(row)

    def approve_for(
        self,
        plan: result.Plan,
        kind: str,
        by: str,
        *,
        operation: records.Operation | None,
        shares: Sequence[records.Share],
    ) -> None:
        """By a person; ``shares`` follow it, those of ``operation`` (when it is new) or of one that waited for it."""
        row = self._approved(plan, kind, by, f"approved by {by}")
        self._store.operations.approve(row, operation, shares)
        self._tell_plan(row)
        for share in shares:
            self._tell_share(share)

    def _approved(self, plan: result.Plan, kind: str, by: str, reason: str) -> records.Proposal:
        row = self._row(plan, kind, records.APPROVED, reason, self._now())
        return dataclasses.replace(row, approved_by=by, approved_at=self._now())

    def approvable(self, hash: str) -> records.Proposal:
        """Rejected when the plan is not one that waits for anybody."""
        found = self.proposal(hash)
        if found.state not in _APPROVABLE:
            raise errors.Rejected(
                f"plan {hash} is {found.state}: {found.reason}", hint="transom plan shows the present one"
            )
        return found

    def reject(self, hash: str, reason: str, by: str) -> records.Proposal:
        found = self.proposal(hash)
        if found.state not in (*_APPROVABLE, records.APPROVED, records.HELD):
            raise errors.Rejected(f"plan {hash} is {found.state} already")
        self.end(hash, records.REJECTED, f"rejected by {by}: {reason}")
        for _, share in self.asked(found.node):
            if share.plan == hash:
                self.move(share, records.FAILED, reason=f"rejected by {by}: {reason}")
        return self.proposal(hash)

    def approval(self, hash: str) -> records.Proposal | None:
        """The approval of this plan that no run has spent."""
        found = self._store.proposals.get(hash)
        if found is None or found.state != records.APPROVED or found.approved_at is None:
            return None
        spent = any(run.plan == hash and run.started_at >= found.approved_at for run in self._store.runs(found.node))
        return None if spent else found

    def approvals(self, node: str) -> frozenset[str]:
        rows = self._store.proposals.all(node, (records.APPROVED,))
        return frozenset(row.hash for row in rows if self.approval(row.hash))

    def renew(self, plan: result.Plan, kind: str) -> bool:
        """After a run that was cut off: the rest of an approved plan is approved too, when it holds nothing else."""
        if self.approval(plan.hash):
            return True
        last = next(iter(self._store.runs(plan.node)), None)
        if last is None or last.state != records.INTERRUPTED or plan.held:
            return False
        old, rejected = self._store.proposals.get(last.plan), self._store.proposals.get(plan.hash)
        if old is None or old.kind != kind or not old.approved_by or (rejected and rejected.state == records.REJECTED):
            return False
        if not remainder.covers(self.plan(last.plan), plan):
            return False
        self.approve(plan, kind, old.approved_by, f"the rest of run {last.id}, which was cut off")
        for _, share in self.asked(plan.node):
            if share.plan == last.plan and plan.hash != last.plan:
                self.move(share, records.RUNNING, plan=plan.hash)
        return True

    def end(self, hash: str, state: str, reason: str) -> None:
        old = self.proposal(hash)
        self._put(dataclasses.replace(old, state=state, reason=reason), old)

    def _row(self, plan: result.Plan, kind: str, state: str, reason: str, made: float) -> records.Proposal:
        cost = policy.impact(plan).value
        return records.Proposal(plan.hash, plan.node, kind, state, cost, result.summary(plan), reason, "", None, made)

    def _put(self, new: records.Proposal, old: records.Proposal | None) -> None:
        if new == old:
            return
        self._store.proposals.put(new)
        if old is None or old.state != new.state:
            self._tell_plan(new)

    def _tell_plan(self, new: records.Proposal) -> None:
        data = {"hash": new.hash, "kind": new.kind, "summary": new.summary, "reason": new.reason}
        self._events.tell(f"plan.{new.state}", new.node, data | {"by": new.approved_by})

    # --- operations ---

    def asked(self, node: str, kinds: Iterable[str] = ()) -> list[Asked]:
        """The node's shares that have not ended, of operations of ``kinds`` or of any."""
        wanted = tuple(kinds)
        return [one for one in self._store.operations.open(node) if not wanted or one[0].kind in wanted]

    def move(
        self,
        share: records.Share,
        state: str,
        *,
        plan: str | None = None,
        run: str | None = None,
        reason: str = "",
        drop: Iterable[str] = (),
    ) -> records.Share:
        """How far the share has got; with its end go the documents ``drop``."""
        new = dataclasses.replace(
            share,
            state=state,
            plan=share.plan if plan is None else plan,
            run=share.run if run is None else run,
            reason=reason,
        )
        titles = tuple(drop)
        if new != share or titles:
            self._store.operations.put_share(new, drop=titles)
            self._tell_share(new)
        return new

    def _tell_share(self, new: records.Share) -> None:
        data = {"operation": new.operation, "state": new.state, "plan": new.plan, "run": new.run, "reason": new.reason}
        self._events.tell("operation.changed", new.node, data)
