"""Writing documents from what exists: look at nodes, let ``plan.adopt`` say it, fetch the option ROMs. Changes nothing anywhere."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from transom import errors, model
from transom.plan import actions as acts
from transom.plan import make
from transom.plan.adopt import find, settle, text
from transom.plan.adopt import sheet as sheets
from transom.plan.draft import Ledger
from transom.reconcile import observe
from transom.reconcile import world as w
from transom.spec import bundle, documents, loader, resolve, wish
from transom.ssh import files

Reach = Callable[[wish.NodeWish], AbstractContextManager[w.World]]


@dataclasses.dataclass(frozen=True)
class Place:
    """What to write down: these nodes whole (``vmid`` None), or one VM that is on one of them."""

    title: str
    nodes: tuple[wish.NodeWish, ...]
    vmid: int | None = None


@dataclasses.dataclass(frozen=True)
class Adopted:
    """``text``: the documents. ``roms``: file name beside them → bytes. ``said``: what was found, for people, one line each.
    ``rest``: what still keeps the next plan from being empty. ``failed``: nodes that could not be looked at."""

    text: str
    roms: Mapping[str, bytes]
    said: tuple[str, ...]
    rest: tuple[str, ...]
    failed: tuple[tuple[str, errors.TransomError], ...]


@dataclasses.dataclass(frozen=True)
class _Found:
    node: wish.NodeWish
    facts: model.Facts
    ledger: Ledger
    settled: settle.Settled
    roms: Mapping[str, bytes]

    @property
    def sheet(self) -> sheets.Sheet:
        return self.settled.sheet


def place(words: str, docs: bundle.Bundle) -> Place:
    """``NAME``, ``Cluster/NAME``, ``Node/NAME`` or a VMID. Rejected when it is none, or several things are called so."""
    wishes = resolve.resolve(docs)
    kind, slash, name = words.rpartition("/")
    clusters = docs.of(documents.Cluster)
    nodes = {node.name: node for node in wishes}
    as_cluster = name in clusters and kind in ("", "Cluster")
    as_node = name in nodes and kind in ("", "Node")
    if as_cluster and as_node:
        raise errors.Rejected(f"a Cluster and a Node are called {name!r}", hint=f"say Cluster/{name} or Node/{name}")
    if as_node:
        return Place(f"Node/{name}", (nodes[name],))
    if as_cluster:
        return Place(f"Cluster/{name}", tuple(node for node in wishes if node.cluster == name))
    if not slash and re.fullmatch(r"[1-9][0-9]{2,8}", words):
        return Place(f"VM {words}", wishes, int(words))
    known = ", ".join([*clusters, *nodes]) or "none"
    raise errors.Rejected(f"{words!r} is no VMID, and no document declares it", hint=f"declared are: {known}")


def adopt(
    where: Place, docs: bundle.Bundle, ledger: Callable[[str], Ledger], reach: Reach, *, file: str, folder: str
) -> Adopted:
    """The documents of ``where``, to be written to ``file`` in ``folder``. Errors of the nodes, when none could be looked at."""
    found: list[_Found] = []
    failed: list[tuple[str, errors.TransomError]] = []
    for node in where.nodes:
        try:
            with reach(node) as world:
                one = _look(node, world, docs, ledger(node.name), where.vmid)
        except errors.TransomError as error:
            failed.append((node.name, error))
            continue
        if one is not None:
            found.append(one)
            docs = _grown(docs, one)
    _judge(where, found, failed)
    return _written(where, found, failed, docs, file=file, folder=folder)


def _look(node: wish.NodeWish, world: w.World, docs: bundle.Bundle, ledger: Ledger, vmid: int | None) -> _Found | None:
    """None when the VM that is looked for is not on the node."""
    facts = observe.observe(world, node, every=True)
    item, _ = docs.of(documents.Node)[node.name]
    if vmid is not None and (isinstance(facts.guests, model.Unknown) or vmid not in facts.guests):
        return None
    sheet = find.find(item, docs, facts, node, vmids=None if vmid is None else {vmid}, host=vmid is None)
    if vmid is not None and not sheet.vms and not sheet.left:
        title = find.declared(node, facts.guests if not isinstance(facts.guests, model.Unknown) else {}).get(vmid)
        raise errors.Rejected(f"VM {vmid} is declared already: {title}", hint="transom plan shows how it stands")
    settled = settle.settle(sheet, docs, facts, ledger)
    return _Found(node, facts, ledger, settled, _fetch(settled.sheet, world))


def _fetch(sheet: sheets.Sheet, world: w.World) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for rom in sheet.named_roms:
        data = files.read(world.host, f"{acts.ROM_FOLDER}/{rom.filename}")
        if data is None or files.sha256(data) != rom.sha256:
            raise errors.Busy(f"{rom.filename} of {sheet.node.name} changed while it was read", hint="try again")
        found[rom.copy] = data
    return found


def _grown(docs: bundle.Bundle, one: _Found) -> bundle.Bundle:
    """The names that one node's documents take are not free for the next one's."""
    new = [bundle.from_plain({"document": plain, "file": "", "lines": {}}) for plain in one.sheet.documents()]
    return settle.merged(docs, new)


def _judge(where: Place, found: Sequence[_Found], failed: Sequence[tuple[str, errors.TransomError]]) -> None:
    if not found and failed:
        raise failed[0][1]
    if not found:
        raise errors.Rejected(f"{where.title} is on none of the nodes that documents declare")
    if where.vmid is not None and len(found) > 1:
        names = ", ".join(one.node.name for one in found)
        raise errors.Rejected(f"{where.title} is on several nodes: {names}", hint="give only the documents of one (-f)")


def _written(
    where: Place,
    found: Sequence[_Found],
    failed: Sequence[tuple[str, errors.TransomError]],
    docs: bundle.Bundle,
    *,
    file: str,
    folder: str,
) -> Adopted:
    named = {one.node.cluster for one in found}
    clusters = [item for name, (item, _) in docs.of(documents.Cluster).items() if name in named]
    parts = [text.header(clusters, where.title)]
    aside = [f"node {name} could not be looked at: {error}" for name, error in failed]
    for number, one in enumerate(found):
        facts = one.facts.guests
        known = {} if isinstance(facts, model.Unknown) or where.vmid else find.declared(one.node, facts)
        parts.append(text.node(one.sheet, known, [*(aside if number == 0 else []), *_unlooked(one, found, failed)]))
    whole = "".join(parts)
    rest = _checked(whole, found, docs, file=file, folder=folder)
    roms = {name: data for one in found for name, data in one.roms.items()}
    return Adopted(whole, roms, tuple(line for one in found for line in _said(one)), rest, tuple(failed))


def _unlooked(one: _Found, found: Sequence[_Found], failed: Sequence[tuple[str, errors.TransomError]]) -> list[str]:
    """The cluster's nodes that no document declares."""
    if isinstance(one.facts.elsewhere, model.Unknown):
        return []
    known = {other.node.pve_node for other in found} | {name for name, _ in failed}
    return [
        f"{name} of the same cluster was not looked at"
        for name in sorted(set(one.facts.elsewhere.values()) - known)
        if one is found[0]
    ]


def _checked(whole: str, found: Sequence[_Found], docs: bundle.Bundle, *, file: str, folder: str) -> tuple[str, ...]:
    """What the text itself, read again, leaves to do: the last word on whether the next plan is empty."""
    own = loader.parse(whole, file)
    wishes = {node.name: node for node in resolve.resolve(settle.merged(docs, own))}
    del folder
    rest = []
    for one in found:
        plan = make.make(wishes[one.node.name], one.facts, one.ledger)
        rest += [f"{one.node.name}: {drift.path}: {drift.why or 'differs'}" for drift in plan.drifts]
        rest += [f"{one.node.name}: {item.id}: {item.summary}" for item in plan.findings if item.holds]
    return tuple(rest)


def _said(one: _Found) -> list[str]:
    sheet = one.sheet
    items = [item for item in sheet.items if sheet.has(item.path)]
    names = ", ".join(f"{vm.vmid} as {vm.name}" for vm in sheet.kept) or "none"
    lines = [f"{one.node.name}: {len(items)} host settings, VMs: {names}"]
    return lines + [f"{one.node.name}: left out: {path}: {why}" for path, why in sorted(sheet.left.items())]
