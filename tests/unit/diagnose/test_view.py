"""What rules look at, and what becomes of a verdict."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

import pytest

from transom import model
from transom.diagnose import registry, rule, view
from transom.spec import wish

BASE = pathlib.Path(__file__).parents[2] / "golden" / "diagnose" / "base"
RULE = rule.Rule("some-rule", rule.Scope.NODE, ("/proc/cmdline",), model.Who.REPORT, "Do {this}.")


@pytest.fixture
def host(host_of: Callable[[pathlib.Path], view.Host]) -> view.Host:
    return host_of(BASE)


def only(host: view.Host, **changes: object) -> view.Guest:
    """The host's one declared VM, its wish changed."""
    changed = dataclasses.replace(host.wish.guests[0], **changes)
    return view.Host(host.facts, dataclasses.replace(host.wish, guests=(changed,)), host.leaving).guests[0]


def test_a_verdict_becomes_a_finding_with_its_remedy_filled_in() -> None:
    evidence = model.Evidence("/proc/cmdline", "x=1")
    found = rule.found("it is so", [evidence], this="that", holds=True)
    assert rule.finding(RULE, "node a", found) == model.Finding(
        "some-rule", "node a", "it is so", "Do that.", model.Who.REPORT, (evidence,), holds=True
    )
    assert rule.finding(RULE, "node a", rule.clear()) is None


def test_not_knowing_is_silent_unless_safety_rests_on_it() -> None:
    assert rule.finding(RULE, "node a", rule.cannot_tell("no rights")) is None
    finding = rule.finding(dataclasses.replace(RULE, safety=True), "node a", rule.cannot_tell("no rights"))
    assert finding is not None
    assert (finding.holds, finding.summary) == (True, "cannot tell: no rights")


def test_a_vm_is_judged_as_it_will_be_started(host: view.Host) -> None:
    config = host.guests[0].config
    assert isinstance(config, dict)
    assert config["hostpci0"] == "0000:00:02.0,legacy-igd=1,romfile=igd.rom"
    assert config["scsi0"] == "local-lvm:vm-112-disk-0,iothread=1,size=32G,ssd=1"
    assert config["cores"] == "6"


def test_a_key_that_the_plan_gives_back_is_judged_as_it_will_be(host: view.Host) -> None:
    leaving = {112: {"usb0": None, "cores": "4"}}
    config = view.Host(host.facts, host.wish, leaving).guests[0].config
    assert isinstance(config, dict)
    assert "usb0" not in config
    assert config["cores"] == "4"


def test_a_leftover_that_the_plan_removes_holds_nothing(host_of: Callable[[pathlib.Path], view.Host]) -> None:
    host = host_of(BASE.parent / "legacy-igd-two" / "fires-one-is-left-over")
    ids = {one.id for one in registry.run(host.facts, host.wish)}
    left = {one.id for one in registry.run(host.facts, host.wish, {112: {"hostpci1": None}})}
    assert ids - left == {"legacy-igd-two", "legacy-igd-address", "group-not-viable"}


def test_a_vm_without_an_id_is_found_by_its_mark(host: view.Host) -> None:
    text = "#transom%3A win11\nname: a\ntags: transom\n"
    facts = dataclasses.replace(host.facts, guests={7: model.GuestFile(7, text, "")})
    marked = dataclasses.replace(host.wish.guests[0], vmid=None)
    there = view.Host(facts, dataclasses.replace(host.wish, guests=(marked,))).guests[0]
    assert (there.vmid, there.subject) == (7, "VM 7")
    assert only(host, vmid=None).subject == "VM (win11)"


def test_values_for_other_versions_of_qemu_do_not_count(host: view.Host) -> None:
    config = {"args": wish.Want("-x", "d", qemu=">=10.0"), "cpu": wish.Want("host", "d", qemu="<8.0")}
    wanted = only(host, config=config, device=None).wanted
    assert wanted == {"cpu": "host"}
    facts = dataclasses.replace(host.facts, packages=model.Unknown("no dpkg"))
    blind = only(view.Host(facts, host.wish), config=config, device=None).wanted
    assert blind == model.Unknown("no dpkg")


def test_a_device_among_twins_is_found_by_its_address_alone(host: view.Host) -> None:
    assert isinstance(host.facts.pci, tuple)
    nic = next(dev for dev in host.facts.pci if dev.driver == "r8169")
    facts = dataclasses.replace(host.facts, pci=(*host.facts.pci, dataclasses.replace(nic, address="0000:03:00.0")))
    twins = view.Host(facts, host.wish)
    assert view.Device(twins, wish.DeviceWish("nic", nic.id)).present() == model.Unknown("2 devices are 10ec:8168")
    assert view.Device(twins, wish.DeviceWish("nic", nic.id, address=nic.address)).present() == nic
    assert view.Device(host, wish.DeviceWish("nic", nic.id, subsystem="1:2")).present() is None


def test_a_hostpci_that_pve_would_refuse_is_left_out() -> None:
    assert [one.key for one in view.given({"hostpci0": "garbage", "hostpci1": "00:02.0", "hostpci2": " "})] == [
        "hostpci1"
    ]


def test_nothing_wanted_needs_nothing_but_quorum(host: view.Host) -> None:
    nothing = dataclasses.replace(host.wish, guests=(), host={}, devices={})
    facts = model.Facts(node="pve1", boot=dataclasses.replace(host.facts.boot, cmdline=()), files={}, quorate=True)
    idle = frozenset({rule.When.ALWAYS})  # what guards the host is judged for plans that change it
    assert registry.run(facts, nothing, doing=idle) == ()
    blind = dataclasses.replace(facts, quorate=model.Unknown("no API"))
    assert [one.id for one in registry.run(blind, nothing, doing=idle)] == ["no-quorum"]


IDLE = frozenset({rule.When.ALWAYS})


@pytest.mark.parametrize(
    ("address", "driver", "holds"),
    [
        ("0000:00:17.0", "ahci", True),
        ("0000:00:17.0", model.Unknown("the API does not tell"), True),
        ("0000:00:17.0", "vfio-pci", False),
        ("0000:00:17.0", "", False),
        ("0000:00:1f.3", "snd_hda_intel", False),  # sound carries no disk, and nobody else is in its group
    ],
)
def test_a_vm_waits_for_a_device_that_the_host_may_have_its_disks_on(host, address, driver, holds):
    def held(facts, *, asked=True):
        mine = host.wish.guests[0]
        config = {**mine.config, "hostpci1": wish.Want(address, mine.document)}
        wanted = (
            dataclasses.replace(host.wish, guests=(dataclasses.replace(mine, config=config),)) if asked else host.wish
        )
        return {one.id for one in registry.run(facts, wanted, doing=IDLE) if one.holds} & set(VITAL)

    pci = tuple(
        dataclasses.replace(dev, driver=driver, iommu_group=77) if dev.address == address else dev
        for dev in host.facts.pci
    )
    blind = model.Standing(disks=model.Unknown("no lsblk"), links=model.Unknown("no ip"))
    facts = dataclasses.replace(host.facts, pci=pci, standing=blind)
    assert held(facts) == (set(VITAL) if holds else set())
    text = facts.guests[112].text + f"hostpci1: {address}\n"
    given = dataclasses.replace(facts, guests={112: model.GuestFile(112, text, "")})
    assert held(given) == (set(VITAL) if holds else set())
    assert held(given, asked=False) == set()  # by hand
    runs = dataclasses.replace(given, states={112: model.GuestState(112, "running")})
    assert held(runs) == set()


VITAL = ("device-carries-network", "device-carries-storage")
