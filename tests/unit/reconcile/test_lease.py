"""Who may change a node: foreign fleets, restored and cloned stores, and one's own earlier life."""

from __future__ import annotations

import json
import shutil

import pytest

from patience import settled, until
from transom import errors
from transom.reconcile import lease

BY = {"by": "eve"}
PATH = lease.PATH
MINE = lease.Lease("f", "here", "life-2", 7, 1000.0)


@pytest.mark.parametrize(
    ("found", "standing"),
    [
        (None, lease.Standing.FREE),
        (lease.Lease("g", "there", "x", 1, 0.0), lease.Standing.FOREIGN),
        (lease.Lease("f", "here", "life-2", 7, 990.0), lease.Standing.OURS),
        (lease.Lease("f", "here", "life-1", 6, 999.0), lease.Standing.OURS),  # killed and started again
        (lease.Lease("f", "here", "life-1", 7, 0.0), lease.Standing.OTHER),  # the store was restored in its place
        (lease.Lease("f", "here", "life-x", 1, 0.0), lease.Standing.OTHER),  # the same, and it was started often since
        (lease.Lease("f", "here", "older", 0, 0.0), lease.Standing.OURS),  # from before lives were kept
        (lease.Lease("f", "there", "life-1", 6, 999.0), lease.Standing.OTHER),  # a copy at work
        (lease.Lease("f", "there", "life-1", 6, 899.0), lease.Standing.OURS),  # moved here, the old one is gone
        (lease.Lease("f", "there", "over", 6, 999.0), lease.Standing.OURS),  # a person has said so
        (lease.Lease("f", "there", "over", 8, 0.0), lease.Standing.OTHER),  # and it has gone on nevertheless
    ],
)
def test_what_a_lease_means(found, standing):
    lives = {"": 0, "life-1": 6, "over": 6}
    assert lease.judge(found, lease.Known(MINE, lives, 100, frozenset({"over"})))[0] is standing


def enforced(new_fleet, *names: str, **options):
    fleet = new_fleet(*names)
    keeper = fleet.start(**options)
    asked = keeper.provision([fleet.documents(mode="enforce")], approve=True, key="", **BY)
    assert settled(keeper, asked).state == "done"
    return fleet, keeper


def test_observing_writes_no_lease_and_changing_does(new_fleet):
    fleet = new_fleet()
    keeper = fleet.start()
    node = fleet.nodes["pve1"]
    asked = keeper.provision([fleet.documents()], approve=False, key="", **BY)
    assert settled(keeper, asked).state == "waiting"
    assert node.files == {}
    keeper.approve(keeper.operation(asked.id).shares[0].plan, **BY)
    settled(keeper, asked, "done")
    assert json.loads(node.files[PATH])["fleet"] == keeper.status()["fleet"]


@pytest.mark.parametrize("content", [b'{"fleet":"g","instance":"i","life":"l","generation":1,"at":0.0}', b"nonsense"])
def test_a_foreign_lease_is_left_alone_and_told(new_fleet, content):
    fleet, keeper = enforced(new_fleet)
    node = fleet.nodes["pve1"]
    node.files[PATH] = content
    node.set(100, memory="512")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.nodes()[0].state == "held")
    assert "lease-foreign /var/lib/transom/lease.json" in [row.key for row in keeper.drift()]
    assert (node.files[PATH], node.get(100, "memory")) == (content, "512")
    assert keeper.status()["paused"] is None  # the rest of the fleet goes on
    del node.files[PATH]
    keeper.scan("pve1", **BY)
    until(lambda: node.get(100, "memory") == "2048")


def test_a_kill_and_a_new_start_go_on(new_fleet):
    fleet, _ = enforced(new_fleet)
    fleet.stop()
    fleet.nodes["pve1"].set(100, memory="512")
    keeper = fleet.start()
    until(lambda: fleet.nodes["pve1"].get(100, "memory") == "2048")
    assert keeper.status()["paused"] is None


def test_a_restored_store_starts_paused_until_a_person_says_so(new_fleet):
    fleet, keeper = enforced(new_fleet)
    fleet.stop()
    shutil.copytree(fleet.folder / "state", fleet.folder / "backup")
    keeper = fleet.start()
    node = fleet.nodes["pve1"]
    node.set(100, memory="512")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.runs()[0]["kind"] == "enforce" and keeper.runs()[0]["state"] == "applied")
    fleet.stop()
    shutil.rmtree(fleet.folder / "state")
    shutil.move(fleet.folder / "backup", fleet.folder / "state")
    node.set(100, memory="512")
    node.broken = errors.Unreachable("the network is not up yet")
    for _ in range(3):  # each start once made the store seem newer
        fleet.start()
        fleet.stop()
    node.broken = None
    keeper = fleet.start()
    until(lambda: keeper.status()["paused"])
    assert "restored from a backup" in keeper.status()["paused"]["reason"]
    until(lambda: keeper.nodes()[0].state == "held")
    assert node.get(100, "memory") == "512"
    keeper.resume(**BY)
    until(lambda: node.get(100, "memory") == "2048")
    assert keeper.status()["paused"] is None


def test_a_clone_does_not_fight_and_after_resume_the_other_one_stands_back(new_fleet):
    fleet, first = enforced(new_fleet)
    node = fleet.nodes["pve1"]
    shutil.copytree(fleet.folder / "state", fleet.folder / "copy")
    second = fleet.start("copy")
    until(lambda: second.status()["paused"])
    assert "another installation" in second.status()["paused"]["reason"]
    second.resume(**BY)
    node.set(100, memory="512")
    second.scan("pve1", **BY)
    until(lambda: second.runs()[0]["kind"] == "enforce" and node.get(100, "memory") == "2048")
    node.set(100, memory="512")
    first.scan("pve1", **BY)
    until(lambda: first.status()["paused"])
    assert node.get(100, "memory") == "512"


def test_a_lease_of_ours_is_kept_fresh(new_fleet):
    fleet, keeper = enforced(new_fleet)
    node = fleet.nodes["pve1"]
    before = json.loads(node.files[PATH])
    fleet.clock.ahead = 600.0
    keeper.scan("pve1", **BY)
    until(lambda: json.loads(node.files[PATH])["at"] > before["at"] + 500)
    assert json.loads(node.files[PATH])["generation"] == before["generation"]
