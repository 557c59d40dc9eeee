"""What people ask for, checked and written down before anything is done: the turn of each node concerned sees to it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterable, Sequence

from transom import errors
from transom.plan import make, policy, result
from transom.reconcile import backend, desk, orders, papers
from transom.spec import bundle, documents, problems, resolve, wish, within
from transom.store import records, store


class Asks:
    """Thread-safe. ``ring`` asks for a node's turn, ``followed`` is called when the documents have changed."""

    def __init__(
        self,
        kept: store.Store,
        sheets: papers.Papers,
        table: desk.Desk,
        *,
        now: Callable[[], float],
        nonce: Callable[[], str],
        ring: Callable[[str, str], None],
        followed: Callable[[], None],
    ) -> None:
        self._store = kept
        self._papers = sheets
        self._desk = table
        self._now = now
        self._nonce = nonce
        self._ring = ring
        self._followed = followed

    # --- documents ---

    def provision(self, texts: Sequence[backend.Text], *, approve: bool, key: str, by: str) -> records.Operation:
        """As ``Backend.provision``."""
        content = _fingerprint(texts, approve)
        if key and (found := self._store.operations.by_key(by, key)):
            return _same(found, content)
        operation = self._operation("provision", "", by, key or None, content)
        with self._papers.changing:
            own = self._papers.parse(texts)
            refuse_places(own, self._store.folder)
            shares = self._provisioned(operation, own, approve=approve)
            answer = self._store.operations.ask(operation, shares, [bundle.dump(item) for item in own])
        self._followed()
        self._ring_all([share.node for share in shares], "documents")
        return _same(answer, content)

    def _provisioned(
        self, operation: records.Operation, own: Sequence[bundle.Loaded], *, approve: bool
    ) -> list[records.Share]:
        """Of the nodes that ``own`` concern; of all when there are none, or when those stored did not fit together before."""
        before = {} if self._papers.misfit() else {node.name: _wanted(node) for node in self._papers.all()}
        nodes = resolve.resolve(self._papers.merged(own))
        concerned = [node.name for node in nodes if not own or _concerns(node, own, before)]
        wanted = {node.name: make.fingerprint(node) for node in nodes}
        shares = _shares(operation, concerned, approve=approve)
        return [dataclasses.replace(share, documents=wanted[share.node]) for share in shares]

    def release(self, name: str, by: str) -> records.Operation:
        return self._part("release", *self.leaving("release", name), by)

    def remove(self, name: str, confirm: str, plan: str, by: str) -> records.Operation:
        """``plan``: what was shown; only that is approved by the name then. Empty: the first that comes of it."""
        title = self._papers.title(name)
        if confirm != title.partition("/")[2]:
            raise errors.Rejected(f"the name to confirm is {title.partition('/')[2]!r}, not {confirm!r}")
        title, node = self.leaving("remove", name)
        if plan:
            self._named(self._desk.plan(plan), node, by)
        return self._part("remove", title, node, by, approve=not plan)

    def _named(self, shown: result.Plan, node: str | None, by: str) -> None:
        """The name was typed under this very plan. That does not cover a reboot of the node."""
        if shown.node != node:
            raise errors.Rejected(f"plan {shown.hash} is not of node {node}")
        if shown.actions and not shown.held and policy.cheaper_than_a_reboot(shown):
            self._desk.approve(shown, "remove", by, "the name was typed under this plan")

    def cancel(self, id: str, by: str) -> records.Operation:
        """Withdraw what has not begun. Rejected when it has ended or is none that can be withdrawn, Busy when it has begun."""
        found = self._store.operations.get(id)
        if found is None:
            raise errors.Rejected(f"there is no operation {id!r}", hint="transom status lists those that are open")
        if found.kind not in orders.KINDS:
            said = f"operation {id} is none that can be withdrawn: {found.kind} of {found.target or 'documents'}"
            raise errors.Rejected(said, hint="transom reject PLAN takes an approval back")
        rest = [share for share in self._store.operations.shares(id) if share.state not in records.ENDED]
        if not rest:
            raise errors.Rejected(f"operation {id} has ended already")
        for share in rest:
            self._desk.withdraw(share, found.kind, by)
            self._ring(share.node, f"{id} was withdrawn")
        return found

    def leaving(self, kind: str, name: str) -> tuple[str, str | None]:
        """The document's ``Kind/name``, and the node that it has something on. Rejected when it is none that can go this way,
        SpecError when others refer to it."""
        title = self._papers.title(name)
        if kind == "remove" and not title.startswith("VirtualMachine/"):
            raise errors.Rejected(f"{title} is no VM; there is nothing to delete", hint=f"transom release {name}")
        self._unneeded(title)
        return title, self._node_of(title)

    def _unneeded(self, title: str) -> None:
        """SpecError, with who they are, while other documents refer to it."""
        if users := self._papers.users(title):
            refer, them = ("refers", "it") if len(users) == 1 else ("refer", "them")
            raise errors.SpecError([f"{' and '.join(users)} {refer} to {title}: release {them} first"])
        self._papers.merged(without=self._papers.with_parts(title))

    def _part(self, kind: str, title: str, node: str | None, by: str, *, approve: bool = False) -> records.Operation:
        """The documents that go with it; at once when they have nothing on any node."""
        self.refuse_under_way(title)
        if node is None:
            operation = self.forget(kind, title, by)
            self._followed()
            self._ring_all([one.name for one in self._papers.all()], "documents")
            return operation
        operation = self._operation(kind, title, by)
        self._store.operations.ask(operation, _shares(operation, [node], approve=approve))
        self._ring(node, kind)
        return operation

    def refuse_under_way(self, title: str) -> None:
        """Rejected while the document is on its way out already."""
        for operation, _ in self._store.operations.open():
            if operation.kind in orders.KINDS and operation.target == title:
                raise errors.Rejected(
                    f"{operation.kind} of {title} is under way already: operation {operation.id}",
                    hint=f"transom cancel {operation.id} withdraws it, before it has begun",
                )

    def forget(self, kind: str, title: str, by: str) -> records.Operation:
        """Nothing on any node is left of the document: it goes, with those that make no sense without it."""
        operation = self._operation(kind, title, by)
        with self._papers.changing:
            titles = self._papers.with_parts(title)
            self._papers.merged(without=titles)  # once more: others may have been laid down since it was asked
            self._store.operations.ask(operation, (), drop=titles)
        return operation

    def _node_of(self, title: str) -> str | None:
        for node in self._papers.all():
            if title == node.document or title in {guest.document for guest in node.guests}:
                return node.name
        return None

    # --- plans and runs ---

    def approve(self, hash: str, by: str) -> records.Operation:
        """Rejected when the plan is not one that waits."""
        found = self._desk.approvable(hash)
        self._papers.need(found.node)
        new = self._operation("approve", hash, by)
        operation, shares = new, _shares(new, [found.node], plan=hash)
        if found.kind in orders.KINDS:  # what waits is an operation already, and goes on
            waiting = [asked for asked in self._desk.asked(found.node) if asked[1].plan == hash]
            if not waiting:
                raise errors.Rejected(f"plan {hash} is of a {found.kind} that has ended", hint="ask for it once more")
            operation = waiting[0][0]
            # queued: who follows it must not take it for waiting still
            shares = [dataclasses.replace(share, state=records.QUEUED, reason="") for _, share in waiting]
        fresh = operation if operation is new else None
        self._desk.approve_for(self._desk.plan(hash), by, operation=fresh, shares=shares)
        self._ring(found.node, "approved")
        return operation

    def undo(self, run: str, approved: str, by: str) -> records.Operation:
        found = self._store.run(run)
        if found is None:
            raise errors.Rejected(f"there is no run {run!r}", hint="transom run ls lists them")
        self._papers.need(found.node)
        self._desk.plan(approved)
        operation = self._operation("undo", run, by)
        self._store.operations.ask(operation, _shares(operation, [found.node], plan=approved))
        self._ring(found.node, "undo")
        return operation

    # --- below ---

    def _operation(
        self, kind: str, target: str, by: str, key: str | None = None, content: str = ""
    ) -> records.Operation:
        return records.Operation(f"op-{self._nonce()[:16]}", kind, target, by, self._now(), key, content)

    def _ring_all(self, nodes: Iterable[str], reason: str) -> None:
        for node in nodes:
            self._ring(node, reason)


