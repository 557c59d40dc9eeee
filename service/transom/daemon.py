"""Puts everything together: the only place that builds adapters and hands out clock, sleep and randomness."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import getpass
import hashlib
import importlib.metadata
import logging
import os
import pathlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from transom import errors, model
from transom.plan import rehearsal, result
from transom.pve import client as pve
from transom.pve import tls
from transom.reconcile import (
    adopting,
    asks,
    backend,
    checkup,
    claim,
    desk,
    driftlog,
    good,
    hub,
    job,
    keeper,
    letting,
    library,
    locks,
    observe,
    papers,
    right_node,
    rollout,
    romdesk,
    settings,
    settings_file,
)
from transom.reconcile import pins as found_pins
from transom.reconcile import world as w
from transom.sandbox import run as sandbox
from transom.spec import bundle, loader, resolve
from transom.spec import wish as desired
from transom.ssh import client as ssh
from transom.ssh import line
from transom.store import records, store

log = logging.getLogger(__name__)
_APIS = pve.Connector()
"""Of the whole process: nodes of a cluster share a ticket, and its turns to write."""
_STARTED: collections.defaultdict[str, dict[int, w.Asked]] = collections.defaultdict(dict)
"""Of the whole process: what was read of a node's QEMUs, for the next look at it. Only a node's own turn touches its part."""


class Service:
    """What the commands call. ``say`` takes progress, one line each."""

    def __init__(self, folder: pathlib.Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        self.since = time.time()
        """When the command began."""
        self._store = store.open_store(folder)

    @functools.cached_property
    def _papers(self) -> papers.Papers:
        return papers.Papers(self._store)

    @functools.cached_property
    def _shelf(self) -> library.Library:
        return _library(self._store, settings_file.load(self._folder))

    @functools.cached_property
    def _roms(self) -> romdesk.RomDesk:
        """Without anybody who builds beside: what is asked for is done before the answer."""
        return romdesk.RomDesk(
            self._store,
            self._papers,
            self._desk,
            self._hub,
            self._shelf,
            now=time.time,
            nonce=_nonce,
            ring=lambda *_: None,
        )

    @functools.cached_property
    def _hub(self) -> hub.Hub:
        """Nobody listens."""
        return hub.Hub(time.time)

    @functools.cached_property
    def _desk(self) -> desk.Desk:
        return desk.Desk(self._store, self._hub, time.time)

    @functools.cached_property
    def _asks(self) -> asks.Asks:
        return asks.Asks(
            self._store,
            self._papers,
            self._desk,
            now=time.time,
            nonce=_nonce,
            ring=lambda *_: None,
            followed=lambda: None,
        )

    @functools.cached_property
    def _claim(self) -> claim.Claim:
        options = settings_file.load(self._folder)
        return claim.Claim(self._store, options, instance=_instance(self._folder), nonce=_nonce, now=time.time)

    def close(self) -> None:
        self._store.close()

    # --- documents ---

    def put(self, paths: Sequence[pathlib.Path]) -> None:
        """Check documents together with those stored, and store them. SpecError with every mistake; nothing is stored then."""
        own = loader.load(paths).own
        self._papers.merged(own)
        self._store.put_documents([bundle.dump(item) for item in own], time.time())

    def wishes(self, paths: Sequence[pathlib.Path] = ()) -> tuple[desired.NodeWish, ...]:
        """What the stored documents want, with those of ``paths`` laid over them (and not stored)."""
        over = loader.load(paths).own if paths else ()
        return resolve.resolve(self._papers.merged(over))

    def wish(self, name: str) -> desired.NodeWish:
        """Of one node; Rejected when no document declares it."""
        return self._papers.need(name)

    # --- nodes ---

    def facts(self, node: desired.NodeWish) -> model.Facts:
        with self._world(node) as world:
            return observe.observe(world)

    def last_good(self, node: desired.NodeWish, facts: model.Facts) -> good.LastGood:
        return good.last(self._store, node, facts)

    def check(self, node: desired.NodeWish) -> tuple[checkup.Check, ...]:
        """Each way to the node and each right that its documents need, tried out; writes nothing."""
        patience = line.Timeouts(answer=settings_file.load(self._folder).ssh_timeout)
        with contextlib.ExitStack() as open_ones:

            def api() -> pve.Pve:
                return open_ones.enter_context(_APIS.connect(node.access))

            return checkup.check(node, api, lambda: ssh.connect(node.access, timeouts=patience), time.time)

    def pve_version(self, node: desired.NodeWish) -> str:
        """Of Proxmox VE, as the node's API says."""
        with _APIS.connect(node.access) as api:
            return api.version()

    def propose(self, node: desired.NodeWish, *, take_over: bool = False) -> result.Plan:
        """Build the ROMs that are missing, observe and plan; writes nothing on the node. The plan is held when the node is somebody
        else's to change."""
        self._build_missing(node)
        with self._world(node) as world:
            plan = job.Job(node, world, self._store).propose(take_over=take_over)
            return claim.hold(plan, self._claim.find(world.host))

    def simulate(self, node: desired.NodeWish) -> tuple[result.Plan, rehearsal.Tried]:
        """As ``propose``, and the plan tried aside on the node. Busy while another process is at work there."""
        self._build_missing(node)
        with self._turn(node), self._world(node) as world:
            one = job.Job(node, world, self._store)
            plan = claim.hold(one.propose(), self._claim.find(world.host))
            self._say(f"{node.name}: trying the plan aside")
            return plan, one.try_aside(plan)

    def _build_missing(self, node: desired.NodeWish) -> None:
        """What cannot be built is a finding of the plan."""
        for rom in {guest.rom for guest in node.guests if guest.rom and guest.rom.build}:
            if self._shelf.result(rom).state != "built":
                self._say(f"{rom.document}: building the ROM")
                with contextlib.suppress(errors.TransomError):
                    self._shelf.build(rom, rom.document, self._tell())

    def _tell(self) -> library.Say:
        """Progress as lines, each once."""
        last = ""

        def say(told: library.Told) -> None:
            nonlocal last
            if told.text != last:
                last = told.text
                self._say(f"  {last}")

        return say

    def settle(self, node: desired.NodeWish) -> None:
        """Close the books on runs that were cut off; Busy while another process is at work on the node."""
        with self._turn(node), self._world(node) as world:
            if self._claim.find(world.host).mine:
                job.Job(node, world, self._store).settle()

    def resume(self, node: desired.NodeWish) -> str:
        """Let changes of a node that went back by itself be planned again; the run that it went back from. Rejected."""
        with self._turn(node), self._world(node) as world:
            self._take(world)
            return job.Job(node, world, self._store).resume()

    def apply(
        self, node: desired.NodeWish, *, approved: str, take_over: bool = False, approved_at: float | None = None
    ) -> str:
        """Carry out exactly the plan ``approved``; the run's id. Rejected when the node is somebody else's to change. A reboot
        that has failed since ``approved_at`` (now, by default) keeps others of its cluster from theirs."""
        since = time.time() if approved_at is None else approved_at
        with self._turn(node), self._world(node) as world:
            self._take(world)
            one = job.Job(node, world, self._store)
            one.may_reboot = lambda plan: rollout.refuse(self._store, node, self._papers.all(), plan, since=since)
            return one.apply(approved, take_over=take_over)

    # --- letting go ---

    @functools.cached_property
    def letting(self) -> letting.Letting:
        """Release and removal, done at once."""
        ways = letting.Ways(self._world, self._turn, self._take)
        log = driftlog.Log(self._store, self._hub)
        return letting.Letting(self._store, self._papers, self._asks, self._claim, log, ways, getpass.getuser())

    def cancel(self, operation: str) -> records.Operation:
        """Withdraw what a daemon left open and has not begun. Busy, Rejected."""
        found = self._store.operations.get(operation)
        cancel = self._roms.cancel if found and found.kind == romdesk.KIND else self._asks.cancel
        return cancel(operation, getpass.getuser())

    # --- the library ---

    def roms(self) -> list[backend.RomRow]:
        return self._roms.rows()

    def rom(self, id: str) -> backend.RomDetail:
        return self._roms.detail(id)

    def rom_content(self, id: str) -> bytes:
        return self._roms.content(id)

    def push_rom(self, ask: backend.RomAsk, file: pathlib.Path | None) -> backend.RomDetail:
        """Keep ``file``, or fetch what is asked for; build what is asked for. RomError, SandboxError, Unreachable, Rejected."""
        if file is None:
            return self._roms.push_now(ask, None, getpass.getuser(), self._tell())
        try:
            with file.open("rb") as stream, contextlib.ExitStack() as done:
                incoming = self._roms.receive()
                done.callback(incoming.drop)
                while piece := stream.read(1 << 20):
                    incoming.write(piece)
                return self._roms.push_now(ask, incoming, getpass.getuser(), self._tell())
        except OSError as error:
            raise errors.RomError(f"{file}: {error.strerror}") from error

    def collect_roms(self, *, dry_run: bool, days: int) -> list[backend.RomLeft]:
        return self._roms.collect(dry_run=dry_run, days=days)

    def adopt(
        self, words: str, paths: Sequence[pathlib.Path], out: pathlib.Path, *, only: str | None = None
    ) -> adopting.Adopted:
        """Write what exists at ``words`` (a Cluster, a Node, a VMID) to ``out`` as documents, and the option ROMs beside it.

        Nothing is stored, nothing changes on a node. Rejected when something is there already.
        """
        if out.exists() or out.is_symlink():
            raise errors.Rejected(f"{out} exists", hint="name another file; nothing is overwritten")
        docs = self._papers.merged(loader.load(paths).own if paths else ())
        where = adopting.place(words, docs)
        if only is not None:
            where = dataclasses.replace(where, nodes=tuple(node for node in where.nodes if node.name == only))
        done = adopting.adopt(where, docs, self._store.ledger, self._world, file=str(out), folder=str(out.parent))
        for name, data in done.roms.items():
            _new_file(out.parent / name, data)
        _new_file(out, done.text.encode())
        return done

    # --- runs ---

    def runs(self, node: str | None = None) -> list[records.Run]:
        return self._store.runs(node)

    def run(self, run_id: str) -> tuple[records.Run, list[records.Event]]:
        """A run with its journal; Rejected when there is no such run."""
        run = self._store.run(run_id)
        if run is None:
            raise errors.Rejected(f"there is no run {run_id!r}", hint="transom run ls lists them")
        return run, self._store.events(run_id)

    def propose_undo(self, run_id: str) -> result.Plan:
        run, _ = self.run(run_id)
        node = self.wish(run.node)
        with self._turn(node), self._world(node) as world:
            claim.refuse(self._claim.find(world.host))
            return job.Job(node, world, self._store).propose_undo(run)

    def undo(self, run_id: str, *, approved: str) -> str:
        run, _ = self.run(run_id)
        node = self.wish(run.node)
        with self._turn(node), self._world(node) as world:
            self._take(world)
            return job.Job(node, world, self._store).undo(run, approved)

    def _take(self, world: w.World) -> None:
        """The node is ours for this run. Busy when a daemon has begun to work on this state since the plan was shown."""
        if locks.is_held(self._folder / locks.DAEMON):
            raise errors.Busy(f"a daemon works on {self._folder} now", hint="the same command again goes through it")
        right_node.check(world)
        self._claim.take(world.host)

    def _turn(self, node: desired.NodeWish) -> contextlib.AbstractContextManager[None]:
        return locks.turn(self._folder, node.name)

    def _world(self, node: desired.NodeWish) -> contextlib.AbstractContextManager[w.World]:
        return reach(node, self._say, self._shelf, settings_file.load(self._folder))


