"""Breakers hold every write, whoever asks for it, and nothing but a person's word lifts them."""

from __future__ import annotations

from patience import settled, until
from transom import errors

BY = {"by": "eve"}


def kept(new_fleet, *names: str, **documents):
    fleet = new_fleet(*names)
    keeper = fleet.start()
    asked = keeper.provision([fleet.documents(**documents)], approve=True, key="", **BY)
    assert settled(keeper, asked).state == "done"
    return fleet, keeper


def trip(fleet, **more: float) -> None:
    """As a look leaves it that was judged by another node's limit."""
    data = {"nodes": 4, "newly_drifted": ["a", "b", "c"], "percent": 20, **more}
    fleet.keepers[-1][1].meta.put("fleet-drift", data)


def test_a_fleet_that_tripped_holds_nodes_whose_own_limit_is_wider(new_fleet):
    fleet, keeper = kept(new_fleet, mode="enforce", percent=100)
    trip(fleet)
    node = fleet.nodes["pve1"]
    node.set(100, memory="512")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.nodes()[0].state == "held")
    assert "more than 20 %" in keeper.nodes()[0].reason
    keeper.resume(**BY)
    until(lambda: node.get(100, "memory") == "2048")


def test_a_look_that_began_before_a_person_resumed_does_not_trip_it_afterwards(new_fleet):
    fleet, keeper = kept(new_fleet, mode="enforce")
    began = fleet.clock() - 1
    keeper.resume(**BY)
    trip(fleet, at=began)
    assert keeper.status()["fleet_drift"] is None
    fleet.nodes["pve1"].set(100, memory="512")
    keeper.scan("pve1", **BY)
    until(lambda: fleet.nodes["pve1"].get(100, "memory") == "2048")
    trip(fleet, at=fleet.clock() + 1)
    assert keeper.status()["fleet_drift"] == ["a", "b", "c"]


def test_a_fleet_that_tripped_holds_undo_and_release_too(new_fleet):
    fleet, keeper = kept(new_fleet)
    trip(fleet)
    asked = settled(keeper, keeper.release("vm-pve1", **BY))
    assert (asked.state, "fleet-drift" in asked.shares[0].reason) == ("held", True)
    assert len(keeper.runs()) == 1
    keeper.resume(**BY)
    settled(keeper, asked, "waiting")


def test_a_preview_that_takes_nothing_over_leaves_the_failed_plan_failed(new_fleet):
    fleet, keeper = kept(new_fleet, mode="enforce")
    node = fleet.nodes["pve1"]

    def refuse() -> None:
        raise errors.Rejected("PVE refused")

    node.before_update = refuse
    node.set(100, memory="512")
    keeper.scan("pve1", **BY)
    until(lambda: [plan.state for plan in keeper.plans()][:1] == ["failed"])
    before = keeper.plans()[0]
    keeper.preview((), "pve1", take_over=True)
    assert keeper.plans()[0] == before
