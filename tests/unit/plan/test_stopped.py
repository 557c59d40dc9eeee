"""A VM that a restart of ours left off is offered to be started, where it is known that nobody else left it so."""

from __future__ import annotations

import pytest

from transom import model
from transom.plan import guest_actions, stopped

DOWN = model.LeftStopped("run-1", "task qmstart: no such device")


def test_it_is_started_at_the_price_of_its_restart():
    draft = stopped.left(101, "VirtualMachine/win", DOWN, {})
    assert draft.actions == [guest_actions.StartGuest(101)]
    ((drift,), (found,)) = draft.drifts, draft.findings
    assert (drift.path, drift.impact) == ("qemu/101", model.Impact.GUEST_RESTART)
    assert (found.id, found.holds, found.who) == ("restart-left-stopped", False, model.Who.AUTO)
    assert "no such device" in found.summary


@pytest.mark.parametrize(
    ("one", "ha", "remedy"),
    [
        (model.LeftStopped("run-1", model.Unknown("595")), {}, "qm stop 101"),
        (DOWN, model.Unknown("no rights"), "qm stop 101"),
        (DOWN, {101: "started"}, "ha-manager status"),
    ],
)
def test_it_is_only_told_where_that_is_not_known_or_not_ours(one, ha, remedy):
    draft = stopped.left(101, "VirtualMachine/win", one, ha)
    assert (draft.actions, draft.drifts) == ([], [])
    assert remedy in draft.findings[0].remedy
