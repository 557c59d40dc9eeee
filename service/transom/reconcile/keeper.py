"""Keeps a fleet: everything that the API can ask of the daemon. Puts the parts together; each part does its own work.

The work queue calls ``Turns``, the schedule rings, people ask (``Asks``) and ring; all that is known lies in the store, so that a
daemon that is killed at any point goes on from there.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import AbstractContextManager
from typing import Any

from transom import errors, model
from transom.plan import guest as guests
from transom.reconcile import (
    asks,
    backend,
    builder,
    claim,
    control,
    desk,
    driftlog,
    good,
    hub,
    job,
    lease,
    library,
    observe,
    orders,
    papers,
    parting,
    romdesk,
    schedule,
    settings,
    turn,
    workqueue,
)
from transom.report import plan_text, run_text
from transom.spec import resolve, wish
from transom.store import records, store

_LOOK = 10.0
"""Seconds that a look at a node may be waited for."""
_BUILD = 20.0
"""Seconds that ROMs may be waited for, before a plan is shown that says they are not built yet."""

_AT_ONCE = 16
"""Nodes that one preview looks at."""


class Keeper:
    """A ``backend.Backend``. Nothing moves before ``start``; after ``close`` nothing does any more."""

    def __init__(
        self,
        kept: store.Store,
        options: settings.Settings,
        *,
        reach: turn.Reach,
        lock: turn.Lock,
        shelf: library.Library,
        instance: str,
        now: Callable[[], float],
        nonce: Callable[[], str],
        rng: random.Random | None = None,
    ) -> None:
        self._store = kept
        self._options = options
        self._reach = reach
        self._lock = lock
        self._events = hub.Hub(now, keep=options.keep_events)
        kept.tell = self._on_record
        self._papers = papers.Papers(kept)
        self._control = control.Control(kept, self._events, options, instance=instance, nonce=nonce, now=now)
        self._desk = desk.Desk(kept, self._events, now)
        self._asks = asks.Asks(
            kept, self._papers, self._desk, now=now, nonce=nonce, ring=self._ring, followed=self._follow
        )
        drift = driftlog.Log(kept, self._events)
        others = orders.Orders(kept, self._papers, self._control, self._desk, drift, self._follow, self._ring)
        self._roms = romdesk.RomDesk(
            kept, self._papers, self._desk, self._events, shelf, now=now, nonce=nonce, ring=self._ring
        )
        tools = turn.Tools(
            store=kept,
            papers=self._papers,
            control=self._control,
            desk=self._desk,
            drift=drift,
            events=self._events,
            options=options,
            reach=reach,
            lock=lock,
            ring=self._ring,
            want=self._roms.builder.want,
            now=now,
        )
        self._turns = turn.Turns(tools, others)
        self._schedule = schedule.Schedule(
            self._ring, every=options.scan_every, jitter=options.scan_jitter, rng=rng or random.Random()
        )
        self._queue: workqueue.WorkQueue | None = None

    # --- life ---

    def start(self) -> None:
        """Look at every node, and go on doing so. What was under way when the last daemon ended is taken up again."""
        self._queue = workqueue.WorkQueue(self._turns.take, workers=self._options.workers)
        self._roms.start(self._options.rom_workers)
        self._follow()
        self._schedule.start()
        declared = set() if self._papers.misfit() else {node.name for node in self._papers.all()}
        for node in declared | {share.node for _, share in self._store.operations.open() if share.node}:
            self._ring(node, "start")

    def close(self) -> tuple[str, ...]:
        """Start nothing more and let runs under way finish; the nodes where one has not within ``stop_within``."""
        self._schedule.close()
        rest = self._queue.close(self._options.stop_within) if self._queue else ()
        self._roms.builder.close(0)
        self._events.close()
        return rest

    def _ring(self, node: str, reason: str) -> None:
        if self._queue is not None:
            self._queue.ring(node, reason)

    def _follow(self) -> None:
        if self._papers.misfit():
            return  # told by ``ready``; what mends them comes here again
        self._schedule.follow(node.name for node in self._papers.all())
        self._roms.want()

    def _on_record(self, record: records.Run | records.Event) -> None:
        if isinstance(record, records.Run):
            kind = "run.started" if record.state == records.RUNNING else "run.ended"
            self._events.tell(kind, record.node, run_text.as_data(record))
            return
        run = self._store.run(record.run)
        data = {"run": record.run, "step": record.step, "phase": record.phase, "text": record.text}
        self._events.tell("run.step", run.node if run else "", data)

    # --- documents ---

    def documents(self) -> list[dict[str, Any]]:
        return [plain["document"] for plain in self._store.documents()]

    def provision(self, texts: Sequence[backend.Text], *, approve: bool, key: str, by: str) -> backend.Operation:
        return self._shown(self._asks.provision(texts, approve=approve, key=key, by=by))

    def reserved(self, texts: Sequence[backend.Text]) -> tuple[str, ...]:
        return self._papers.reserved(texts)

    def operation(self, id: str) -> backend.Operation:
        """Rejected when there is none."""
        found = self._store.operations.get(id)
        if found is None:
            raise errors.Rejected(f"there is no operation {id!r}")
        return self._shown(found)

    def release(self, name: str, *, by: str) -> backend.Operation:
        """Restore what stands on the node because of this document and drop it; a VM stays, without our mark. Its plan waits for
        approval. SpecError when other documents refer to it."""
        return self._shown(self._asks.release(name, by))

    def remove(self, name: str, *, confirm: str, plan: str = "", by: str) -> backend.Operation:
        """Delete a stopped VM that Transom made, with its disks, and release it. ``confirm`` is its name, typed once more,
        ``plan`` what was shown."""
        return self._shown(self._asks.remove(name, confirm, plan, by))

    def operations(self) -> list[backend.Operation]:
        found = {operation.id: operation for operation, _ in self._store.operations.open()}
        return [self._shown(operation) for operation in found.values()]

    def cancel(self, id: str, *, by: str) -> backend.Operation:
        found = self._store.operations.get(id)
        cancel = self._roms.cancel if found and found.kind == romdesk.KIND else self._asks.cancel
        return self._shown(cancel(id, by))

    def preview_parting(self, kind: str, name: str) -> list[backend.Preview]:
        """What ``release`` or ``remove`` (``kind``) would do; empty when the document has nothing on any node. Stores and changes
        nothing."""
        title, node = self._asks.leaving(kind, name)
        if node is None:
            return []
        found, titles = self._papers.need(node), self._papers.with_parts(title)
        try:
            with self._reach(found) as world:
                plan = parting.of(found, titles, self._papers, world, self._store, kind).propose()
        except errors.TransomError as error:
            return [backend.Preview(node, error=error)]
        return [backend.Preview(node, plan_text.as_data(plan))]

    def _shown(self, found: records.Operation) -> backend.Operation:
        shares = tuple(
            backend.Share(one.node, one.state, one.plan, one.run, one.reason)
            for one in self._store.operations.shares(found.id)
        )
        rom, target = "", found.target
        if found.kind == romdesk.KIND:  # what came of it is no run
            rom, target = "".join(share.run for share in shares), builder.document_of(target)
            shares = tuple(dataclasses.replace(share, run="") for share in shares)
        return backend.Operation(
            found.id, _state(shares), shares, found.asked_by, found.at, rom, kind=found.kind, target=target
        )

    # --- what is true ---

    def nodes(self) -> list[backend.NodeRow]:
        seen = self._store.nodes.all()
        return [_node_row(node, seen.get(node.name, records.Node(node.name))) for node in self._papers.all()]

    def facts(self, node: str) -> model.Facts:
        """Of the last look; when there was none in this life of the daemon, the node is looked at now."""
        found = self._papers.need(node)
        known = self._turns.facts.get(node)
        if known is not None:
            return known
        with self._reach(found) as world:
            return observe.observe(world)

    def last_good(self, node: str) -> good.LastGood:
        return good.last(self._store, self._papers.need(node), self.facts(node))

    def vms(self) -> list[backend.VmRow]:
        return [self._vm_row(node, guest) for node in self._papers.all() for guest in node.guests]

    def _vm_row(self, node: wish.NodeWish, guest: wish.GuestWish) -> backend.VmRow:
        facts = self._turns.facts.get(node.name)
        if facts is None or isinstance(facts.guests, model.Unknown) or isinstance(facts.states, model.Unknown):
            return backend.VmRow(guest.name, node.name, guest.vmid, "unknown", guest.recipe)
        file = guests.find(guest, facts.guests, self._store.ledger(node.name))
        if file is None:
            return backend.VmRow(guest.name, node.name, guest.vmid, "absent", guest.recipe)
        state = facts.states.get(file.vmid)
        return backend.VmRow(guest.name, node.name, file.vmid, state.status if state else "unknown", guest.recipe)

    def drift(self, node: str = "") -> list[backend.DriftRow]:
        nodes = self._store.nodes.all()
        rows = ((one, nodes.get(one.node) or records.Node(one.node)) for one in self._store.drift.all(node))
        return [
            backend.DriftRow(one.node, one.kind, one.key, one.since, one.seen, one.detail, at.state, at.reason)
            for one, at in rows
        ]

    def scan(self, node: str, *, by: str) -> None:
        """Look at the node, or at all when the name is empty, as soon as may be. Rejected when nobody declares it."""
        for one in [self._papers.need(node)] if node else self._papers.all():
            self._ring(one.name, f"asked for by {by}")

    # --- plans and runs ---

    def preview(
        self, texts: Sequence[backend.Text], node: str = "", *, take_over: bool = False, simulate: bool = False
    ) -> list[backend.Preview]:
        """What would be done now, with ``texts`` laid over the stored documents and not stored. With ``take_over`` and nothing
        laid over, the plan can be approved. With ``simulate`` it is tried aside on the node as well, while nobody else is at work
        there. A node that cannot be looked at hides no other."""
        own = self._papers.parse(texts)
        asks.refuse_places(own, self._store.folder)
        wishes = resolve.resolve(self._papers.merged(own)) if own else self._papers.all()
        chosen = [one for one in wishes if node in ("", one.name)]
        if node and not chosen:
            raise errors.Rejected(f"no document declares node {node!r}")
        self._roms.builder.settle((guest.rom for one in chosen for guest in one.guests if guest.rom), _BUILD)
        with futures.ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="preview") as threads:
            show = functools.partial(self._preview, take_over=take_over, stored=not own, simulate=simulate)
            return list(threads.map(show, chosen))

    def _preview(self, node: wish.NodeWish, *, take_over: bool, stored: bool, simulate: bool) -> backend.Preview:
        tried = None
        try:
            with contextlib.ExitStack() as held:
                if simulate:
                    held.enter_context(self._lock_soon(node.name))
                one = job.Job(node, held.enter_context(self._reach(node)), self._store)
                # kept only where it can be approved
                plan = (one.propose if stored else one.preview)(take_over=take_over)
                tried = one.try_aside(plan) if simulate else None
        except errors.TransomError as error:
            return backend.Preview(node.name, error=error)
        known = self._store.proposals.get(
            plan.hash
        )  # a plan that takes nothing over is the ordinary one, and stays what it was
        if take_over and stored and plan.actions and (known is None or known.kind == "adopt"):
            self._desk.note(plan, "adopt", records.PROPOSED, "takes over what contradicts the documents")
        return backend.Preview(node.name, plan_text.as_data(plan, tried))

    def plans(self, node: str = "", state: str = "") -> list[backend.PlanRow]:
        rows = self._store.proposals.all(node, (state,) if state else ())
        return [_plan_row(one) for one in rows]

    def plan(self, hash: str) -> dict[str, Any]:
        return plan_text.as_data(self._desk.plan(hash))

    def approve(self, hash: str, *, by: str) -> backend.Operation:
        return self._shown(self._asks.approve(hash, by))

    def reject(self, hash: str, reason: str, *, by: str) -> backend.PlanRow:
        return _plan_row(self._desk.reject(hash, reason, by))

    def runs(self, node: str = "") -> list[dict[str, Any]]:
        return [run_text.as_data(run) for run in self._store.runs(node or None)]

    def run(self, id: str) -> dict[str, Any]:
        found = self._run(id)
        return run_text.as_data(found) | {"events": [run_text.event_data(one) for one in self._store.events(id)]}

    def _run(self, id: str) -> records.Run:
        found = self._store.run(id)
        if found is None:
            raise errors.Rejected(f"there is no run {id!r}", hint="transom run ls lists them")
        return found

    def preview_undo(self, run: str) -> dict[str, Any]:
        """The way back from a run. Busy while another run is under way on the node."""
        found = self._run(run)
        node = self._papers.need(found.node)
        with self._lock_soon(node.name), self._reach(node) as world:
            claim.refuse(lease.read(world.host, self._control.known()))  # runs that were cut off are closed on the node
            return plan_text.as_data(job.Job(node, world, self._store).propose_undo(found))

    def _lock_soon(self, node: str) -> AbstractContextManager[object]:
        """The node's lock, once a look that has it is over; Busy when it is more than a look."""
        deadline = time.monotonic() + _LOOK
        while True:
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(self._lock(node))
                    return held.pop_all()
                except errors.Busy:
                    if time.monotonic() > deadline:
                        raise
            time.sleep(0.1)

    def undo(self, run: str, *, approved: str, by: str) -> backend.Operation:
        return self._shown(self._asks.undo(run, approved, by))

    # --- the library ---

    def roms(self) -> list[backend.RomRow]:
        return self._roms.rows()

    def rom(self, id: str) -> backend.RomDetail:
        return self._roms.detail(id)

    def rom_content(self, id: str) -> bytes:
        return self._roms.content(id)

    def receive(self) -> backend.Incoming:
        return self._roms.receive()

    def push(self, ask: backend.RomAsk, received: backend.Incoming | None, *, by: str) -> backend.Operation:
        return self._shown(self._roms.push(ask, received, by))

    def collect_roms(self, *, dry_run: bool, days: int) -> list[backend.RomLeft]:
        return self._roms.collect(dry_run=dry_run, days=days)

    # --- control ---

    def pause(self, reason: str, *, by: str) -> None:
        self._control.pause(reason, by)

    def resume(self, *, by: str) -> None:
        self._control.resume(by)
        for node in self._papers.all():
            self._ring(node.name, "resumed")

    def resume_node(self, node: str, *, by: str) -> None:
        found = self._papers.need(node)
        with self._lock_soon(node), self._reach(found) as world:
            claim.refuse(lease.read(world.host, self._control.known()))
            run = job.Job(found, world, self._store).resume()
        self._events.tell("node.resumed", node, {"by": by, "run": run})
        self._ring(node, "resumed")

    def status(self) -> dict[str, Any]:
        """Plain JSON: whose fleet, whether paused, how the nodes are, what is under way (node → seconds)."""
        paused, tripped = self._control.paused(), self._control.tripped()
        mine = self._control.mine()
        return {
            "fleet": mine.fleet,
            "instance": mine.instance,
            "generation": mine.generation,
            "paused": model.to_json(paused) if paused else None,
            "fleet_drift": sorted(tripped.newly_drifted) if tripped else None,
            "nodes": dict(sorted(collections.Counter(row.state for row in self.nodes()).items())),
            "under_way": self._queue.under_way() if self._queue else {},
            "open_operations": sorted({operation.id for operation, _ in self._store.operations.open()}),
            "next_looks": {node: at.timestamp() for node, at in self._schedule.next_rings().items() if at},
        }

    def ready(self) -> dict[str, str]:
        return {
            "store": self._store_ready(),
            "documents": self._documents_ready(),
            "scheduler": self._scheduler_ready(),
        }

    def _documents_ready(self) -> str:
        try:
            return self._papers.misfit() or "ok"
        except errors.TransomError as error:
            return str(error)

    def _store_ready(self) -> str:
        try:
            self._store.meta.get("fleet")
        except errors.TransomError as error:
            return str(error)
        return "ok"

    def _scheduler_ready(self) -> str:
        if self._queue is None or not self._queue.alive:
            return "the work queue does not run"
        return "ok" if self._schedule.alive else "the schedule does not run"

    def events(self, after: int = 0) -> Iterator[backend.Event | None]:
        return self._events.events(after)


def _plan_row(one: records.Proposal) -> backend.PlanRow:
    return backend.PlanRow(one.hash, one.node, one.state, one.impact, one.summary, one.made_at)


def _node_row(node: wish.NodeWish, seen: records.Node) -> backend.NodeRow:
    return backend.NodeRow(node.name, node.cluster, node.policy.mode, seen.state, seen.reason, seen.observed_at)


def _state(shares: Sequence[backend.Share]) -> str:
    """Of an operation from its shares: what still moves first, then what needs somebody most."""
    states = {share.state for share in shares}
    if states & {"queued", "observing", "running"}:
        return "running"
    return next((state for state in ("failed", "held", "waiting") if state in states), "done")
