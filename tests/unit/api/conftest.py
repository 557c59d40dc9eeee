"""A daemon with state but without nodes behind the real server on loopback, and clients of every scope."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest

from transom import errors, model, resources
from transom.api import app, auth, feed, server
from transom.plan import rehearsal, result
from transom.reconcile import backend, good
from transom.report import plan_text
from transom.spec import bundle, loader, reserved
from transom.store import blobs

LIFE = "testlife"
UPLOAD = 100_000
"""Bytes that may be handed in."""
SECRETS = {scope: f"transom_{scope.word}" for scope in auth.Scope}
FACTS = model.Facts(
    "pve1",
    model.Boot(model.Unknown("not read"), "6.8.12-4-pve", ("quiet",), "grub", True, 1),
    {"/etc/default/grub": model.Absent()},
    modules=frozenset({"vfio_pci", "i915"}),
)


class FakeDaemon:
    """Keeps what it is told, as the real one would; a node is as declared as soon as its plan is approved."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.stored: dict[str, bundle.Loaded] = {}
        self.ops: dict[str, backend.Operation] = {}
        self.keys: dict[tuple[str, str], tuple[object, str]] = {}
        self.made: dict[str, tuple[result.Plan, str]] = {}
        self.done: dict[str, dict[str, Any]] = {}
        self.paused = ""
        self.goes: result.Plan | None = None
        """What letting go previews."""
        self.tried = rehearsal.Tried(False, ("tried aside, and it fails: exit 3",))
        self.away: dict[str, errors.TransomError] = {}
        """Nodes that cannot be looked at."""
        self.log: list[tuple[str, str]] = []
        """What was asked, and by whom."""
        self.parts = {"store": "ok", "scheduler": "ok"}
        self.fail: Callable[[], None] = lambda: None
        """Called by ``status`` and ``facts``: raises or waits, as a test wants it."""
        self.waiting: queue.Queue[backend.Event | None] = queue.Queue()
        self.library: dict[str, backend.RomDetail] = {}
        self.pushed: list[backend.RomAsk] = []
        self.files = blobs.Blobs(folder / "inputs")
        self._numbers = itertools.count(1)
        self._seq = itertools.count(1)
        self.gates: tuple[result.Gate, ...] = ()
        """Of the plans that come of documents."""

    # --- documents ---

    def documents(self) -> list[dict[str, Any]]:
        return [bundle.content(item) for item in self.stored.values()]

    def provision(self, texts: Sequence[backend.Text], *, approve: bool, key: str, by: str) -> backend.Operation:
        if (by, key) in self.keys and key:
            content, known = self.keys[by, key]
            if content != (texts, approve):
                raise errors.Rejected("this Idempotency-Key came with other content before")
            return self.ops[known]
        fresh = self._checked(texts)
        self.stored |= fresh
        self.log.append(("provision", by))
        shares = [self._share(name, approve, by) for name in self._nodes()]
        operation = self._operation(shares, by)
        self.keys[by, key] = ((texts, approve), operation.id)
        return operation

    def reserved(self, texts: Sequence[backend.Text]) -> tuple[str, ...]:
        return reserved.reserved(list(self._checked(texts).values()), list(self.stored.values()))

    def _checked(self, texts: Sequence[backend.Text]) -> dict[str, bundle.Loaded]:
        fresh = {item.title: item for text in texts for item in loader.parse(text.text, text.name)}
        loader.assemble({**self.stored, **fresh}.values(), loader.shipped_recipes())
        return fresh

    def _nodes(self) -> list[str]:
        return [item.name for item in self.stored.values() if item.kind == "Node"]

    def _share(self, node: str, approve: bool, by: str) -> backend.Share:
        plan = result.Plan(node, f"{next(self._numbers)}", drifts=(drift(),), gates=self.gates)
        self.made[plan.hash] = (plan, "waiting")
        return self._carry_out(plan, by) if approve else backend.Share(node, "waiting", plan.hash)

    def _carry_out(self, plan: result.Plan, by: str) -> backend.Share:
        run = f"run-{next(self._numbers)}"
        self.made[plan.hash] = (plan, "applied")
        self.done[run] = {
            "id": run, "node": plan.node, "plan": plan.hash, "kind": "apply", "undoes": "", "state": "applied", "error": "",
            "boot_id": "", "started_at": 1.0, "ended_at": 2.0,
            "events": [{"seq": 1, "at": 1.0, "step": 1, "phase": "before", "text": f"by {by}", "data": {}}],
        }  # fmt: skip
        self.tell("run.step", plan.node)
        return backend.Share(plan.node, "done", plan.hash, run)

    def _operation(self, shares: Sequence[backend.Share], by: str) -> backend.Operation:
        state = "done" if all(share.state == "done" for share in shares) else "waiting"
        operation = backend.Operation(f"op-{next(self._numbers)}", state, tuple(shares), by, 1.0)
        self.ops[operation.id] = operation
        return operation

    def operation(self, id: str) -> backend.Operation:
        return _named(self.ops, id, "operation")

    def release(self, name: str, *, by: str) -> backend.Operation:
        _named(self.stored, name, "document")
        self.log.append((f"release {name}", by))
        del self.stored[name]
        return self._operation([], by)

    def remove(self, name: str, *, confirm: str, plan: str = "", by: str) -> backend.Operation:
        assert not plan or plan == result.Plan("pve1", "preview", drifts=(drift(),)).hash or self.goes, (
            "only what was shown"
        )
        if confirm != name:
            raise errors.Rejected(f"confirm says {confirm!r}, not {name!r}")
        self.log.append((f"remove by {plan}", by))
        return self.release(name, by=by)

    def operations(self) -> list[backend.Operation]:
        return [one for one in self.ops.values() if one.state == "waiting"]

    def cancel(self, id: str, *, by: str) -> backend.Operation:
        found = _named(self.ops, id, "operation")
        self.log.append((f"cancel {id}", by))
        shares = tuple(dataclasses.replace(one, state="failed", reason=f"withdrawn by {by}") for one in found.shares)
        self.ops[id] = dataclasses.replace(found, state="failed", shares=shares)
        return self.ops[id]

    def preview_parting(self, kind: str, name: str) -> list[backend.Preview]:
        self.log.append((f"preview {kind}", ""))
        item = _named(self.stored, name, "document")
        if self.goes and "pve1" not in self.away:
            return [backend.Preview("pve1", plan_text.as_data(self.goes))]
        return [self._preview("pve1", take_over=False)] if item.kind in ("Node", "VirtualMachine") else []

    # --- what is true ---

    def nodes(self) -> list[backend.NodeRow]:
        return [backend.NodeRow(name, "home", "observe", "unknown", "", None) for name in self._nodes()]

    def facts(self, node: str) -> model.Facts:
        self.fail()
        return dataclasses.replace(FACTS, node=node)

    def last_good(self, node: str) -> good.LastGood:
        self.fail()
        differs = (good.Difference("bios", "P1.60", "P2.30", "bios was P1.60 and is P2.30"),)
        return good.LastGood(node, 1_000.0, {"bios": "P1.60", "file /etc/modules": "ab"}, differs)

    def vms(self) -> list[backend.VmRow]:
        return [
            backend.VmRow(item.name, "pve1", None, "absent", "igd-legacy-seabios")
            for item in self.stored.values()
            if item.kind == "VirtualMachine"
        ]

    def drift(self, node: str = "") -> list[backend.DriftRow]:
        detail = model.to_json(drift())
        return [
            backend.DriftRow(name, "drift", drift().path, 1.0, 2.0, detail)
            for name in self._nodes()
            if node in ("", name)
        ]

    def scan(self, node: str, *, by: str) -> None:
        self.log.append((f"scan {node}", by))

    # --- plans and runs ---

    def preview(
        self, texts: Sequence[backend.Text], node: str = "", *, take_over: bool = False, simulate: bool = False
    ) -> list[backend.Preview]:
        laid = {**self.stored, **self._checked(texts)}
        names = [item.name for item in laid.values() if item.kind == "Node" and node in ("", item.name)]
        return [self._preview(name, take_over=take_over, simulate=simulate) for name in names]

    def _preview(self, name: str, *, take_over: bool, simulate: bool = False) -> backend.Preview:
        if name in self.away:
            return backend.Preview(name, error=self.away[name])
        plan = result.Plan(name, "preview", drifts=() if take_over else (drift(),))
        return backend.Preview(name, plan_text.as_data(plan, self.tried if simulate else None))

    def plans(self, node: str = "", state: str = "") -> list[backend.PlanRow]:
        rows = [_row(plan, held) for plan, held in reversed(self.made.values())]
        return [row for row in rows if node in ("", row.node) and state in ("", row.state)]

    def plan(self, hash: str) -> dict[str, Any]:
        plan, state = _named(self.made, hash, "plan")
        return plan_text.as_data(plan) | {"state": state}

    def approve(self, hash: str, *, by: str) -> backend.Operation:
        plan, state = _named(self.made, hash, "plan")
        if state != "waiting":
            raise errors.Rejected(f"plan {hash} is {state}")
        return self._operation([self._carry_out(plan, by)], by)

    def reject(self, hash: str, reason: str, *, by: str) -> backend.PlanRow:
        self.log.append((f"reject {reason}", by))
        self.made[hash] = (self.made[hash][0], "rejected")
        return _row(*self.made[hash])

    def runs(self, node: str = "") -> list[dict[str, Any]]:
        rows = [{name: value for name, value in run.items() if name != "events"} for run in self.done.values()]
        return [row for row in reversed(rows) if node in ("", row["node"])]

    def run(self, id: str) -> dict[str, Any]:
        return _named(self.done, id, "run")

    def preview_undo(self, run: str) -> dict[str, Any]:
        return plan_text.as_data(self._way_back(run))

    def undo(self, run: str, *, approved: str, by: str) -> backend.Operation:
        plan = self._way_back(run)
        if plan.hash != approved:
            raise errors.Void(f"the way back is {plan.hash} now, approved was {approved}")
        return self._operation([self._carry_out(plan, by)], by)

    def _way_back(self, run: str) -> result.Plan:
        return result.Plan(self.done[run]["node"], f"undo {run}")

    # --- the library ---

    def roms(self) -> list[backend.RomRow]:
        return list(self.library.values())

    def rom(self, id: str) -> backend.RomDetail:
        return _named(self.library, id, "ROM")

    def rom_content(self, id: str) -> bytes:
        return self.files.read(_named(self.library, id, "ROM").sha256)

    def receive(self) -> blobs.Incoming:
        return self.files.begin(UPLOAD)

    def push(self, ask: backend.RomAsk, received: blobs.Incoming | None, *, by: str) -> backend.Operation:
        self.pushed.append(ask)
        sha256 = received.keep() if received else ask.sha256
        row = (
            "key",
            "input",
            "kept",
            sha256,
            received.size if received else 0,
            ask.name,
            by,
            ask.devices,
            (),
            ask.board,
        )
        self.library[sha256] = backend.RomDetail(*row, None, "", 1.0)
        operation = dataclasses.replace(self._operation([backend.Share("", "done")], by), rom=sha256)
        self.ops[operation.id] = operation
        return operation

    def collect_roms(self, *, dry_run: bool, days: int) -> list[backend.RomLeft]:
        self.log.append((f"collect {dry_run} {days}", ""))
        return [backend.RomLeft(row.kind, row.sha256, row.name, row.size, "", not dry_run) for row in self.roms()]

    # --- control ---

    def pause(self, reason: str, *, by: str) -> None:
        self.paused = reason or f"by {by}"

    def resume(self, *, by: str) -> None:
        self.log.append(("resume", by))
        self.paused = ""

    def resume_node(self, node: str, *, by: str) -> None:
        self.log.append(("resume", node, by))

    def status(self) -> dict[str, Any]:
        self.fail()
        paused = {"reason": self.paused, "by": "x", "at": 1.0} if self.paused else None
        idle: dict[str, Any] = {"fleet_drift": None, "under_way": {}, "open_operations": [], "next_looks": {}}
        return {"fleet": "f", "paused": paused, "nodes": {"unknown": len(self._nodes())}} | idle

    def ready(self) -> dict[str, str]:
        return self.parts

    def events(self, after: int = 0) -> Iterator[backend.Event | None]:
        assert after == 0, "the feed reads everything"
        while (event := self._next()) is None or event.seq:
            yield event

    def _next(self) -> backend.Event | None:
        try:
            return self.waiting.get(timeout=0.05)
        except queue.Empty:
            return None

    def tell(self, kind: str, node: str = "pve1", data: Mapping[str, Any] | None = None) -> int:
        seq = next(self._seq)
        self.waiting.put(backend.Event(seq, time.time(), kind, node, data or {}))
        return seq

    def end(self) -> None:
        """Its events end."""
        self.waiting.put(backend.Event(0, 0, "", "", {}))


