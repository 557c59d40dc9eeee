"""Documents that work by themselves: places that the daemon must not read from, and policies."""

from __future__ import annotations

import pytest

from patience import settled, until
from transom import errors
from transom.reconcile import backend

BY = {"by": "eve"}


@pytest.mark.parametrize("name", ["serve.token", "transom.db", "sub/../serve.token", "link"])
def test_no_document_reads_from_the_state_folder(new_fleet, name):
    fleet = new_fleet()
    keeper = fleet.start()
    state = fleet.folder / "state"
    (fleet.folder / "link").symlink_to(state / "serve.token")
    path = fleet.folder / "link" if name == "link" else state / name
    text = backend.Text("f.yaml", fleet.documents().text.replace("{env: TOKEN}", f"{{file: {path}}}"))
    for ask in (
        lambda: keeper.preview([text]),
        lambda: keeper.provision([text], approve=False, key="", **BY),
    ):
        with pytest.raises(errors.SpecError, match="in the daemon's state folder"):
            ask()
    assert keeper.documents() == []


def test_a_policy_concerns_the_nodes_that_it_keeps(new_fleet):
    fleet = new_fleet()
    keeper, node = fleet.start(), fleet.nodes["pve1"]
    asked = keeper.provision([fleet.documents()], approve=True, key="", **BY)
    assert settled(keeper, asked).state == "done"
    node.set(100, memory="512")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.nodes()[0].state == "drifted")
    policy = fleet.documents(mode="enforce").text.rpartition("---\n")[2]
    assert keeper.reserved([backend.Text("p.yaml", policy)]) == ("Policy/all says what is changed unasked",)
    asked = keeper.provision([backend.Text("p.yaml", policy)], approve=False, key="", by="boss")
    assert [share.node for share in settled(keeper, asked, "done").shares] == ["pve1"]
    assert node.get(100, "memory") == "2048"
