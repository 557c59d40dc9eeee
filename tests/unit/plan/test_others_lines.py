"""Lines of others that the next boot reads, and that would take from the host what it is reached by."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest

from transom import model, resources
from transom.plan import make
from transom.spec import loader, resolve, wish

NIC = model.PciDevice("0000:02:00.0", "10ec", "8168", "020000", driver="r8169")
WAY = model.Vital("the way to Transom", (NIC.address,), "ip route get", "192.0.2.5 dev vmbr0")
RULE = "line-takes-host-device"


@pytest.fixture
def want() -> wish.NodeWish:
    (node,) = resolve.resolve(loader.load([resources.recipes_dir().parent / "examples" / pathlib.Path("seed.yaml")]))
    return node


EARLY = "/etc/initramfs-tools/modules"


def holding(desk, want, name, text, **given):
    desk.node.write(f"/etc/modprobe.d/{name}", text)
    return gates(desk, want, **given)


def gates(desk, want, **given):
    desk.node.pci = (*desk.node.devices, NIC)
    facts = desk.node.facts()
    facts = dataclasses.replace(facts, standing=dataclasses.replace(facts.standing, links=(WAY,)))
    plan = make.make(want, facts, {}, **given)
    assert bool(plan.actions) is not bool(plan.held)
    return {gate.name for gate in plan.gates}


def test_a_line_that_is_not_in_effect_yet_holds_the_plan_that_brings_it_there(desk, want):
    line = "options vfio-pci ids=8086:9bc8,10ec:8168\nsoftdep r8169 pre: vfio-pci\n"
    assert holding(desk, want, "vfio.conf", line) == {RULE}
    calm = dataclasses.replace(want, host={"sysctl": (wish.Want("vm.nr_hugepages=2", want.document),)}, guests=())
    assert holding(desk, calm, "vfio.conf", line) == set()  # nothing is rebuilt for it
    assert holding(desk, want, "vfio.conf", "blacklist r8169\n") == {RULE}
    assert holding(desk, want, "vfio.conf", "blacklist r8125\n") == set()


def test_a_line_that_the_plan_takes_over_holds_nothing(desk, want):
    line = "options vfio-pci ids=10ec:8168\n"
    assert holding(desk, want, "zzz.conf", line) == {RULE, "foreign-contradiction"}
    assert holding(desk, want, "zzz.conf", line, take_over=True) == set()


def test_ids_that_the_initramfs_gives_vfio_pci_hold_the_plan_and_are_a_persons_to_change(desk, want):
    """modprobe puts them behind those of modprobe.d: with our line written the boot would still be theirs, or go either way."""
    desk.node.write(EARLY, "vfio\nvfio_pci ids=10de:1b81,10de:10f0\n")
    for take_over in (False, True):
        plan = desk.plan(want, take_over=take_over)
        (finding,) = (one for one in plan.findings if one.id == "foreign-contradiction")
        assert (finding.subject, finding.holds, plan.actions) == (f"{EARLY}:2", True, ())
        assert "does not edit" in finding.remedy
        assert "--take-over" not in finding.remedy
    desk.node.write(EARLY, "vfio\nvfio_pci ids=10ec:8168\n")
    assert gates(desk, want) == {RULE, "foreign-contradiction"}
    desk.node.write(EARLY, "vfio\nvfio_pci\n# vfio_pci ids=10ec:8168\n")
    assert gates(desk, want) == set()


def test_ids_that_the_initramfs_gives_as_well_are_written_all_the_same(desk, want):
    """It gives them only where nothing loads vfio-pci before."""
    desk.node.write(EARLY, "vfio_pci ids=8086:9bc8\n")
    desk.apply(want)
    assert "options vfio-pci ids=8086:9bc8" in desk.node.files["/etc/modprobe.d/zz-transom.conf"][0]
    assert desk.plan(want).actions == ()
