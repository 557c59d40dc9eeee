"""One node's turn: look, plan, ask the policy, and carry out, propose, hold or report. The queue calls it, one at a time a node."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from transom import errors, model
from transom.plan import make, policy, result, rom
from transom.reconcile import (
    control,
    defect,
    desk,
    driftlog,
    hub,
    job,
    lease,
    look,
    orders,
    papers,
    right_node,
    rollout,
    settings,
    workqueue,
)
from transom.reconcile import world as w
from transom.spec import wish
from transom.store import records, store

_DAY = 24 * 3600.0
_FAILURES = 3
_NODE_STATES = {"carry": "drifted", "propose": "waiting", "hold": "held", "report": "drifted"}
_PLAN_STATES = {
    "carry": records.PROPOSED,
    "propose": records.WAITING,
    "hold": records.HELD,
    "report": records.PROPOSED,
}
_FOLLOWING = ("provision", "approve")
"""Operations that an ordinary turn serves."""

Reach = Callable[[wish.NodeWish], AbstractContextManager[w.World]]
Lock = Callable[[str], AbstractContextManager[None]]


@dataclasses.dataclass(frozen=True)
class Tools:
    """What every turn works with. ``reach`` connects to a node, ``lock`` keeps other processes off it, ``ring`` asks for a turn."""

    store: store.Store
    papers: papers.Papers
    control: control.Control
    desk: desk.Desk
    drift: driftlog.Log
    events: hub.Hub
    options: settings.Settings
    reach: Reach
    lock: Lock
    ring: Callable[[str, str], None]
    want: Callable[[Iterable[wish.RomWish]], None]
    """Has ROMs built, beside the turns."""
    now: Callable[[], float]


class Turns:
    """Thread-safe for different nodes. ``facts`` are those of the last look at each."""

    def __init__(self, tools: Tools, others: orders.Orders) -> None:
        self._tools = tools
        self._orders = others
        self.facts: dict[str, model.Facts] = {}

    def take(self, node: str, reasons: tuple[str, ...]) -> workqueue.Again | None:
        """Errors as they come: the queue judges by their class whether another turn can help."""
        del reasons  # level-triggered: why it was rung says nothing about what is there
        # before the documents are read: what is asked for later may rest on documents that this turn does not know
        asked = frozenset(operation.id for operation, _ in self._tools.desk.asked(node))
        found = self._tools.papers.find(node)
        if found is None:
            self._undeclared(node)
            return None
        self._tools.want(guest.rom for guest in found.guests if guest.rom)
        with self._tools.lock(node), contextlib.ExitStack() as stack:
            try:
                with defect.told(node):
                    one = self._look(found, stack.enter_context(self._tools.reach(found)), asked)
            except errors.TransomError as error:
                self._blind(node, error)
                raise
            with self._owning_up(node):
                self._note(one)
                order = self._orders.first(one)
                one, decision = (one, None) if order else self._decide(self._adopting(one))
            if order:
                self._orders.serve(one, *order)
            elif isinstance(decision, policy.Carry):
                self._carry(one)
            return self._again(decision)

    def _again(self, decision: policy.Decision | None) -> workqueue.Again | None:
        if not isinstance(decision, policy.Propose) or decision.opens is None:
            return None
        return workqueue.Again(max(0.0, decision.opens.timestamp() - self._tools.now()), "may be put right now")

    # --- looking ---

    def _look(self, node: wish.NodeWish, world: w.World, asked: frozenset[str]) -> look.Look:
        tools = self._tools
        at = tools.now()  # before anything is read: what changes meanwhile is not in this look
        kept = job.Job(node, world, tools.store, tell=tools.events.tell)
        found = lease.read(world.host, tools.control.known())
        if found.standing is lease.Standing.OTHER:
            tools.control.other_seen(found)
        if found.mine:
            kept.close_interrupted()
        plan = kept.propose_settled() if found.mine else kept.propose()
        assert kept.seen is not None
        if found.mine and isinstance(kept.seen.drained, model.Drained) and kept.give_back():
            plan = kept.propose()
        self.facts[node.name] = kept.seen
        known = {f"upgraded {node.name}", f"changed-since-good {node.name}"}
        told = any(row.key in known for row in tools.store.drift.all(node.name))
        before = tools.store.nodes.get(node.name)
        new = look.unapproved(tools.store, node.name)
        one = look.Look(node, kept, found, kept.seen, plan, before, at, asked, unapproved=new, told=told)
        return self._with_lease(one)

    def _note(self, one: look.Look) -> None:
        """What stands now, and what has gone."""
        self._tools.drift.record(one.node, driftlog.rows(one.plan, one.findings()), one.at)
        self._keep(one)
        if one.newly_differs:
            for other in self._tools.papers.all():
                if other.name != one.node:
                    self._tools.ring(other.name, f"{one.node} newly differs")

    def _keep(self, one: look.Look) -> None:
        """First whose part is not approved yet: without the second nothing else is either."""
        look.keep_unapproved(self._tools.store, one.node, one.still_unapproved())
        self._tools.store.nodes.put(one.seen())

    def _with_lease(self, one: look.Look) -> look.Look:
        """A lease of ours is kept fresh; the look goes on with the one that stands then, or with why it could not be written."""
        state, held = self._tools.control, one.lease.lease
        if held is None or one.lease.standing is not lease.Standing.OURS or one.facts.identity != one.job.world.node:
            return one
        if state.mine().at - held.at <= self._tools.options.lease_lasts / 3:
            return one
        try:
            found = lease.write(one.job.world.host, state.same_mine(held), one.lease)
        except errors.TransomError as error:
            return dataclasses.replace(one, not_renewed=str(error))
        return dataclasses.replace(one, lease=found)

    def _blind(self, node: str, error: errors.TransomError) -> None:
        if isinstance(error, errors.Busy):
            return  # somebody is at work there; the queue comes again soon
        self._tools.drift.out_of_reach(node, error, self._tools.now())
        self._state(node, "unknown" if isinstance(error, errors.Defect) else "unreachable", str(error))
        self._tell_asked(node, str(error))

    @contextlib.contextmanager
    def _owning_up(self, node: str) -> Iterator[None]:
        """What keeps the turn from a decision stands where people look, and not the decision of an earlier turn."""
        try:
            with defect.told(node):
                yield
        except errors.TransomError as error:
            self._state(node, "unknown", f"no decision was possible: {error}")
            self._tell_asked(node, str(error))
            raise

    def _tell_asked(self, node: str, reason: str) -> None:
        for _, share in self._tools.desk.asked(node):
            self._tools.desk.move(share, reason=reason)

    def _undeclared(self, node: str) -> None:
        for _, share in self._tools.desk.asked(node):
            self._tools.desk.move(share, records.FAILED, reason="no document declares this node any more")
        self._tools.drift.forget(node, self._tools.now())
        self.facts.pop(node, None)

    def _state(self, node: str, state: str, reason: str) -> None:
        before = self._tools.store.nodes.get(node)
        self._tools.store.nodes.put(dataclasses.replace(before, state=state, reason=reason))
        if before.state != state:
            self._tools.events.tell("node.state", node, {"state": state, "reason": reason, "was": before.state})

    # --- deciding ---

    def _adopting(self, one: look.Look) -> look.Look:
        """With an approved plan that takes over what contradicts, that plan is the one to decide on, if it still is the same."""
        rows = self._tools.store.proposals.all(one.node, (records.APPROVED,))
        if one.unread or all(row.kind != "adopt" for row in rows):
            return one
        plan = one.job.propose_from(one.facts, take_over=True)
        if not self._tools.desk.renew(plan, "adopt"):
            self._tools.desk.supersede(one.node, "adopt")
            return one
        one.job.kind = "adopt"
        return dataclasses.replace(one, plan=plan)

    def _decide(self, one: look.Look) -> tuple[look.Look, policy.Decision]:
        kind = _kind(one)
        if not one.unread:
            self._take_approvals(one)
            self._tools.desk.renew(one.plan, kind)
        decision = self._decision(one)
        if one.plan.empty:
            self._tools.desk.supersede(one.node, kind)
            self._state(one.node, "as-declared", decision.reason)
        else:
            self._tools.desk.note(one.plan, kind, _PLAN_STATES[decision.kind], decision.reason, unread=one.unread)
            self._state(one.node, _NODE_STATES[decision.kind], decision.reason)
        self._follow(one, decision)
        return one, decision

    def _take_approvals(self, one: look.Look) -> None:
        """Whoever provisioned with approval has approved the first plan that comes of those documents, and no other."""
        if one.plan.empty:
            return
        for operation, share in self._asked(one, ("provision",)):
            if share.approve and not share.plan:
                if one.plan.actions and not one.plan.held and share.documents == one.declared:
                    reason = f"asked for with operation {operation.id}"
                    self._tools.desk.approve(one.plan, "apply", operation.asked_by, reason)
                self._tools.desk.move(share, plan=one.plan.hash)

    def _decision(self, one: look.Look) -> policy.Decision:
        tools, plan = self._tools, one.plan
        state = self._policy_state(one)
        try:
            decision = policy.decide(one.wish.policy, plan, control.aware(tools.now()), state)
        except errors.SpecError as error:
            return policy.Hold(str(error))
        if plan.empty:
            return decision
        if not one.lease.mine:
            found = lease.finding(one.lease)
            return policy.Hold(f"not ours to change: {one.lease.reason}. {found.remedy}", (found,))
        if one.not_renewed:
            return policy.Hold(one.not_renewed, (lease.not_renewed(one.not_renewed),))
        if rejected := tools.desk.rejected(plan.hash):
            return policy.Hold(rejected)
        known = tools.store.proposals.get(plan.hash)
        withheld = known is not None and known.withheld
        if (withheld or isinstance(decision, policy.Carry)) and (failed := self._failed_reboot(one)):
            tools.desk.withhold(plan.hash, failed.reason)
            return policy.Propose(failed.reason)
        if withheld and not isinstance(decision, policy.Hold):  # a person has resumed
            tools.desk.end(plan.hash, records.APPROVED, "approved, and resumed after another reboot had failed")
            return policy.Carry(f"plan {plan.hash} is approved")
        if isinstance(decision, policy.Carry) and plan.hash not in state.approvals:
            return self._unasked(one, decision, known)
        return decision

    def _failed_reboot(self, one: look.Look) -> rollout.Failure | None:
        """That this plan's reboot must not follow: nobody has resumed or approved this plan since."""
        tools = self._tools
        if not rollout.reboots(one.plan):
            return None
        known = tools.store.proposals.get(one.plan.hash)
        said = known.approved_at if known and (known.open or known.withheld) else None
        since = max(tools.control.resumed_at(), said or 0.0)
        return rollout.failure(tools.store, one.wish, tools.papers.all(), since=since)

    def _may_reboot(self, one: look.Look, plan: result.Plan) -> None:
        """The same, asked again once no other node is being rebooted: one may just have failed."""
        del plan
        if failed := self._failed_reboot(one):
            raise errors.Void(f"{one.node}: {failed.reason}")

    def _policy_state(self, one: look.Look) -> policy.State:
        tools = self._tools
        since = max(one.at - _DAY, tools.control.resumed_at())
        return policy.State(
            fleet=tools.control.scan(len(tools.papers.all()), one.wish.policy.limits),
            accepted=(accepted := tools.store.nodes.get(one.node).accepted),
            unapproved=look.unapproved(tools.store, one.node),
            taken_back="" if accepted else look.taken_back(tools.store, one.node),
            history=look.history(tools.store, one.node, since=since),
            approvals=tools.desk.approvals(one.node),
            paused=tools.control.paused() is not None,
            rewriters=look.rewriters(one.facts, [drift.path for drift in one.plan.drifts]),
        )

    def _unasked(self, one: look.Look, decision: policy.Carry, known: records.Proposal | None) -> policy.Decision:
        """What a policy lets through still waits: for the rest of the fleet to be looked at, and for a person after failures."""
        tools = self._tools
        if known and known.state == records.FAILED:
            return policy.Propose(f"{known.reason}; approve it to try again")
        since = max(one.at - _DAY, tools.control.resumed_at())
        runs = look.unasked(tools.store, one.node, since=since)
        if len([run for run in runs if run.state in (records.FAILED, records.INTERRUPTED)]) >= _FAILURES:
            said = "have failed or were cut off within a day"
            return policy.Propose(f"{_FAILURES} runs that nobody was asked for {said}; look at them")
        return self._after_the_others(one) or decision

    def _after_the_others(self, one: look.Look) -> policy.Propose | None:
        """Waits, for ``settle`` at most, until every other node that answers has been looked at since this one began to differ."""
        tools = self._tools
        nodes = tools.store.nodes.all()
        begun = nodes[one.node].differs_since or 0.0
        declared = {node.name for node in tools.papers.all()} - {one.node}
        late = [name for name in declared if not _looked_at(nodes.get(name), begun)]
        left = begun + tools.options.settle - tools.now()
        if not late or left <= 0:
            return None
        opens = control.aware(tools.now() + min(left, max(1.0, tools.options.settle / 10)))
        others = "1 other node is" if len(late) == 1 else f"{len(late)} other nodes are"
        return policy.Propose(f"it newly differs; {others} looked at first", opens)

    # --- doing ---

    def _carry(self, one: look.Look) -> None:
        tools, plan, kind = self._tools, one.plan, _kind(one)
        asked = tools.desk.approval(plan.hash) is not None
        if kind == "apply" and not asked:
            one.job.kind = look.UNASKED
        one.job.may_start = functools.partial(tools.control.may_start, asked=asked)
        one.job.may_reboot = functools.partial(self._may_reboot, one)
        try:
            with defect.told(one.node):
                right_node.check(one.job.world)
                lease.write(one.job.world.host, tools.control.next_mine(), one.lease)
                run = one.job.apply(plan.hash, take_over=kind == "adopt")
        except errors.TransomError as error:
            self._failed(one, error, asked=asked)
            self._next_reboot(one)
            raise
        self._next_reboot(one)
        self._done(one, run)

    def _next_reboot(self, one: look.Look) -> None:
        """Nodes of the cluster that waited for this one's reboot need not wait longer."""
        if one.job.started and rollout.reboots(one.plan):
            for other in self._tools.papers.all():
                if other.cluster == one.wish.cluster and other.name != one.node:
                    self._tools.ring(other.name, f"{one.node} is not being rebooted any more")

    def _failed(self, one: look.Look, error: errors.TransomError, *, asked: bool) -> None:
        """What could not be finished. The same plan is tried again unasked only after errors that may go by themselves."""
        tools, hash, runs = self._tools, one.plan.hash, one.job.started
        passing = error.retry is not errors.Retry.NEVER
        if not runs and passing:
            self._state(one.node, "waiting" if isinstance(error, errors.Busy) else "drifted", f"not begun: {error}")
            for _, share in self._asked(one):
                tools.desk.move(share, reason=f"not begun: {error}")
            return  # an approval is not spent, and the next turn looks again
        reason = f"run {runs[0]} failed: {error}" if runs else f"could not begin: {error}"
        tools.desk.end(hash, records.PROPOSED if passing and not asked else records.FAILED, reason)
        self._state(one.node, "drifted", reason)
        for _, share in self._asked(one):
            if share.plan == hash:
                state = records.QUEUED if passing and not asked else records.FAILED
                tools.desk.move(share, state, run=runs[0] if runs else "", reason=reason)

    def _done(self, one: look.Look, run: str) -> None:
        tools, hash = self._tools, one.plan.hash
        assert one.job.seen is not None
        self.facts[one.node] = one.job.seen
        plan = make.make(one.wish, one.job.seen, tools.store.ledger(one.node))
        after = dataclasses.replace(
            one,
            facts=one.job.seen,
            plan=plan,
            before=tools.store.nodes.get(one.node),
            at=tools.now(),
            unapproved=look.unapproved(tools.store, one.node),
        )
        tools.drift.record(one.node, driftlog.rows(plan, after.findings()), after.at)
        self._keep(after)
        tools.desk.end(hash, records.APPLIED, f"run {run}")
        held = f"; {result.summary(plan).partition(': ')[2]}" if plan.held else ""
        self._state(one.node, "held" if held else "as-declared", f"since run {run}{held}")
        for operation, share in self._asked(one):
            # the documents wait for what is held; the plan has been carried out
            done = not held or operation.kind == "approve"
            by = run if share.plan == hash else share.run
            state = records.DONE if done else _share_state(policy.Hold(held), plan)
            tools.desk.move(share, state, run=by, reason=f"run {run}{held}")

    # --- operations ---

    def _asked(self, one: look.Look, kinds: tuple[str, ...] = _FOLLOWING) -> list[desk.Asked]:
        return [asked for asked in self._tools.desk.asked(one.node, kinds) if asked[0].id in one.asked]

    def _follow(self, one: look.Look, decision: policy.Decision) -> None:
        """What this look means for those who asked for something."""
        for operation, share in self._asked(one):
            if one.plan.empty:
                run = share.run or self._run_of(operation, share)
                self._tools.desk.move(share, records.DONE, run=run, reason=f"run {run}" if run else "as declared")
            elif operation.kind == "approve" and (ended := self._ended(share.plan)):
                state = records.DONE if ended.state == records.APPLIED else records.FAILED
                self._tools.desk.move(share, state, run=ended.run, reason=ended.reason)
            elif operation.kind == "approve" and share.plan != one.plan.hash and not one.unread:
                reason = f"the plan is {one.plan.hash} now, approved was {share.plan}: look at it again"
                self._tools.desk.move(share, records.FAILED, reason=reason)
            else:
                state, hash = _share_state(decision, one.plan), share.plan if one.unread else one.plan.hash
                reason = decision.reason
                if share.approve and share.documents != one.declared:
                    reason = f"the documents are not those any more that were approved with this operation; {reason}"
                self._tools.desk.move(share, state, plan=hash, reason=reason)

    def _ended(self, hash: str) -> records.Proposal | None:
        """A plan that was approved in the middle of the turn in which it failed, or of whose run, cut off, nothing was left."""
        found = self._tools.store.proposals.get(hash)
        return found if found and found.state in (records.FAILED, records.APPLIED) else None

    def _run_of(self, operation: records.Operation, share: records.Share) -> str:
        """The run that carried the share's plan out in a turn that had begun before it was asked for; empty when none did."""
        runs = self._tools.store.runs(share.node, plan=share.plan, state=records.APPLIED)
        return next((run.id for run in runs if share.plan and run.started_at >= operation.at), "")


def _kind(one: look.Look) -> str:
    """Of plans, not of runs."""
    return "adopt" if one.job.kind == "adopt" else "apply"


def _looked_at(node: records.Node | None, since: float) -> bool:
    if node is None or node.observed_at is None:
        return False
    return node.state == "unreachable" or node.observed_at >= since


def _share_state(decision: policy.Decision, plan: result.Plan) -> str:
    if any(finding.id == rom.NOT_BUILT for finding in plan.findings):
        return "observing"  # the builder rings when it is done
    if isinstance(decision, policy.Carry):
        return records.RUNNING
    if isinstance(decision, policy.Hold) or not plan.actions:
        return records.HELD
    return records.WAITING
