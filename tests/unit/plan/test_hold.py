"""What holds one VM holds that VM and what exists for it alone; what holds the node holds everything."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from transom import model
from transom.plan import actions as acts
from transom.plan import guest_actions, hold, make, result
from transom.spec import wish

SHA = "a" * 64
ROM = wish.RomWish("igd", "/roms/igd.rom", SHA, "Rom/igd")
GPU = wish.DeviceWish("igpu", "8086:9bc8", mapping="igpu")


def document(vmid: int) -> str:
    return f"VirtualMachine/vm-{vmid}"


def vm(vmid: int, memory: int = 2048, **more: object) -> wish.GuestWish:
    config = {"memory": wish.Want(str(memory), document(vmid)), "name": wish.Want(f"vm-{vmid}", document(vmid))}
    return dataclasses.replace(wish.GuestWish(f"vm-{vmid}", document(vmid), vmid, config), **more)


@pytest.fixture
def bare() -> wish.NodeWish:
    """A node with SSH for which nothing is wanted."""
    ssh = dict.fromkeys(("fingerprint", "ca", "ssh_host_key"), "")
    secret = wish.SecretRef(env="X")
    access = wish.Access(
        ("https://pve1:8006",), "t@pve!t", secret, ssh_host="pve1", ssh_port=22, ssh_user="root", ssh_key=secret, **ssh
    )
    return wish.NodeWish("pve1", "pve1", "Node/pve1", "home", access, {}, {}, ())


def lock(desk, *vmids: int, word: str = "backup") -> None:
    for vmid in vmids:
        text = desk.node.guests[vmid]
        desk.node.guests[vmid] = f"lock: {word}\n{text}"


def unlock(desk, *vmids: int) -> None:
    for vmid in vmids:
        desk.node.guests[vmid] = desk.node.guests[vmid].partition("\n")[2]


@pytest.mark.parametrize("locked", [set(some) for n in range(4) for some in itertools.combinations((101, 102, 103), n)])
def test_any_vms_that_are_locked_wait_and_the_others_do_not(desk, bare, locked):
    vmids = (101, 102, 103)
    desk.apply(dataclasses.replace(bare, guests=tuple(map(vm, vmids))))
    lock(desk, *locked)
    want = dataclasses.replace(bare, guests=tuple(vm(vmid, 4096) for vmid in vmids))
    plan = desk.plan(want)
    assert {action.vmid for action in plan.actions} == set(vmids) - locked
    assert {drift.path for drift in plan.drifts if drift.held} == {f"qemu/{vmid}/memory" for vmid in locked}
    assert set(plan.waits) == {document(vmid) for vmid in locked}
    assert plan.held is (locked == set(vmids))
    assert {entry.path for entry in plan.entries} == {f"qemu/{vmid}/memory" for vmid in set(vmids) - locked}
    if not plan.held:
        desk.apply(want)
    rest = desk.plan(want)
    assert rest.only(plan.waits)
    assert (rest.actions, rest.held) == ((), bool(locked))
    unlock(desk, *locked)
    if locked:
        assert {action.vmid for action in desk.plan(want).actions} == locked
        desk.apply(want)
    assert desk.plan(want).empty


def test_the_summary_and_the_impact_are_of_what_is_done(desk, bare):
    desk.apply(dataclasses.replace(bare, guests=(vm(101), vm(102))))
    desk.node.running = {101}
    lock(desk, 101)
    plan = desk.plan(dataclasses.replace(bare, guests=(vm(101, 4096), vm(102, 4096))))
    assert {drift.impact for drift in plan.drifts} == {model.Impact.LIVE, model.Impact.GUEST_RESTART}
    assert plan.impact is model.Impact.LIVE
    said = "pve1: 1 difference, 1 action, impact live; VirtualMachine/vm-101 is held by vm-locked"
    assert result.summary(plan) == said


def with_host(bare: wish.NodeWish, owner: str) -> wish.NodeWish:
    return dataclasses.replace(
        bare, host={"sysctl": (wish.Want("vm.nr_hugepages=4", owner),)}, guests=(vm(101, 4096), vm(102, 4096))
    )


def test_a_host_setting_for_others_goes_on_and_one_for_the_held_vm_holds_the_node(desk, bare):
    desk.apply(dataclasses.replace(bare, guests=(vm(101), vm(102))))
    lock(desk, 101)
    others = desk.plan(with_host(bare, "Node/pve1"))
    assert {type(action) for action in others.actions} == {acts.WriteFile, acts.RunStep, guest_actions.ChangeGuest}
    own = desk.plan(with_host(bare, f"{document(101)} (recipe igd 1)"))
    assert own.held_whole
    assert (own.actions, own.entries) == ((), ())
    desk.apply(with_host(bare, "Node/pve1"))
    settled = desk.plan(with_host(bare, f"{document(101)} (recipe igd 1)"))
    assert not settled.held_whole  # nothing of the host is to change any more


def test_a_reboot_waits_for_what_is_at_work_on_a_vm(desk, bare):
    desk.apply(dataclasses.replace(bare, guests=(vm(101), vm(102))))
    host = {"kernel_cmdline": (wish.Want("quiet2", "Node/pve1"),)}
    want = dataclasses.replace(bare, host=host, guests=(vm(101), vm(102, 4096)))
    lock(desk, 101)
    assert desk.plan(want).held_whole
    unlock(desk, 101)
    unfit = vm(101, config={"memory": wish.Want("much", document(101))})
    plan = desk.plan(dataclasses.replace(want, guests=(unfit, vm(102, 4096))))
    assert set(plan.waits) == {document(101)}
    assert any(isinstance(action, acts.Reboot) for action in plan.actions)


@pytest.mark.parametrize(("others", "placed"), [((), False), ((103,), True)])
def test_a_rom_goes_with_those_that_name_it(desk, bare, others, placed):
    vmids = (101, 102, *others)
    desk.apply(dataclasses.replace(bare, guests=tuple(map(vm, vmids))))
    lock(desk, 101)
    guests = (vm(101, rom=ROM), vm(102, 4096), *(vm(vmid, rom=ROM) for vmid in others))
    facts = dataclasses.replace(desk.node.facts(), rom_sources={ROM.file: SHA})
    plan = make.make(dataclasses.replace(bare, guests=guests), facts, desk.ledger)
    assert any(isinstance(action, acts.PlaceRom) for action in plan.actions) is placed
    (drift,) = [drift for drift in plan.drifts if drift.path.startswith("rom/")]
    assert drift.held is not placed


@pytest.mark.parametrize(("others", "made"), [((), False), ((102,), True)])
def test_a_mapping_goes_with_those_that_use_it(desk, bare, others, made):
    desk.apply(dataclasses.replace(bare, guests=(vm(101), vm(102))))
    lock(desk, 101)
    guests = tuple(vm(vmid, 4096, device=GPU if vmid in (101, *others) else None) for vmid in (101, 102))
    facts = dataclasses.replace(desk.node.facts(), mappings={}, packages={"pve-manager": "8.2.4"})
    want = dataclasses.replace(bare, devices={"igpu": GPU}, guests=guests)
    plan = make.make(want, facts, desk.ledger)
    assert plan.waits.keys() == {document(101)}
    assert any(isinstance(action, guest_actions.SetMapping) for action in plan.actions) is made
    unused = make.make(dataclasses.replace(want, guests=(vm(101), vm(102))), facts, desk.ledger)
    assert any(isinstance(action, guest_actions.SetMapping) for action in unused.actions)  # nobody's alone: the node's


def finding(*documents: str, holds: bool = True) -> model.Finding:
    return model.Finding("x", "y", "", "", model.Who.REPORT, (), holds, documents)


def test_the_same_finding_of_two_vms_holds_both_and_of_the_node_everything():
    (both,) = hold.merged([finding("a"), finding("b"), finding("a")])
    assert both.documents == ("a", "b")
    (whole,) = hold.merged([finding("a"), finding()])
    assert whole.documents == ()
    (noted,) = hold.merged([finding("a"), finding("b", holds=False)])
    assert noted.documents == ("a",)
