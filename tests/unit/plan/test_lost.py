"""What the ledger knows to have been there, and is not any more: told with where it is, and never made anew, empty."""

from __future__ import annotations

import dataclasses
import re

import pytest

from transom import model
from transom.guest import conf
from transom.plan import guest_actions
from transom.spec import wish

NOWHERE = wish.Access((), "", wish.SecretRef(), "", "", "192.0.2.1", 22, "root", wish.SecretRef(env="X"), "")
SCSI = "local-lvm:32,ssd=1"


def vm(vmid: int | None, *, name: str = "win", **config: str) -> wish.GuestWish:
    document = f"VirtualMachine/{name}"
    wants = {key: wish.Want(value, document) for key, value in ({"memory": "2048", "name": name} | config).items()}
    return wish.GuestWish(name, document, vmid, wants)


def node_of(*guests: wish.GuestWish) -> wish.NodeWish:
    return wish.NodeWish("pve1", "pve1", "Node/pve1", "home", NOWHERE, {}, {}, guests)


def lose(desk, key: str, **more: str) -> str:
    """Takes a key out of VM 112; its volume."""
    values = conf.parse(desk.node.guests[112]).persisted()
    was = values.pop(key).partition(",")[0]
    desk.node.set_guest(112, {**values, **{name: text.format(was=was) for name, text in more.items()}})
    return was


def held(plan) -> dict[str, model.Finding]:
    return {one.id: one for one in plan.findings if one.holds}


@pytest.mark.parametrize("key", ["efidisk0", "scsi0", "tpmstate0"])
@pytest.mark.parametrize("moved", ["unused0", "virtio3", None])
def test_a_detached_disk_gets_no_empty_twin(desk, key, moved):
    want = node_of(vm(112, **{key: "local-lvm:4"}), vm(113, name="other"))
    desk.apply(want)
    was = lose(desk, key, **({moved: "{was}"} if moved else {}))
    desk.node.guests[113] = desk.node.guests[113].replace("2048", "512")
    plan = desk.plan(want)
    finding = held(plan)["vm-disk-detached"]
    assert [type(one).__name__ for one in plan.actions] == ["ChangeGuest"]  # the other VM goes on
    assert plan.actions[0].vmid == 113
    assert plan.waits.keys() == {"VirtualMachine/win"}
    assert f"qm set 112 --{key} {was}" in finding.remedy
    assert (f"is {moved} now" if moved else "not to be seen") in finding.summary
    assert (f"{moved}: {was}" in {one.says for one in finding.evidence}) == bool(moved)


def test_attached_again_it_goes_on(desk):
    want = node_of(vm(112, scsi0=SCSI))
    desk.apply(want)
    was = lose(desk, "scsi0", unused0="{was}")
    assert desk.plan(want).held
    values = conf.parse(desk.node.guests[112]).persisted()
    del values["unused0"]
    desk.node.set_guest(112, {**values, "scsi0": was})
    plan = desk.apply(want)
    assert plan.actions[0].wanted["scsi0"].startswith(f"{was},")
    assert desk.plan(want).empty


def test_a_disk_new_in_the_documents_is_made_whatever_lies_unused(desk):
    desk.apply(node_of(vm(112, scsi0=SCSI)))
    desk.node.guests[112] += "unused0: local-lvm:vm-112-disk-7\n"
    want = node_of(vm(112, scsi0=SCSI, scsi1="local-lvm:8"))
    (action,) = desk.apply(want).actions
    assert action.api == {"scsi1": "local-lvm:8"}
    assert desk.plan(want).empty


def test_a_disk_that_a_run_was_to_make_and_did_not_is_no_loss(desk):
    desk.apply(node_of(vm(112, scsi0=SCSI)))
    want = node_of(vm(112, scsi0=SCSI, scsi1="local-lvm:8"))
    desk.ledger |= {entry.path: entry for entry in desk.plan(want).entries}
    assert not desk.plan(want).held
    desk.apply(want)
    assert desk.plan(want).empty


