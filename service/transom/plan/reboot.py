"""What stands around a reboot, in the order in which it can work. Pure.

    try beforehand → keep what boots → change files and rebuild → empty the node → arm the way back
    → reboot → confirm → bring the guests back → change guests

A plan without a reboot is only tried beforehand. Plans of documents and plans of an undo both come through here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transom import model
from transom.plan import actions as acts
from transom.plan import drain, rehearsal, simulate, trial
from transom.spec import wish


def around(actions: Sequence[acts.Action], node: wish.NodeWish, facts: model.Facts) -> tuple[acts.Action, ...]:
    """``actions`` with what their reboot asks for; what comes after the reboot already, stays after all of that. A trial is a
    reboot too: the node is emptied before it, and stays so until the one that counts."""
    actions, tried = (*simulate.first(actions, node, facts), *actions), tuple(trial.first(actions, node, facts))
    at = next((number for number, action in enumerate(actions) if isinstance(action, acts.Reboot)), None)
    if at is None:
        return tuple(actions)
    changes, reboot, later = actions[:at], actions[at], actions[at + 1 :]
    simulated = [action for action in changes if isinstance(action, rehearsal.Simulate)]
    emptied = tuple(_emptied(node, facts))
    return (
        *simulated,
        *((*emptied, *tried) if tried else ()),
        *_first(changes, node, facts),
        *(action for action in changes if action not in simulated),
        *(() if tried else emptied),
        *_before(changes, node, facts),
        reboot,
        *_after(changes, node, facts),
        *later,
    )


def _emptied(node: wish.NodeWish, facts: model.Facts) -> Iterator[acts.Action]:
    if emptied := drain.steps(node, facts):
        yield emptied[0]


def _first(changes: Sequence[acts.Action], node: wish.NodeWish, facts: model.Facts) -> Iterator[acts.Action]:
    """Before anything on the node is changed."""
    del changes, node, facts
    yield from ()


def _before(changes: Sequence[acts.Action], node: wish.NodeWish, facts: model.Facts) -> Iterator[acts.Action]:
    """Right before the reboot, with everything on the node changed and rebuilt."""
    del changes, node, facts
    yield from ()


def _after(changes: Sequence[acts.Action], node: wish.NodeWish, facts: model.Facts) -> Iterator[acts.Action]:
    """Once another boot answers."""
    del changes
    if emptied := drain.steps(node, facts):
        yield emptied[1]
