"""Release and remove: what is restored, what is deleted, and what never is."""

from __future__ import annotations

import pytest

from patience import settled, until
from transom import errors

BY = {"by": "eve"}


@pytest.fixture
def one(new_fleet):
    fleet = new_fleet("pve1", "pve2")
    keeper = fleet.start()
    asked = keeper.provision([fleet.documents()], approve=True, key="", **BY)
    assert settled(keeper, asked).state == "done"
    return fleet, keeper, fleet.nodes["pve1"]


def names(keeper) -> set[str]:
    return {f"{one['kind']}/{one['metadata']['name']}" for one in keeper.documents()}


def test_a_released_vm_stays_without_our_mark(one):
    _, keeper, node = one
    assert node.get(100, "tags") == "transom"
    asked = settled(keeper, keeper.release("vm-pve1", **BY))
    assert asked.state == "waiting"
    assert node.get(100, "tags") == "transom"
    with pytest.raises(errors.Rejected, match="under way already"):
        keeper.release("VirtualMachine/vm-pve1", **BY)
    keeper.approve(asked.shares[0].plan, **BY)
    assert settled(keeper, asked, "done").shares[0].run
    assert node.get(100, "tags") is None
    assert "transom" not in node.confs[100]
    assert node.get(100, "memory") == "2048"
    assert "VirtualMachine/vm-pve1" not in names(keeper)
    assert b"qemu/" not in node.files["/var/lib/transom/ledger.json"]
    until(lambda: keeper.nodes()[0].state == "as-declared")


def test_a_release_can_be_called_off(one):
    _, keeper, node = one
    asked = settled(keeper, keeper.release("vm-pve1", **BY))
    keeper.reject(asked.shares[0].plan, "no", **BY)
    assert keeper.operation(asked.id).state == "failed"
    assert "VirtualMachine/vm-pve1" in names(keeper)
    assert node.get(100, "tags") == "transom"


def test_while_a_release_waits_nothing_is_put_right_and_nothing_approved_for_another_hash(new_fleet):
    fleet = new_fleet()
    keeper = fleet.start()
    asked = keeper.provision([fleet.documents(mode="enforce")], approve=True, key="", **BY)
    settled(keeper, asked)
    node = fleet.nodes["pve1"]
    waiting = settled(keeper, keeper.release("vm-pve1", **BY))
    node.set(100, memory="512")
    keeper.approve(waiting.shares[0].plan, **BY)
    until(lambda: keeper.operation(waiting.id).shares[0].plan != waiting.shares[0].plan)
    assert keeper.operation(waiting.id).state == "waiting"
    assert node.get(100, "memory") == "512"
    assert node.get(100, "tags") == "transom"


def test_remove_asks_for_the_name_and_deletes_a_stopped_vm(one):
    _, keeper, node = one
    with pytest.raises(errors.Rejected, match="the name to confirm"):
        keeper.remove("vm-pve1", confirm="vm-pve2", **BY)
    with pytest.raises(errors.Rejected, match="no VM"):
        keeper.remove("Node/pve1", confirm="pve1", **BY)
    node.running.add(100)
    asked = settled(keeper, keeper.remove("vm-pve1", confirm="vm-pve1", **BY))
    assert asked.state == "held"
    assert "running" in asked.shares[0].reason
    node.running.clear()
    keeper.scan("pve1", **BY)
    # another plan than the first that came of it, and only that one was meant
    until(lambda: keeper.operation(asked.id).state == "waiting")
    keeper.approve(keeper.operation(asked.id).shares[0].plan, **BY)
    assert settled(keeper, asked, "done").shares[0].run
    assert node.confs == {}
    assert "VirtualMachine/vm-pve1" not in names(keeper)
    with pytest.raises(errors.Rejected, match="deleted a VM"):
        keeper.preview_undo(keeper.operation(asked.id).shares[0].run)


def test_a_typed_name_is_enough_when_nothing_stands_in_the_way(one):
    _, keeper, node = one
    asked = settled(keeper, keeper.remove("vm-pve1", confirm="vm-pve1", **BY))
    assert asked.state == "done"
    assert node.confs == {}


