"""What PVE made of a VM's wish goes into the ledger: its ids, its volumes. By them it is known later, whatever its id says."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from transom import model
from transom.guest import conf, identity
from transom.plan import actions as acts
from transom.plan import guest_actions, ledger_paths
from transom.reconcile import guests
from transom.reconcile import world as w
from transom.store import store


def from_guest(action: acts.Action, node: str, run: str, world: w.World, kept: store.Store) -> None:
    """Fills in the lines of this run that the step has made true: a VM's own, and those of disks that were to be made."""
    if not isinstance(action, guest_actions.CreateGuest | guest_actions.ChangeGuest):
        return
    left = list(_open(kept.ledger(node).values(), run, action.vmid))
    for vmid in sorted({vmid for vmid, _, _ in left}):
        found = guests.read(vmid, world)
        parsed = conf.parse(guests.text(found)) if found else None
        if parsed is None or (isinstance(action, guest_actions.CreateGuest) and identity.marked(parsed) != action.name):
            continue
        values = parsed.persisted()
        kept.put_ledger(
            dataclasses.replace(entry, applied=values.get(key) if key else identity.known_as(parsed))
            for one, key, entry in left
            if one == vmid
        )


def _open(entries: Iterable[model.Entry], run: str, vmid: int | None) -> Iterator[tuple[int, str, model.Entry]]:
    """VM id, key and line, of those that say of nothing yet what it became. ``vmid`` None: of any VM."""
    for entry in entries:
        about = ledger_paths.parse(entry.path)
        if entry.run != run or entry.applied is not None or not isinstance(about, ledger_paths.Guest):
            continue
        if about.vmid is not None and vmid in (None, about.vmid):
            yield about.vmid, about.key, entry
