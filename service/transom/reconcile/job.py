"""One run: observe, plan, and with approval apply, verify, record; and the way back from it. Whose turn it is is not asked here."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transom import errors, model
from transom.plan import actions as acts
from transom.plan import guest_actions, ledger_paths, make, rehearsal, result
from transom.reconcile import (
    arming,
    back,
    deadman,
    defect,
    emptied,
    engine,
    good,
    last_look,
    learn,
    mirror,
    observe,
    restarts,
    returned,
    right_node,
    rollout,
    task,
    trying,
    undo,
)
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.reconcile.steps import files, reboot
from transom.report import run_text
from transom.spec import wish
from transom.store import records, store


def _to_anybody(moment: records.Moment) -> None:
    del moment


def _to_nobody(kind: str, node: str, data: Mapping[str, Any]) -> None:
    del kind, node, data


def _any_plan(plan: result.Plan) -> None:
    del plan


@dataclasses.dataclass
class Job:
    """A node with its documents' wish, its world and the store. Its user holds the node's lock while anything is written."""

    node: wish.NodeWish
    world: w.World
    store: store.Store
    kind: str = "apply"
    """What its runs are called, but for those of an adoption and an undo."""
    seen: model.Facts | None = None
    """The last look at the node; after a run, what it left."""
    tell: Callable[[str, str, Mapping[str, Any]], None] = _to_nobody
    """Takes what happens for those who watch: kind of the event, node, data in JSON types."""
    may_start: Callable[[records.Moment], None] = _to_anybody
    """Asked in the very moment in which a run begins; raises when it must not."""
    may_reboot: Callable[[result.Plan], None] = _any_plan
    """Asked before a run begins, once no other node of the cluster is being rebooted; raises when this plan must not."""
    started: list[str] = dataclasses.field(default_factory=list)
    """The runs that were begun, last one last."""

    # --- forward ---

    def propose(self, *, take_over: bool = False) -> result.Plan:
        """Observe and plan; the plan is stored under its hash."""
        return self.propose_from(self._look(), take_over=take_over)

    def propose_settled(self, *, take_over: bool = False) -> result.Plan:
        """The same; a boot that waits for it is confirmed first, also while changes are paused."""
        facts = self._look_settled()
        if self._drop_arming(facts, take_over=take_over):
            facts = self._look()
        return self.propose_from(facts, take_over=take_over)

    def settle(self) -> None:
        """Close the books on runs that were cut off, and on a reboot whose run is gone."""
        self.close_interrupted()
        self.give_back()
        self._drop_arming(self._look_settled())

    def _drop_arming(self, facts: model.Facts, *, take_over: bool = False) -> bool:
        """Planning for it alone is dear, and hardly ever asked for."""
        if arming.armed_here(facts) is None:
            return False
        return arming.drop(self.plan(facts, take_over=take_over), facts, self.world, self.store)

    def propose_from(self, facts: model.Facts, *, take_over: bool = False) -> result.Plan:
        """The plan that ``facts`` give; stored under its hash."""
        plan = self.plan(facts, take_over=take_over)
        self.store.put_plan(plan.hash, plan.node, model.to_json(plan), self.world.now())
        return plan

    def preview(self, *, take_over: bool = False) -> result.Plan:
        """Observe and plan; stored nowhere."""
        return self.plan(self._look(), take_over=take_over)

    def try_aside(self, plan: result.Plan) -> rehearsal.Tried:
        """``plan``, of the last look, on the node's own tools; nothing is changed."""
        assert self.seen is not None
        return trying.aside(plan, self.node, self.seen, self.world)

    def plan(self, facts: model.Facts, *, take_over: bool = False) -> result.Plan:
        """What ``facts`` lack of the wish."""
        ledger = self.store.ledger(self.node.name)
        return self._with_note(make.make(self.node, facts, ledger, take_over=take_over), facts, ledger)

    def _with_note(self, plan: result.Plan, facts: model.Facts, ledger: Mapping[str, model.Entry]) -> result.Plan:
        """A run under way writes the ledger first and its copy last: only between runs must the two be the same, and once it is
        known what has become of a boot that was to be confirmed."""
        undecided = deadman.rolled_back(facts) or deadman.waits(facts)
        if undecided and self.store.run(undecided.run):
            return plan
        if self.store.runs(self.node.name, state=records.RUNNING) or isinstance(facts.keeping, model.Unknown):
            return plan
        note = mirror.differs(facts.keeping, ledger)
        return dataclasses.replace(plan, findings=(*plan.findings, note)) if note else plan

    def apply(self, approved: str, *, take_over: bool = False) -> str:
        """Carry out the plan whose hash is ``approved``; the run's id. Void when the facts or documents give another plan now;
        VerifyFailed when everything was done and the node still is not as declared; Rejected when SSH leads to another node."""
        right_node.check(self.world)
        self.close_interrupted()
        self.give_back()
        plan = self.propose_settled(take_over=take_over)
        if plan.hash != approved:
            raise errors.Void(
                f"{plan.node}: the plan is {plan.hash} now, approved was {approved}", hint="look at it again"
            )
        if plan.held_whole or (plan.held and not plan.forgets):
            raise errors.Void(f"{plan.node}: a finding holds the plan: {result.summary(plan)}")
        with rollout.alone(plan, self.node, self.store.folder):
            self.may_reboot(plan)
            run = self._start(plan, "adopt" if take_over else self.kind)
            self._carry_out(plan, run)
        return run.id

    def _carry_out(self, plan: result.Plan, run: records.Run) -> None:
        total = len(plan.actions)

        def journal(step: int, phase: str, text: str, data: Any) -> None:
            self.store.append(run.id, step, phase, text, data, self.world.now())
            if phase == "before":
                self._settle_vmid(plan.actions[step - 1], data["vmid"], run.id)
            elif phase == engine.TAKEN:
                self._settle_vmid(plan.actions[step - 1], None, run.id, was=data["vmid"])
            elif phase == restarts.PHASE:
                restarts.begun(self.store, self.node.name, model.from_json(restarts.Restarted, data))
            elif phase == "after":
                learn.from_guest(plan.actions[step - 1], self.node.name, run.id, self.world, self.store)
            self._say(step, total, phase, text)

        try:
            with defect.told(f"run {run.id}"):
                self.store.put_ledger(_entries(plan.entries, run.id))
                engine.carry_out(plan, self.world, self._context(run), journal)
                self._forget(plan.forgets, run)
                mirror.write(self.world.host, self.store.ledger(self.node.name))
                engine.settled(self._replan, plan.waits)
                self._all_back()
                assert self.seen is not None
                good.keep(self.store, self.node, self.seen, self.world.now())
        except errors.TransomError as error:
            armed = self._end_failed(run, plan, error)
            if isinstance(error, errors.WentBack):
                self._note_return()
            else:
                self.world.say(f"run {run.id} failed; {self._left(run.id, plan, armed=armed)}")
            raise
        self.store.end_run(run.id, records.APPLIED, self.world.now())

    def _left(self, run: str, plan: result.Plan, *, armed: bool) -> str:
        """What a failed run leaves: a step that ended did something, one that only began may have."""
        events = self.store.events(run)
        if not armed and returned.undecided(plan, events):
            return (
                f"`transom apply` looks at {self.node.name} again once it answers: it confirms that boot, or tells that the "
                "node went back by itself"
            )
        phases = {event.phase for event in events}
        if "after" in phases:
            return f"`transom undo {run}` takes back what it did"
        if "before" in phases:
            return f"no step of it was completed; `transom undo {run} --dry-run` shows whether anything is to be taken back"
        return "nothing was done on the node"

    def _forget(self, paths: Sequence[str], run: records.Run) -> None:
        """But for those that this run has written since: an id that a VM of ours had before may be the next free one."""
        written = {path for path, entry in self.store.ledger(self.node.name).items() if entry.run == run.id}
        self.store.drop_ledger(self.node.name, [path for path in paths if path not in written])

    def _context(self, run: records.Run) -> eff.Context:
        return eff.Context(
            run.id,
            run.boot_id,
            tell=lambda kind, data: self.tell(kind, self.node.name, data),
            refuse_now=self._refuse_now,
        )

    def _refuse_now(self, *, emptied: bool) -> None:
        """Void when what a plan to reboot is held by stands in the very moment in which the node is to go down."""
        self.world.say("looking once more whether anything speaks against the reboot")
        against = last_look.against(observe.observe(self.world, self.node), self.node, emptied=emptied)
        if against:
            said = "; ".join(f"{one.id}: {one.summary}" for one in against)
            raise errors.Void(f"{self.node.name} is not rebooted now: {said}", hint="the next plan says so too")

    def _say(self, step: int, total: int, phase: str, text: str) -> None:
        if phase == "failed":  # why is told once, by whoever gets the error
            text = "failed"
        if sign := run_text.SIGNS.get(phase):
            self.world.say(f"[{step}/{total}] {sign} {text}")

    def _end_failed(self, run: records.Run, plan: result.Plan, error: errors.TransomError) -> bool:
        """Whether the node is armed in the boot that it is in."""
        if armed := arming.failed(run.id, plan, self.store.events(run.id), self.world):
            error.advise(armed)
        self.store.end_run(run.id, records.FAILED, self.world.now(), str(error))
        with contextlib.suppress(
            errors.TransomError
        ):  # the node may be what failed; a plan says then that the copy is old
            mirror.write(self.world.host, self.store.ledger(self.node.name))
            self.give_back()
        return bool(armed)

    def _note_return(self) -> None:
        """What went back, and the log of why, while it is at hand; what cannot be had now is the next look's."""
        with contextlib.suppress(errors.TransomError):
            returned.settle(self.node.name, self._look(), self.world, self.store)

    def _replan(self) -> result.Plan:
        self.world.say("verifying: observing the node again")
        return make.make(self.node, self._look(), self.store.ledger(self.node.name))

    def _look(self) -> model.Facts:
        needed, noted = back.roms_needed(self.node.name, self.store), restarts.noted(self.store, self.node.name)
        facts = observe.observe(self.world, self.node)
        found = restarts.look(noted, facts, self.world)
        restarts.drop(self.store, self.node.name, found.over)
        facts = returned.explained(facts, self.store)
        self.seen = dataclasses.replace(facts, undo_needs=needed, left_stopped=dict(found.left))
        return self.seen

    def resume(self) -> str:
        """A person has seen that the node went back by itself: its change may be planned, and approved, again. The run that it went
        back from; Rejected when it did not."""
        right_node.check(self.world)
        gone = deadman.rolled_back(self._look_settled())
        if gone is None:
            raise errors.Rejected(f"{self.node.name} has not gone back by itself", hint="there is nothing to resume")
        deadman.forget(self.world.host, gone.run)
        return gone.run

    def _look_settled(self) -> model.Facts:
        facts = self._look()
        if not returned.settle(self.node.name, facts, self.world, self.store):
            return facts
        self.give_back()
        return self._look()

    def _settle_vmid(self, action: acts.Action, vmid: int | None, run: str, *, was: int | None = None) -> None:
        """The ledger lines of a VM whose id was still open get their path now, before it is created, and lose it with the id."""
        if not isinstance(action, guest_actions.CreateGuest) or action.vmid is not None:
            return
        old, new = str(ledger_paths.guest(was, action.name)), str(ledger_paths.guest(vmid, action.name))
        text, data = (
            f"{action.name} gets VM id {vmid if vmid is not None else '(next free id)'}",
            {"was": old, "is": new},
        )
        # What the ledger still has of an earlier VM with this id is nobody's any more, and goes with it.
        self.store.move_ledger(self.node.name, old, new, run, "vmid", text, data, self.world.now())

    def _start(self, plan: result.Plan, kind: str, *, undoes: str = "") -> records.Run:
        ledger = self.store.ledger(self.node.name)
        touched = {entry.path for entry in plan.entries} | set(plan.forgets)
        now = self.world.now()
        run = records.Run(
            id=_run_id(now, self.node.name, self.world.nonce()),
            node=self.node.name,
            plan=plan.hash,
            kind=kind,
            undoes=undoes,
            state=records.RUNNING,
            error="",
            boot_id=reboot.boot_id(self.world.host),
            ledger_before={path: model.to_json(ledger[path]) if path in ledger else None for path in sorted(touched)},
            started_at=now,
            ended_at=None,
        )
        self.store.start_run(run, self.may_start)
        self.started.append(run.id)
        return run

    def close_interrupted(self) -> None:
        """Runs that were cut off (the node's lock is ours, so nobody is at them) are marked so, and the ledger's mirror is brought
        up to date; planning again goes on from what is there. Busy or Unreachable while a PVE task of the last may still run."""
        cut, newest = self.store.runs(self.node.name, state=records.RUNNING), self.store.newest_run(self.node.name)
        if cut:
            right_node.check(self.world)
        if newest:
            self._settle_task(newest)
        for run in cut:
            self.store.end_run(run.id, records.INTERRUPTED, self.world.now(), "cut off before its end")
            self.world.say(f"run {run.id} was cut off before its end; going on from what is there")
        if cut:
            mirror.write(self.world.host, self.store.ledger(self.node.name))

    def _settle_task(self, run: records.Run) -> None:
        """No run begins before this is done, so that only the newest can have left a task whose end is not known."""
        found = task.left_open(self.store.events(run.id))
        if found is None:
            return
        step, asked = found

        def note(phase: str, text: str, data: Any) -> None:
            self.store.append(run.id, step, phase, text, data, self.world.now())
            self.world.say(f"run {run.id}: {text}")

        task.settle(self.world, dataclasses.replace(self._context(run), note=note), asked)
        plan = self.store.plan(run.plan)
        if plan is not None and step <= len(plan.content["actions"]):
            action = model.from_json(result.Plan, plan.content).actions[step - 1]
            learn.from_guest(action, self.node.name, run.id, self.world, self.store)

    # --- what a reboot took away for its time ---

    def give_back(self) -> bool:
        """Give the node back what a run emptied it of and did not live to give back: guests, HA, ``onboot``. Whether there was
        anything. Not while the reboot waits to be confirmed: then guests stay down until that is decided, one way or the other."""
        record = emptied.read(self.world.host)
        if record is None or record.tries >= emptied.TRIES or emptied.waits_for_confirmation(self.world.host):
            return False
        self.world.say(f"giving back what {self.node.name} was emptied of by run {record.run}")
        left = emptied.give_back(self.world, record)
        text = (
            f"not everything has come back: {'; '.join(left.said)}" if left else "what the node was emptied of is back"
        )
        if self.store.run(record.run):
            self.store.append(record.run, 0, "given-back", text, None, self.world.now())
        self.world.say(text)
        return True

    def _all_back(self) -> None:
        """VerifyFailed when something does not come back although everything is as declared."""
        self.give_back()
        if left := emptied.read(self.world.host):
            raise errors.VerifyFailed(f"{self.node.name}: after the reboot {'; '.join(left.said)}")

    # --- back ---

    def propose_undo(self, run: records.Run) -> result.Plan:
        """The plan that takes ``run`` back. What was changed after it, by a later run or by anybody, holds the plan."""
        return self._way_back(run)[0]

    def _way_back(self, run: records.Run) -> tuple[result.Plan, bool]:
        """The plan, and whether the mark of an owed reboot stays once it is done."""
        right_node.check(self.world)
        self.close_interrupted()
        back.refuse(run)
        facts = self._look_settled()
        returned.refuse(facts)
        past = back.past(run, self.store, self.world, facts)
        plan = undo.guarded(undo.plan(self.node.name, past, facts), facts, self.node)
        self.store.put_plan(plan.hash, plan.node, model.to_json(plan), self.world.now())
        return plan, undo.owes_reboot_still(past, facts)

    def undo(self, run: records.Run, approved: str) -> str:
        """Take ``run`` back by the plan whose hash is ``approved``; the id of the undoing run."""
        plan, still_owed = self._way_back(run)
        if plan.hash != approved:
            raise errors.Void(
                f"{plan.node}: the way back is {plan.hash} now, approved was {approved}", hint="look again"
            )
        if plan.held:
            raise errors.Void(f"{plan.node}: {result.summary(plan)}")
        with rollout.alone(plan, self.node, self.store.folder):
            # What is taken back is not put there again before a person has said so, whoever works on this store then.
            self.store.nodes.accept_nothing(self.node.name)
            undoing = self._start(plan, "undo", undoes=run.id)
            self._carry_out_undo(plan, undoing, run, still_owed=still_owed)
        return undoing.id

    def _carry_out_undo(self, plan: result.Plan, undoing: records.Run, run: records.Run, *, still_owed: bool) -> None:
        def journal(step: int, phase: str, text: str, data: Any) -> None:
            self.store.append(undoing.id, step, phase, text, data, self.world.now())
            self._say(step, len(plan.actions), phase, text)

        try:
            with defect.told(f"run {undoing.id}"):
                if any(isinstance(action, acts.Reboot) for action in plan.actions):
                    files.owe(self.world.host, (), boot_id=undoing.boot_id)  # for whoever goes on when this is cut off
                engine.carry_out(plan, self.world, self._context(undoing), journal)
                if not still_owed:
                    files.owe_no_reboot(self.world.host)
                self._all_back()
                assert self.seen is not None  # before the undo
                armed = arming.armed_here(self.seen)
                if armed and (armed.run == run.id or not still_owed):  # what it would go back from has been undone
                    deadman.disarm(self.world.host, armed.run)
                good.forget(self.store, self.node.name)
                self.store.reset_ledger(self.node.name, back.ledger_before(run, self.store))
                mirror.write(self.world.host, self.store.ledger(self.node.name))
        except errors.TransomError as error:
            self._end_failed(undoing, plan, error)
            if isinstance(error, errors.WentBack):
                self._note_return()
            raise
        self.store.end_run(undoing.id, records.APPLIED, self.world.now())
        self.store.mark_undone(run.id)


def _entries(entries: tuple[model.Entry, ...], run: str) -> list[model.Entry]:
    return [dataclasses.replace(entry, run=run) for entry in entries]


def _run_id(now: float, node: str, nonce: str) -> str:
    """``20261122-104501-pve1-3f2a``: sorts by time, says where, and is unique."""
    stamp = datetime.datetime.fromtimestamp(now, tz=datetime.UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{node}-{nonce[:4]}"
