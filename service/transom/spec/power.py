"""What other documents let happen unasked: how the policy of each node changes, and whether it may do more then. Pure."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence

from transom import model
from transom.spec import wish

_RANKS = ("observe", "propose", "enforce")


@dataclasses.dataclass(frozen=True)
class Change:
    """The same change of policy on one node or several."""

    was: wish.PolicyWish
    now: wish.PolicyWish
    nodes: tuple[str, ...]

    @property
    def more(self) -> bool:
        """Whether more may happen unasked. Other windows count as more: they let through at other times."""
        was, now = _rank(self.was), _rank(self.now)
        if was != now:
            return now > was
        if self.now.limits.fleet_drift_percent > self.was.limits.fleet_drift_percent:
            return True
        dearer = model.COST[self.now.limits.impact] > model.COST[self.was.limits.impact]
        return self.now.mode == "enforce" and (dearer or self.now.windows != self.was.windows)

    def __str__(self) -> str:
        who = self.now.document or "no policy"
        count = "1 node" if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        return f"{who} (mode {_said(self.was)} → {_said(self.now)}, {count}: {', '.join(self.nodes)})"


def changes(before: Sequence[wish.NodeWish], after: Iterable[wish.NodeWish]) -> list[Change]:
    """Of nodes that were declared before, by what changes. What is new on a node waits for approval in every mode."""
    stood = {node.name: node.policy for node in before}
    found: dict[tuple[wish.PolicyWish, wish.PolicyWish], list[str]] = collections.defaultdict(list)
    for node in after:
        was = stood.get(node.name)
        if was is not None and was != node.policy:
            found[was, node.policy].append(node.name)
    return [Change(was, now, tuple(names)) for (was, now), names in found.items()]


def _rank(policy: wish.PolicyWish) -> int:
    return _RANKS.index(policy.mode)


def _said(policy: wish.PolicyWish) -> str:
    return f"{policy.mode} up to {policy.limits.impact}" if policy.mode == "enforce" else policy.mode