def _named(among: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in among:
        raise errors.Rejected(f"there is no {what} {name!r}")
    return among[name]


def drift() -> model.Drift:
    return model.Drift(
        "host/modules/vfio",
        "vfio",
        None,
        model.Level.PERSISTED,
        model.Impact.HOST_REBOOT,
        "Node/pve1",
        "needed for hostpci",
    )


def _row(plan: result.Plan, state: str) -> backend.PlanRow:
    return backend.PlanRow(plan.hash, plan.node, state, plan.impact.value, result.summary(plan), 1.0)


class Api:
    """The running server, its daemon, and clients."""

    def __init__(self, daemon: FakeDaemon, running: server.Server, source: feed.Feed) -> None:
        self.daemon, self.url, self.feed, self.server = daemon, running.url, source, running
        self._clients = [
            httpx.Client(base_url=self.url, headers=self.headers(scope), timeout=10) for scope in auth.Scope
        ]
        self.viewer, self.operator, self.approver, self.admin = self._clients

    @staticmethod
    def headers(scope: auth.Scope | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {SECRETS[scope]}"} if scope else {}

    def provision(self, **query: str) -> httpx.Response:
        text = (resources.examples_dir() / "minimal.yaml").read_text()
        headers = {"Content-Type": "application/yaml"}
        return self.approver.post("/v1/documents", content=text, params=query, headers=headers)

    def close(self) -> None:
        for client in self._clients:
            client.close()


def known(sha256: str) -> auth.Known | None:
    return next(
        (auth.Known(scope.word, scope, sha256) for scope, secret in SECRETS.items() if auth.digest(secret) == sha256),
        None,
    )


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> FakeDaemon:
    return FakeDaemon(tmp_path)


@pytest.fixture
def api(daemon: FakeDaemon) -> Iterator[Api]:
    source = feed.Feed(daemon.events, LIFE, kept=8, behind=4)
    made = app.make(app.Service(daemon, auth.Gate(known), source, time.time))
    running = server.Server(made, server.Listen("127.0.0.1", 0), ending=source.stop)
    running.start()
    found = Api(daemon, running, source)
    try:
        yield found
    finally:
        found.close()
        running.stop()
        daemon.end()
        assert not running.alive
