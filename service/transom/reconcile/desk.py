"""What became of plans, and how far operations have got: approvals, rejections, and the shares that wait for them.

An approval names one plan and is good for one run: the record of that run's beginning spends it, in one moment, so that a crash
loses nothing and no clock is asked. When the run is cut off, the first plan found afterwards decides what becomes of the approval.
Whatever a look decides about a plan or share is decided on what stands in the store in that moment: a person's word is never lost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from transom import errors, model
from transom.plan import policy, result
from transom.reconcile import hub, remainder
from transom.store import records, store

_OPEN = (records.PROPOSED, records.WAITING, records.APPROVED, records.HELD)
_REJECTABLE = (records.PROPOSED, records.WAITING, records.FAILED)
_APPROVABLE = (*_REJECTABLE, records.REJECTED)
"""By a person who names the plan: so a rejection is taken back."""
RESTS = 2
"""How often the rest of a cut-off run is gone on with: what cuts off a third one is probably the run itself."""
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

    def note(self, plan: result.Plan, kind: str, state: str, reason: str, *, unread: bool = False) -> None:
        """What a look has found about ``plan``, which takes the place of the node's earlier ones of that kind; of those that are
        approved too, unless it is ``unread``: then nobody knows yet. A rejection stands as long as the plan is the same, and so
        do an approval and, until the next approval, a failure."""
        self.supersede(plan.node, kind, plan.hash, [one for one in _OPEN if not (unread and one == records.APPROVED)])
        row = self._row(plan, kind, state, reason)

        def noted(old: records.Proposal | None) -> records.Proposal | None:
            if old is None:
                return row
            if old.state in (records.REJECTED, records.APPROVED, records.FAILED) or old.withheld:
                return None
            return dataclasses.replace(row, made_at=old.made_at if old.state == state else row.made_at)

        self._change(plan.hash, noted)

    def supersede(self, node: str, kind: str, hash: str = "", states: Sequence[str] = _OPEN) -> None:
        """The node's plans of ``kind`` in ``states``, other than ``hash``, are void: things have changed."""
        for old in self._store.proposals.all(node, states):
            if old.kind == kind and old.hash != hash:
                self.end(old.hash, records.VOID, "what was found has changed since")

    def approve(self, plan: result.Plan, kind: str, by: str, reason: str) -> None:
        """By somebody who did not name it. A rejection stands: only who names the plan takes it back."""

        def approved(old: records.Proposal | None) -> records.Proposal | None:
            return None if old and old.state == records.REJECTED else self._approved(plan, kind, by, reason)

        self._change(plan.hash, approved)

    def rejected(self, hash: str) -> str:
        """Who rejected the plan and why, and the way out; empty when nobody did."""
        found = self._store.proposals.get(hash)
        if found is None or found.state != records.REJECTED:
            return ""
        return f"{found.reason}; `transom approve {hash}` takes that back"

    def approve_for(
        self,
        plan: result.Plan,
        by: str,
        *,
        operation: records.Operation | None,
        shares: Sequence[records.Share],
    ) -> None:
        """By a person; ``shares`` follow it, those of ``operation`` (when it is new) or of one that waited for it. Rejected when
        the plan is not one that waits for anybody."""
        rows = []

        def approved(old: records.Proposal | None) -> records.Proposal:
            found = _approvable(plan.hash, old)
            over = f", although {found.reason}" if found.state == records.REJECTED else ""
            rows.append(self._approved(plan, found.kind, by, f"approved by {by}{over}"))
            return rows[-1]

        self._store.operations.approve(plan.hash, approved, operation, shares)
        self._tell_plan(rows[-1])
        for share in shares:
            self._tell_share(share)

    def _approved(self, plan: result.Plan, kind: str, by: str, reason: str) -> records.Proposal:
        row = self._row(plan, kind, records.APPROVED, reason)
        return dataclasses.replace(row, approved_by=by, approved_at=row.made_at)

    def approvable(self, hash: str) -> records.Proposal:
        """Rejected when the plan is not one that waits for anybody, or was rejected."""
        return _approvable(hash, self._store.proposals.get(hash))

    def reject(self, hash: str, reason: str, by: str) -> records.Proposal:
        """The plan is not begun any more, and what a run that was cut off has left of it is not gone on with. A run under way goes
        on to its end. Rejected when the plan has ended."""
        said = f"rejected by {by}: {reason}"

        def rejected(old: records.Proposal | None) -> records.Proposal:
            found = _there(hash, old)
            if found.state not in (*_REJECTABLE, records.APPROVED, records.HELD):
                raise errors.Rejected(f"plan {hash} is {found.state} already")
            return dataclasses.replace(found, state=records.REJECTED, reason=said)

        found = self._change(hash, rejected)
        for _, share in self.asked(found.node):
            if share.plan == hash:
                self.move(share, records.FAILED, reason=said)
        return found

    def approval(self, hash: str) -> records.Proposal | None:
        """The approval of this plan that no run has spent."""
        found = self._store.proposals.get(hash)
        return found if found and found.open else None

    def approvals(self, node: str) -> frozenset[str]:
        return frozenset(row.hash for row in self._store.proposals.all(node, (records.APPROVED,)) if row.open)

    def renew(self, plan: result.Plan, kind: str) -> bool:
        """Whether ``plan`` is approved: as itself, or as the rest of an approved one whose run was cut off. The first plan that is
        found after such a run decides what becomes of its approval; it waits for no later one."""
        for row in self._store.proposals.all(plan.node, (records.APPROVED,)):
            if not row.run or row.kind != kind:
                continue
            run = self._store.run(row.run)
            if run is None:
                self.end(row.hash, records.VOID, f"run {row.run} is not kept any more")
            elif run.state != records.RUNNING:
                self._settle(row, run, plan)
        return self.approval(plan.hash) is not None

    def _settle(self, row: records.Proposal, run: records.Run, plan: result.Plan) -> None:
        """What becomes of the spent approval ``row`` whose run has ended without saying so here."""
        cut_off = f"run {run.id} was cut off"
        if run.state in (records.APPLIED, records.UNDONE):
            self.end(row.hash, records.APPLIED, f"run {run.id}")
        elif run.state == records.FAILED:
            self._fail(row, run, f"run {run.id} failed: {run.error}")
        elif plan.empty or plan.only((whole := self.plan(row.hash)).waits):
            self.end(row.hash, records.APPLIED, f"{cut_off}, and nothing was left to do")
        elif row.rests >= RESTS:
            self._fail(row, run, f"{cut_off}, and so were those before it: look what cuts them off")
        elif remainder.covers(whole, plan, remainder.ids(whole, self._store.events(run.id))):
            self._hand_on(row, run, plan)
        else:
            self.end(row.hash, records.VOID, f"{cut_off}, and what is left is another plan")

    def _fail(self, row: records.Proposal, run: records.Run, reason: str) -> None:
        self.end(row.hash, records.FAILED, reason)
        for _, share in self.asked(row.node):
            if share.plan == row.hash:
                self.move(share, records.FAILED, run=run.id, reason=reason)

    def _hand_on(self, row: records.Proposal, run: records.Run, rest: result.Plan) -> None:
        """The approval goes on to what is left. First there, then gone here: a crash in between loses nothing."""
        reason = f"the rest of run {run.id}, which was cut off"
        handed = dataclasses.replace(
            self._row(rest, row.kind, records.APPROVED, reason),
            approved_by=row.approved_by,
            approved_at=row.approved_at,
            rests=row.rests + 1,
        )

        def approved(old: records.Proposal | None) -> records.Proposal | None:
            same = old == row
            return handed if same or old is None or old.state not in (records.REJECTED, records.APPROVED) else None

        self._change(rest.hash, approved)
        if rest.hash == row.hash:
            return
        self.end(row.hash, records.VOID, f"{reason.removeprefix('the rest of ')}; its rest is plan {rest.hash}")
        for _, share in self.asked(rest.node):
            if share.plan == row.hash:
                self.move(share, records.RUNNING, plan=rest.hash)

    def end(self, hash: str, state: str, reason: str) -> None:
        """A rejection stands, unless the plan was carried out all the same."""

        def ended(old: records.Proposal | None) -> records.Proposal | None:
            found = _there(hash, old)
            if found.state == records.REJECTED and state != records.APPLIED:
                return None
            return dataclasses.replace(found, state=state, reason=reason)

        self._change(hash, ended)

    def withhold(self, hash: str, reason: str) -> None:
        """An approval that nobody has spent waits: what has happened since, its giver did not know."""

        def waits(old: records.Proposal | None) -> records.Proposal | None:
            return dataclasses.replace(old, state=records.WAITING, reason=reason) if old and old.open else None

        if self._store.proposals.get(hash):
            self._change(hash, waits)

    def _row(self, plan: result.Plan, kind: str, state: str, reason: str) -> records.Proposal:
        cost = policy.impact(plan).value
        said = result.summary(plan)
        return records.Proposal(plan.hash, plan.node, kind, state, cost, said, reason, "", None, self._now())

    def _change(self, hash: str, how: Callable[[records.Proposal | None], records.Proposal | None]) -> records.Proposal:
        """Decided on and written in one moment, so that nobody's word is lost in between."""
        old, new = self._store.proposals.change(hash, how)
        found = _there(hash, new)
        if old is None or old.state != found.state:
            self._tell_plan(found)
        return found

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
        state: str | None = None,
        *,
        plan: str | None = None,
        run: str | None = None,
        reason: str = "",
        approve: bool | None = None,
        drop: Iterable[str] = (),
    ) -> records.Share:
        """How far the share has got, what is not given staying as it is; one that has ended meanwhile stays so. With its end go the
        documents ``drop``."""
        given: dict[str, Any] = {"state": state, "plan": plan, "run": run, "reason": reason, "approve": approve}
        changed = {name: value for name, value in given.items() if value is not None}
        old, new = self._store.operations.change_share(
            share, lambda now: dataclasses.replace(now, **changed), drop=drop
        )
        if new != old:
            self._tell_share(new)
        return new

    def withdraw(self, share: records.Share, kind: str, by: str) -> None:
        """The share ends before anything is done for it, and plans of its operation's ``kind`` are void. Busy when it is being
        carried out."""
        said = f"withdrawn by {by}"

        def withdrawn(now: records.Share) -> records.Share:
            if now.state == records.RUNNING:
                raise errors.Busy(
                    f"operation {now.operation} is being carried out on {now.node}",
                    hint="undo its run when it has ended",
                )
            return dataclasses.replace(now, state=records.FAILED, reason=said)

        _, new = self._store.operations.change_share(share, withdrawn)
        self._tell_share(new)
        for plan in self._store.proposals.all(share.node, _OPEN):
            if plan.kind == kind:
                self.end(plan.hash, records.VOID, said)

    def _tell_share(self, new: records.Share) -> None:
        data = {"operation": new.operation, "state": new.state, "plan": new.plan, "run": new.run, "reason": new.reason}
        self._events.tell("operation.changed", new.node, data)


def _there(hash: str, found: records.Proposal | None) -> records.Proposal:
    """Rejected when the plan was never proposed by the daemon."""
    if found is None:
        raise errors.Rejected(f"there is no plan {hash!r} to decide on", hint="transom plan shows those that are")
    return found


def _approvable(hash: str, found: records.Proposal | None) -> records.Proposal:
    there = _there(hash, found)
    if there.state not in _APPROVABLE:
        raise errors.Rejected(
            f"plan {hash} is {there.state}: {there.reason}", hint="transom plan shows the present one"
        )
    return there