def _same(found: records.Operation, content: str) -> records.Operation:
    if found.content != content:
        raise errors.Rejected(
            f"the Idempotency-Key came with other content before (operation {found.id})", hint="use a new key"
        )
    return found


def _fingerprint(texts: Sequence[backend.Text], approve: bool) -> str:
    said = [[text.name, text.text] for text in texts]
    return hashlib.sha256(json.dumps([said, approve]).encode()).hexdigest()


def _shares(
    operation: records.Operation, nodes: Iterable[str], *, approve: bool = False, plan: str = ""
) -> list[records.Share]:
    return [records.Share(operation.id, node, at, plan=plan, approve=approve) for at, node in enumerate(nodes, 1)]


def _wanted(node: wish.NodeWish) -> tuple[str, wish.PolicyWish]:
    """All that a turn of the node goes by: what it is to be, and how it is kept so."""
    return make.fingerprint(node), node.policy


def _concerns(
    node: wish.NodeWish, own: Sequence[bundle.Loaded], before: dict[str, tuple[str, wish.PolicyWish]]
) -> bool:
    """Whether the documents name the node or one of its VMs, or change what is wanted of it."""
    titles = {item.title for item in own}
    named = titles & {node.document, *(guest.document for guest in node.guests)}
    return bool(named) or before.get(node.name) != _wanted(node)


def refuse_places(own: Sequence[bundle.Loaded], state: pathlib.Path) -> None:
    """Paths that the daemon must not follow. SpecError with all of them."""
    found = [(item, parts, path) for item in own for parts, path in _paths(item.document)]
    wrong = [
        item.problem(parts, f"{path!r} {_wrong(path, state)}") for item, parts, path in found if _wrong(path, state)
    ]
    if wrong:
        raise errors.SpecError(wrong)


def _wrong(path: str, state: pathlib.Path) -> str:
    """Why not; empty when nothing speaks against it. A path that came without a folder to start from would be looked for wherever
    the daemon was started; in the state folder lie the token of the daemon's own user and everything that it keeps."""
    if not path.startswith("/"):
        return "is a relative path, and where from is not known here; give an absolute one"
    if pathlib.Path(path).resolve().is_relative_to(state.resolve()):
        return "is in the daemon's state folder, which no document reads from; keep the file elsewhere"
    return ""


def _paths(document: documents.Document) -> list[tuple[tuple[problems.Part, ...], str]]:
    found: list[tuple[tuple[problems.Part, ...], str | None]] = []
    if isinstance(document, documents.Rom):
        inputs = within.rom_inputs(document.spec)
        found = [(("spec", "file"), document.spec.file), *(((*path, "file"), one.file) for path, one in inputs)]
    elif isinstance(document, documents.Cluster):
        found = [
            (("spec", "api", "ca"), document.spec.api.ca),
            *(((*place, "file"), secret.file) for place, secret in document.spec.secrets().items()),
        ]
    return [(parts, path) for parts, path in found if path is not None]