def pins(nodes: Sequence[desired.NodeWish]) -> list[found_pins.Pin]:
    """What the documents of one cluster's ``nodes`` pin, beside what is shown now."""
    return list(found_pins.look(nodes, tls.shown, ssh.host_key))


@contextlib.contextmanager
def open_service(folder: pathlib.Path, *, say: Callable[[str], None]) -> Iterator[Service]:
    service = Service(folder, say)
    try:
        yield service
    finally:
        service.close()


@contextlib.contextmanager
def open_keeper(folder: pathlib.Path, options: settings.Settings | None = None) -> Iterator[keeper.Keeper]:
    """The daemon's heart on the state in ``folder``, at work until the block ends. Busy when another daemon has this folder."""
    kept = store.open_store(folder)
    try:
        with locks.hold(folder / locks.DAEMON, f"another daemon is at work on {folder}", "transom status asks it"):
            chosen = options or settings_file.load(folder)
            shelf = _library(kept, chosen)
            one = keeper.Keeper(
                kept,
                chosen,
                reach=lambda node: reach(node, lambda line: log.info("%s: %s", node.name, line), shelf, chosen),
                lock=lambda node: locks.turn(folder, node),
                shelf=shelf,
                instance=_instance(folder),
                now=time.time,
                nonce=_nonce,
            )
            one.start()
            try:
                yield one
            finally:
                for node in one.close():
                    log.warning("%s: its run has not ended in time; the next start goes on from what is there", node)
    finally:
        kept.close()


