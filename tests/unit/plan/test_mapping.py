"""PCI mappings: made, used, put right after the hardware moved; other nodes' entries and other people's stay."""

from __future__ import annotations

import dataclasses

import pytest

from transom import model
from transom.plan import guest_actions, make, mapping
from transom.spec import wish

DEVICE = wish.DeviceWish("igpu", "8086:9bc8", "1849:9bc8", mapping="igpu")
RIGHT = "node=pve1,path=0000:00:02.0,id=8086:9bc8,iommugroup=2,subsystem-id=1849:9bc8"
OTHER = "node=pve2,path=0000:00:02.0,id=8086:3e92,iommugroup=1"


def facts(desk, *entries: str, checks: tuple[str, ...] = (), version: str = "8.4.1", address: str = "0000:00:02.0"):
    seen = desk.node.facts()
    pci = tuple(
        dataclasses.replace(dev, iommu_group=2, address=address) if dev.id == "8086:9bc8" else dev for dev in seen.pci
    )
    maps = {"igpu": model.PciMapping("igpu", entries, "d1", checks)} if entries else {}
    return dataclasses.replace(
        seen, pci=pci, mappings=maps, packages={"pve-manager": version, "pve-qemu-kvm": "9.2.0-1"}
    )


def wanted() -> wish.NodeWish:
    nowhere = wish.Access((), "", wish.SecretRef(), "", "", "", 22, "root", wish.SecretRef(env="X"), "")
    guest = wish.GuestWish("vm", "VirtualMachine/vm", 112, {"memory": wish.Want("512", "d")}, DEVICE, {"rombar": "0"})
    return wish.NodeWish("n1", "pve1", "Node/n1", "home", nowhere, {}, {"igpu": DEVICE}, (guest,))


def plan(seen: model.Facts, ledger=None, want: wish.NodeWish | None = None):
    return make.make(want or wanted(), seen, ledger or {})


def test_one_that_is_not_there_is_made_and_used(desk):
    made, created = plan(facts(desk)).actions
    assert made == guest_actions.SetMapping("igpu", "", (), RIGHT, None)
    assert isinstance(created, guest_actions.CreateGuest)
    assert created.api["hostpci0"] == "mapping=igpu,rombar=0"
    assert "hostpci0" not in created.root


def test_the_node_is_added_to_one_of_others(desk):
    made = plan(facts(desk, OTHER)).actions[0]
    assert made == guest_actions.SetMapping("igpu", "d1", (OTHER,), RIGHT, None)
    assert made.entries == (OTHER, RIGHT)


def test_after_a_renumbering_this_nodes_entry_is_put_right(desk):
    old = RIGHT.replace("00:02.0", "03:00.0").replace("iommugroup=2", "iommugroup=17") + ",description=mine"
    made = plan(facts(desk, old, OTHER)).actions[0]
    assert made == guest_actions.SetMapping("igpu", "d1", (OTHER,), f"{RIGHT},description=mine", old)


def test_the_same_in_another_spelling_is_no_drift(desk):
    spelled = "subsystem-id=1849:9BC8,id=8086:9BC8,iommugroup=2,description=x,path=0000:00:02.0,node=pve1"
    found = plan(facts(desk, spelled))
    assert [noop.reason for noop in found.noops if noop.path == "mapping/igpu"] == ["names 0000:00:02.0"]
    assert not [action for action in found.actions if isinstance(action, guest_actions.SetMapping)]


def test_what_pve_finds_wrong_is_told(desk):
    found = plan(facts(desk, RIGHT, checks=("Invalid configuration: x",)))
    (finding,) = [one for one in found.findings if one.id == "mapping-invalid"]
    assert (finding.holds, finding.documents) == (True, ("VirtualMachine/vm",))


@pytest.mark.parametrize(
    ("seen", "id"),
    [
        ({"version": "7.3-3"}, "no-mappings"),
        ({"entries": (RIGHT, RIGHT.replace("02.0", "02.1"))}, "mapping-several"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(desk, seen, id):
    found = plan(facts(desk, *seen.pop("entries", ()), **seen))
    assert id in {one.id for one in found.findings if one.holds}
    assert found.actions == ()


def test_mappings_that_could_not_be_read_hold(desk):
    found = plan(dataclasses.replace(facts(desk), mappings=model.Unknown("no answer")))
    assert "cannot-read" in {one.id for one in found.findings if one.holds}


def ours(before: str | None) -> dict[str, model.Entry]:
    return {"mapping/igpu": model.Entry("n1", "mapping/igpu", before, RIGHT, "Node/n1", "r")}


NOBODY = dataclasses.replace(wanted(), devices={}, guests=())


@pytest.mark.parametrize("before", [None, OTHER.replace("pve2", "pve1")])
def test_what_no_document_wants_any_more_goes_back(desk, before):
    found = plan(facts(desk, RIGHT, OTHER), ours(before), NOBODY)
    assert found.actions == (guest_actions.SetMapping("igpu", "d1", (OTHER,), before, RIGHT),)
    assert found.forgets == ("mapping/igpu",)


def test_what_a_vm_names_or_a_person_changed_stays(desk):
    changed = RIGHT.replace("00:02.0", "00:03.0")
    assert plan(facts(desk, changed), ours(None), NOBODY).actions == ()
    desk.node.guests[120] = "hostpci0: mapping=igpu\n"
    found = plan(facts(desk, RIGHT), ours(None), NOBODY)
    assert found.actions == ()
    assert found.forgets == ()


def test_it_can_be_typed():
    one = guest_actions.SetMapping("igpu", "d", (OTHER,), RIGHT, None)
    assert one.shell() == (f"pvesh set /cluster/mapping/pci/igpu --map {OTHER} --map {RIGHT}",)
    alone = guest_actions.SetMapping("igpu", "", (), RIGHT, None)
    assert alone.undo_shell() == ("pvesh delete /cluster/mapping/pci/igpu",)
    assert mapping.same(RIGHT, RIGHT + ",description=a")
