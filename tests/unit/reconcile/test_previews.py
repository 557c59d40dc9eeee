"""Previews write nothing: not on a node, and not into the store what nobody can approve."""

from __future__ import annotations

import json
import threading

import pytest

from patience import PATIENCE, settled
from transom import errors
from transom.reconcile import lease, observe

BY = {"by": "eve"}


def test_the_way_back_of_a_run_on_somebody_elses_node_is_not_looked_for(new_fleet):
    fleet = new_fleet()
    keeper, node = fleet.start(), fleet.nodes["pve1"]
    settled(keeper, keeper.provision([fleet.documents()], approve=True, key="", **BY), "done")
    theirs = json.dumps({"fleet": "other", "instance": "x", "life": "y", "generation": 1, "at": 1.0}).encode()
    node.files[lease.PATH] = theirs
    before = dict(node.files)
    with pytest.raises(errors.Rejected, match="another daemon holds this node"):
        keeper.preview_undo(keeper.runs()[0]["id"])
    assert node.files == before


def test_a_preview_of_other_documents_leaves_no_plan_behind(new_fleet):
    fleet = new_fleet()
    keeper = fleet.start()
    settled(keeper, keeper.provision([fleet.documents()], approve=False, key="", **BY))
    (shown,) = keeper.preview([fleet.documents(memory=3000)])
    assert shown.plan["actions"]
    with pytest.raises(errors.Rejected, match="there is no plan"):
        keeper.plan(shown.plan["hash"])


def test_nodes_are_previewed_at_once(new_fleet, monkeypatch):
    fleet = new_fleet("pve1", "pve2", "pve3")
    keeper = fleet.open()
    keeper.provision([fleet.documents()], approve=False, key="", **BY)
    together, seen = threading.Barrier(3, timeout=PATIENCE), observe.observe

    def waits(*args):
        together.wait()  # breaks when one is looked at after the other
        return seen(*args)

    monkeypatch.setattr(observe, "observe", waits)
    assert [one.node for one in keeper.preview(())] == ["pve1", "pve2", "pve3"]
