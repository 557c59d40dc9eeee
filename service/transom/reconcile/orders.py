"""Operations that take a node's turn for themselves: undo a run, let a node or VM go, delete a VM.

While one is open the policy changes nothing on that node: what is on its way out is not put right.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from transom import errors
from transom.plan import policy, result
from transom.reconcile import control, defect, desk, driftlog, lease, look, papers, parting, remainder, right_node
from transom.store import records, store

KINDS = ("undo", "release", "remove")


class Orders:
    """Serves them in the order in which they were asked for. ``followed`` is called when documents have gone,
    ``ring`` asks for a turn."""

    def __init__(
        self,
        kept: store.Store,
        sheets: papers.Papers,
        state: control.Control,
        table: desk.Desk,
        drift: driftlog.Log,
        followed: Callable[[], None],
        ring: Callable[[str, str], None],
    ) -> None:
        self._store = kept
        self._papers = sheets
        self._control = state
        self._desk = table
        self._drift = drift
        self._followed = followed
        self._ring = ring

    def first(self, one: look.Look) -> desk.Asked | None:
        return next((asked for asked in self._desk.asked(one.node, KINDS) if asked[0].id in one.asked), None)

    def serve(self, one: look.Look, operation: records.Operation, share: records.Share) -> None:
        """One turn's worth. An error ends the share; the node is planned for as always after that."""
        try:
            with defect.told(f"{operation.kind} of {operation.target}"):
                state, reason = self._serve(one, operation, share)
        except errors.TransomError as error:
            self._fail(one, share, error)
            raise
        if state:
            said = f"{operation.kind} of {operation.target}: {reason}"
            self._store.nodes.put(dataclasses.replace(self._store.nodes.get(one.node), state=state, reason=said))

    def _serve(self, one: look.Look, operation: records.Operation, share: records.Share) -> tuple[str, str]:
        """The node's state afterwards and why; empty when the node is nobody's any more."""
        if reason := self._obstacle(one):
            self._desk.move(share, records.HELD, reason=reason)
            return "held", reason
        one.job.may_start = functools.partial(self._control.may_start, asked=False)
        if operation.kind == "undo":
            return self._undo(one, operation, share)
        return self._part(one, operation, share)

    def _obstacle(self, one: look.Look) -> str:
        if not one.lease.mine:
            return f"not ours to change: {one.lease.reason}"
        if one.not_renewed:
            return lease.not_renewed(one.not_renewed).summary
        return self._control.stopped()

    def _fail(self, one: look.Look, share: records.Share, error: errors.TransomError) -> None:
        now = next((kept for _, kept in self._desk.asked(one.node) if kept.operation == share.operation), None)
        if now is None:
            return  # it had ended before
        if not one.job.started and error.retry in (errors.Retry.REPLAN, errors.Retry.SOON):
            self._desk.move(now, share.state, reason=str(error))
            return  # what was found has moved before anything began, or another node has its turn: the next one looks again
        self._desk.move(now, records.FAILED, reason=str(error))
        said = f"{now.operation} failed: {error}"
        self._store.nodes.put(dataclasses.replace(self._store.nodes.get(one.node), state="drifted", reason=said))
        if now.plan and self._store.proposals.get(now.plan):
            self._desk.end(now.plan, records.FAILED, str(error))

    # --- undo ---

    def _undo(self, one: look.Look, operation: records.Operation, share: records.Share) -> tuple[str, str]:
        run = self._store.run(operation.target)
        if run is None:
            raise errors.Rejected(f"there is no run {operation.target!r}")
        if run.state == records.UNDONE:
            self._desk.move(share, records.DONE, reason="it has been undone")
            return "drifted", "it has been undone"
        hash = self._rest_of_undo(one, run, share) if share.state == records.RUNNING else share.plan
        share = self._begin(one, share, hash)
        undoing = one.job.undo(run, hash)
        self._desk.move(share, records.DONE, run=undoing, reason=f"run {undoing}")
        self._look_again(one)
        return "drifted", f"run {undoing}"

    def _rest_of_undo(self, one: look.Look, run: records.Run, share: records.Share) -> str:
        """After a way back that was cut off: what is left of it, when that is all, and when it was not cut off again and again."""
        cut = [one for one in self._store.runs(run.node) if one.undoes == run.id and one.state == records.INTERRUPTED]
        if len(cut) > desk.RESTS:
            raise errors.Rejected(f"the way back was cut off {len(cut)} times: look what cuts it off")
        rest = one.job.propose_undo(run)
        if not remainder.covers(self._desk.plan(share.plan), rest, {}):
            raise errors.Rejected(f"the way back was cut off, and is another now: {result.summary(rest)}")
        return rest.hash

    # --- letting go ---

    def _part(self, one: look.Look, operation: records.Operation, share: records.Share) -> tuple[str, str]:
        leaving = self._parting(one, operation)
        plan = leaving.propose_from(one.facts)
        if plan.held_whole:
            reason = "; ".join(gate.reason for gate in plan.gates if not gate.open)
            return self._wait(plan, operation, share, records.HELD, reason)
        if not plan.actions and not plan.forgets:
            return self._gone(one, operation, share, "nothing on the node was ours")
        if rejected := self._desk.rejected(plan.hash):
            self._desk.move(share, records.HELD, plan=plan.hash, reason=rejected, approve=False)
            return "held", rejected
        if plan.actions and not self._approved(plan, operation, share):
            return self._wait(plan, operation, share, records.WAITING, "the plan waits for approval")
        leaving.may_start = functools.partial(self._control.may_start, asked=bool(plan.actions))
        share = self._begin(one, share, plan.hash)
        run = leaving.apply(plan.hash)
        if self._store.proposals.get(plan.hash):
            self._desk.end(plan.hash, records.APPLIED, f"run {run}")
        return self._gone(one, operation, share, f"run {run}", run=run)

    def _wait(
        self, plan: result.Plan, operation: records.Operation, share: records.Share, state: str, reason: str
    ) -> tuple[str, str]:
        """For a person, or for what holds it. A name that was typed was good for the first plan that came."""
        self._desk.note(plan, operation.kind, state, reason)
        moved = self._desk.move(share, state, plan=plan.hash, reason=reason, approve=False)
        if moved.state in records.ENDED:  # withdrawn meanwhile
            self._desk.end(plan.hash, records.VOID, moved.reason)
            return "drifted", moved.reason
        return state, reason

    def _approved(self, plan: result.Plan, operation: records.Operation, share: records.Share) -> bool:
        """By a person, for this plan; or for the whole of which a cut-off run has left this; or with the name typed, which does not
        cover a reboot of the node."""
        if share.approve and not share.plan and policy.cheaper_than_a_reboot(plan):
            self._desk.approve(
                plan, operation.kind, operation.asked_by, f"the name was typed (operation {operation.id})"
            )
            return True
        return self._desk.renew(plan, operation.kind)

    def _parting(self, one: look.Look, operation: records.Operation) -> parting.Parting:
        titles = self._papers.with_parts(operation.target)
        found = parting.of(one.wish, titles, self._papers, one.job.world, self._store, operation.kind)
        found.tell, found.started = one.job.tell, one.job.started
        return found

    def _gone(
        self, one: look.Look, operation: records.Operation, share: records.Share, reason: str, run: str | None = None
    ) -> tuple[str, str]:
        """Nothing is left of it on the node: its documents go, in one moment with the end of the share."""
        titles = self._papers.with_parts(operation.target)
        whole = one.wish.document in titles
        if whole:
            lease.give_up(one.job.world.host, lease.read(one.job.world.host, self._control.known()))
        with self._papers.changing:
            self._papers.merged(without=titles)  # others may have been laid down since it was planned
            self._desk.move(share, records.DONE, run=run, reason=reason, drop=titles)
        if whole:
            self._drift.forget(one.node, one.job.world.now())
        self._followed()
        self._look_again(one)
        return ("", reason) if whole else ("drifted", reason)

    # --- both ---

    def _begin(self, one: look.Look, share: records.Share, hash: str) -> records.Share:
        right_node.check(one.job.world)
        lease.write(one.job.world.host, self._control.next_mine(), one.lease)
        begun = self._desk.move(share, records.RUNNING, plan=hash, approve=False)
        if begun.state in records.ENDED:
            raise errors.Void(begun.reason)
        return begun

    def _look_again(self, one: look.Look) -> None:
        self._ring(one.node, "what an operation left")