def test_a_new_empty_one_comes_after_the_document_went_without(desk):
    want, less = node_of(vm(112, scsi0=SCSI)), node_of(vm(112))
    desk.apply(want)
    lose(desk, "scsi0", unused0="{was}")
    desk.apply(less)
    assert [type(one).__name__ for one in desk.apply(want).actions] == ["ChangeGuest"]
    assert desk.plan(want).empty


def test_a_pending_removal_is_taken_back_and_the_disk_stays_known(desk):
    want = node_of(vm(112, scsi0=SCSI))
    desk.apply(want)
    known = desk.ledger["qemu/112/scsi0"].applied
    desk.node.running.add(112)
    desk.node.guests[112] += "\n[PENDING]\ndelete: scsi0\n"
    plan = desk.plan(want)
    assert not plan.held
    assert plan.actions[0].revert.keys() == {"scsi0"}
    assert next(one for one in plan.entries if one.path == "qemu/112/scsi0").applied == known


def test_drives_without_data_come_back(desk):
    want = node_of(vm(112, ide2="local:iso/x.iso,media=cdrom", ide3="local-lvm:cloudinit"))
    desk.apply(want)
    for key in ("ide2", "ide3"):
        lose(desk, key)
    assert set(desk.plan(want).actions[0].api) == {"ide2", "ide3"}


def test_an_option_that_changes_leaves_the_volume_in_the_ledger(desk):
    desk.apply(node_of(vm(112, scsi0="local-lvm:32")))
    desk.apply(node_of(vm(112, scsi0=SCSI)))
    assert re.match(r"local-lvm:vm-112-disk-0,", desk.ledger["qemu/112/scsi0"].applied or "")


@pytest.mark.parametrize("vmid", [112, None])
def test_a_vm_that_was_made_and_is_gone_is_not_made_again(desk, vmid):
    desk.apply(node_of(vm(112, scsi0=SCSI), vm(113, name="other")))
    want = node_of(vm(vmid, scsi0=SCSI), vm(113, name="other"))
    assert desk.plan(want).empty
    del desk.node.guests[112]
    desk.node.guests[113] = desk.node.guests[113].replace("2048", "512")
    plan = desk.plan(want)
    finding = held(plan)["vm-gone"]
    assert not any(isinstance(one, guest_actions.CreateGuest) for one in plan.actions)
    assert [one.vmid for one in plan.actions] == [113]
    assert finding.subject == "VM 112"
    assert "transom release win" in finding.remedy
    assert any(one.says.startswith("scsi0: local-lvm:vm-112-disk-0") for one in finding.evidence)


def test_one_that_was_let_go_or_never_came_to_be_is_made(desk):
    want = node_of(vm(112, scsi0=SCSI))
    desk.ledger |= {entry.path: entry for entry in desk.plan(want).entries}  # a creation that was cut off
    assert isinstance(desk.apply(want).actions[0], guest_actions.CreateGuest)
    desk.node.guests.clear()
    desk.ledger.clear()  # as `rm` and `release` leave it
    assert isinstance(desk.plan(want).actions[0], guest_actions.CreateGuest)


def test_the_document_under_another_id_is_another_vm(desk):
    desk.apply(node_of(vm(112)))
    desk.node.guests.clear()
    assert isinstance(desk.plan(node_of(vm(120))).actions[0], guest_actions.CreateGuest)


def test_a_vm_that_was_taken_over_by_its_mark_is_held_too(desk):
    want = node_of(vm(112))
    desk.node.set_guest(112, {"memory": "512", "vmgenid": "11111111-0000-4000-8000-000000000002"})
    desk.apply(want, take_over=True)
    assert desk.ledger["qemu/112"] == dataclasses.replace(
        desk.ledger["qemu/112"], applied="11111111-0000-4000-8000-000000000002"
    )
    desk.node.guests.clear()
    assert "vm-gone" in held(desk.plan(want))
