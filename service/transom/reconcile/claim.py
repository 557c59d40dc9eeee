"""Taking a node for one run when no daemon is at work: by the daemon's own rules, with a lease that tells the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from transom import errors
from transom.plan import result
from transom.reconcile import control, hub, lease, settings
from transom.reconcile import world as w
from transom.store import store


class Claim:
    """One life of this installation; its ``instance`` as in ``lease.Lease``."""

    def __init__(
        self,
        kept: store.Store,
        options: settings.Settings,
        *,
        instance: str,
        nonce: Callable[[], str],
        now: Callable[[], float],
    ) -> None:
        nobody = hub.Hub(now, keep=1)
        self._control = control.Control(kept, nobody, options, instance=instance, nonce=nonce, now=now)

    def find(self, host: w.Host) -> lease.Found:
        """The lease on the node, as it stands to us."""
        return lease.read(host, self._control.known())

    def take(self, host: w.Host) -> None:
        """Write a lease of ours. Rejected when the node is somebody else's; nothing is written then."""
        found = self.find(host)
        refuse(found)
        lease.write(host, self._control.next_mine(), found)

    def give_up(self, host: w.Host) -> None:
        """Nobody's node any more."""
        lease.give_up(host, self.find(host))


def refuse(found: lease.Found) -> None:
    """Rejected when the node is somebody else's."""
    if not found.mine:
        said = lease.finding(found)
        raise errors.Rejected(f"{said.summary}: nothing was changed", hint=_way_out(found, said.remedy))


def hold(plan: result.Plan, found: lease.Found) -> result.Plan:
    """The plan, held when it would change a node that is somebody else's."""
    if found.mine or (plan.empty and not plan.forgets):
        return plan
    said = dataclasses.replace(lease.finding(found), remedy=_way_out(found, lease.finding(found).remedy))
    gate = result.Gate(said.id, False, f"{said.id}: {said.summary}")
    return dataclasses.replace(
        plan, findings=(*plan.findings, said), gates=(*plan.gates, gate), actions=(), entries=(), forgets=()
    )


def _way_out(found: lease.Found, remedy: str) -> str:
    return (
        remedy if found.standing is lease.Standing.FOREIGN else f"{remedy.removesuffix('.')} (under `transom serve`)."
    )