def test_a_preview_of_letting_go_names_what_goes_and_does_nothing(one):
    _, keeper, node = one
    node.set(
        100,
        scsi0="local-lvm:vm-100-disk-0,size=64G",
        ide2="local:iso/win.iso,media=cdrom",
        scsi1="local-lvm:vm-7-disk-0",
    )
    confs, writes = dict(node.confs), node.writes
    (found,) = keeper.preview_parting("remove", "vm-pve1")
    (step,) = [step for step in found.plan["actions"] if step["kind"] == "destroy-guest"]
    assert (step["vmid"], step["disks"]) == (100, ["scsi0 local-lvm:vm-100-disk-0 (64G)"])
    (found,) = keeper.preview_parting("release", "Node/pve1")
    assert [step["kind"] for step in found.plan["actions"]] == ["change-guest"]
    assert keeper.preview_parting("release", "Policy/all") == []
    with pytest.raises(errors.Rejected, match="no VM"):
        keeper.preview_parting("remove", "Node/pve1")
    with pytest.raises(errors.SpecError):
        keeper.preview_parting("release", "Cluster/home")
    node.running.add(100)
    (held,) = keeper.preview_parting("remove", "vm-pve1")
    assert held.plan["held"]
    node.broken = errors.Unreachable("no route")
    (away,) = keeper.preview_parting("remove", "vm-pve1")
    assert str(away.error) == "no route"
    assert (node.confs, node.writes, keeper.status()["open_operations"]) == (confs, writes, [])


def test_what_transom_did_not_make_is_not_deleted(new_fleet):
    fleet = new_fleet()
    keeper = fleet.start()
    node = fleet.nodes["pve1"]
    node.confs[100] = (
        "description: mine%0A%0Atransom%3A vm-pve1\ncores: 2\nmemory: 2048\nname: vm-pve1\ntags: transom\nvmgenid: g\n"
    )
    asked = keeper.provision([fleet.documents()], approve=True, key="", **BY)
    assert settled(keeper, asked).state == "done"
    asked = settled(keeper, keeper.remove("vm-pve1", confirm="vm-pve1", **BY))
    assert asked.state == "held"
    assert "did not make it" in asked.shares[0].reason
    assert 100 in node.confs


def test_a_vm_file_that_vanished_deletes_nothing(one):
    fleet, keeper, node = one
    text = fleet.documents()
    alone = type(text)("other.yaml", text.text.partition("---\n")[0])  # only the cluster is sent this time
    keeper.provision([alone], approve=True, key="", **BY)
    keeper.scan("", **BY)
    until(lambda: not keeper.status()["under_way"])
    assert "VirtualMachine/vm-pve1" in names(keeper)
    assert 100 in node.confs


def test_a_released_node_is_nobodys(one):
    _, keeper, node = one
    asked = settled(keeper, keeper.release("pve1", **BY))
    keeper.approve(asked.shares[0].plan, **BY)
    settled(keeper, asked, "done")
    assert [row.name for row in keeper.nodes()] == ["pve2"]
    assert "/var/lib/transom/lease.json" not in node.files
    assert 100 in node.confs
    looks = node.looks
    keeper.scan("", **BY)
    until(lambda: not keeper.status()["under_way"])
    assert node.looks == looks
    assert keeper.drift("pve1") == []


def test_a_document_without_a_node_goes_at_once_unless_others_refer_to_it(one):
    _, keeper, _ = one
    assert keeper.release("Policy/all", **BY).state == "done"
    assert "Policy/all" not in names(keeper)
    said = "Node/pve1 and Node/pve2 refer to Cluster/home: release them first"
    with pytest.raises(errors.SpecError, match=said):
        keeper.release("Cluster/home", **BY)
    with pytest.raises(errors.Rejected, match="no document"):
        keeper.release("nothing", **BY)


def test_a_removal_deletes_what_was_shown_and_nothing_else(one):
    _, keeper, node = one
    (shown,) = keeper.preview_parting("remove", "vm-pve1")
    node.set(100, scsi1="local-lvm:vm-100-disk-9,size=2T")
    asked = keeper.remove("vm-pve1", confirm="vm-pve1", plan=shown.plan["hash"], **BY)
    asked = settled(keeper, asked)
    assert (asked.state, 100 in node.confs) == ("waiting", True)
    keeper.reject(asked.shares[0].plan, "that disk is needed", **BY)
    node.confs[100] = node.confs[100].replace("scsi1: local-lvm:vm-100-disk-9,size=2T\n", "")
    until(lambda: not keeper.status()["under_way"])
    (shown,) = keeper.preview_parting("remove", "vm-pve1")
    asked = keeper.remove("vm-pve1", confirm="vm-pve1", plan=shown.plan["hash"], **BY)
    settled(keeper, asked, "done")
    assert node.confs == {}