def _instance(folder: pathlib.Path) -> str:
    """This installation: the machine and this very folder. A copy of either is another one."""
    try:
        machine = pathlib.Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        machine = os.uname().nodename
    status = folder.stat()
    return hashlib.sha256(f"{machine} {status.st_dev} {status.st_ino} {folder.resolve()}".encode()).hexdigest()[:16]


def _library(kept: store.Store, options: settings.Settings) -> library.Library:
    """With the real sandbox; the tool's version is Transom's own."""
    limits = library.Limits(options.rom_upload, options.rom_inputs)
    return library.Library(
        kept, _sandboxed, tool=f"transom {importlib.metadata.version('transom')}", now=time.time, limits=limits
    )


def _sandboxed(
    inputs: tuple[library.Input, ...], more: Mapping[str, Any], on_stage: Callable[[str], None]
) -> sandbox.Answer:
    files = tuple(sandbox.Input(one.path, one.role, one.name) for one in inputs)
    return sandbox.run("build", files, more=dict(more), on_stage=on_stage)


@contextlib.contextmanager
def reach(
    node: desired.NodeWish, say: Callable[[str], None], shelf: library.Library, options: settings.Settings
) -> Iterator[w.World]:
    """Both sides of one node, connected. Unreachable, Denied."""
    shell = functools.partial(ssh.connect, node.access, timeouts=line.Timeouts(answer=options.ssh_timeout))
    api = _APIS.connect(node.access)
    try:
        world = w.World(
            node=node.pve_node,
            host=shell() if node.access.has_ssh else w.NoShell(node.name),
            api=api,
            connect=shell,
            now=time.time,
            sleep=time.sleep,
            nonce=_nonce,
            say=say,
            read=lambda path: _read(pathlib.Path(path)),
            root=api.root,
            built=shelf.result,
            started=_STARTED[node.name],
            confirm_within=options.confirm_within,
        )
        try:
            yield world
        finally:
            world.host.close()
    finally:
        api.close()


def _nonce() -> str:
    return secrets.token_hex(16)


def _new_file(path: pathlib.Path, data: bytes) -> None:
    """Never over another file; the same bytes may be there."""
    try:
        with path.open("xb") as handle:
            handle.write(data)
    except FileExistsError:
        if path.is_file() and path.read_bytes() == data:
            return
        raise errors.Rejected(f"{path} exists, with other content", hint="name a file in another folder") from None
    except OSError as error:
        raise errors.Rejected(f"cannot write {path}: {error.strerror}") from error


def _read(path: pathlib.Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise errors.Rejected(
            f"cannot read {path}: {error.strerror}", hint="the Rom document names this file"
        ) from error