def test_what_has_not_begun_can_be_withdrawn(one):
    _, keeper, node = one
    asked = settled(keeper, keeper.release("vm-pve1", **BY))
    (shown,) = keeper.operations()
    assert (shown.id, shown.kind, shown.target) == (asked.id, "release", "VirtualMachine/vm-pve1")
    plan = asked.shares[0].plan
    gone = keeper.cancel(asked.id, by="bob")
    assert (gone.state, gone.shares[0].reason) == ("failed", "withdrawn by bob")
    assert [row.state for row in keeper.plans() if row.hash == plan] == ["void"]
    with pytest.raises(errors.Rejected, match="void"):
        keeper.approve(plan, **BY)
    with pytest.raises(errors.Rejected, match="has ended already"):
        keeper.cancel(asked.id, **BY)
    with pytest.raises(errors.Rejected, match="no operation"):
        keeper.cancel("op-0", **BY)
    assert (keeper.operations(), node.get(100, "tags")) == ([], "transom")
    assert settled(keeper, keeper.release("vm-pve1", **BY)).state == "waiting"


def test_of_a_node_that_is_down_too(one):
    _, keeper, node = one
    node.broken = errors.Unreachable("no route")
    asked = keeper.release("pve1", **BY)
    until(lambda: keeper.operation(asked.id).shares[0].reason)
    with pytest.raises(errors.Rejected, match=f"transom cancel {asked.id}"):
        keeper.release("pve1", **BY)
    assert keeper.cancel(asked.id, **BY).state == "failed"
    node.broken = None
    keeper.scan("pve1", **BY)
    until(lambda: keeper.nodes()[0].state == "as-declared")
    assert "Node/pve1" in names(keeper)


def test_what_is_being_carried_out_cannot_be_withdrawn_nor_what_is_none(one):
    fleet, keeper, node = one
    refused = []

    def cancel() -> None:
        with pytest.raises(errors.Busy, match="being carried out") as caught:
            keeper.cancel(keeper.operations()[0].id, **BY)
        refused.append(caught.value)

    node.before_update = cancel
    asked = settled(keeper, keeper.release("vm-pve1", **BY))
    keeper.approve(asked.shares[0].plan, **BY)
    assert settled(keeper, asked, "done", "failed").state == "done"
    assert len(refused) == 1
    documents = keeper.provision([fleet.documents(memory=512)], approve=False, key="", **BY)
    with pytest.raises(errors.Rejected, match="none that can be withdrawn"):
        keeper.cancel(documents.id, **BY)


def test_the_typed_name_is_good_for_the_plan_that_was_shown(one):
    _, keeper, node = one
    (shown,) = keeper.preview_parting("remove", "vm-pve1")
    node.set(100, scsi0="local-lvm:vm-100-disk-9,size=4G")
    asked = keeper.remove("vm-pve1", confirm="vm-pve1", plan=shown.plan["hash"], **BY)
    asked = settled(keeper, asked)
    assert (asked.state, 100 in node.confs) == ("waiting", True)
    (row,) = keeper.plans(state="waiting")
    assert "DELETES VM 100 (vm-pve1) WITH ITS DISKS" in row.summary
    keeper.scan("pve1", **BY)  # nor is it in the next turn
    until(lambda: not keeper.status()["under_way"])
    assert (keeper.operation(asked.id).state, 100 in node.confs) == ("waiting", True)
    keeper.cancel(asked.id, **BY)
    (shown,) = keeper.preview_parting("remove", "vm-pve1")
    asked = keeper.remove("vm-pve1", confirm="vm-pve1", plan=shown.plan["hash"], **BY)
    assert settled(keeper, asked).state == "done"


def test_what_stood_about_a_node_goes_with_it(one):
    _, keeper, node = one
    node.set(100, memory="512")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.drift())
    stood = {row.key for row in keeper.drift()}
    asked = settled(keeper, keeper.release("pve1", **BY), "waiting")
    keeper.approve(asked.shares[0].plan, **BY)
    settled(keeper, asked, "done")
    until(lambda: not keeper.status()["under_way"])
    keeper._events.close()
    gone = {event.data["key"] for event in keeper.events() if event and event.kind == "drift.gone"}
    assert stood <= gone
    assert keeper.drift() == []


def test_after_an_undo_the_reason_names_it(new_fleet):
    fleet = new_fleet()
    keeper = fleet.start()
    settled(keeper, keeper.provision([fleet.documents(mode="enforce")], approve=True, key="", **BY))
    asked = keeper.provision([fleet.documents(mode="enforce", memory=4096)], approve=True, key="", **BY)
    run = settled(keeper, asked, "done").shares[0].run
    way = keeper.preview_undo(run)
    settled(keeper, keeper.undo(run, approved=way["hash"], **BY), "done")
    keeper.scan("pve1", **BY)
    until(lambda: keeper.nodes()[0].state == "waiting")
    assert keeper.nodes()[0].reason == f"run {run} was taken back by a person; it is not put there again unasked"
    assert fleet.nodes["pve1"].get(100, "memory") == "2048"
