"""What is told of a plan that changes what boots and does not reboot for it."""

from __future__ import annotations

import dataclasses

import pytest

from transom import model
from transom.plan import actions as acts
from transom.plan import result
from transom.report import plan_text
from transom.spec import wish

MAIN = "/etc/default/grub"
ACCESS = wish.Access((), "", wish.SecretRef(), "", "", "pve1", 22, "root", wish.SecretRef(), "")


def wanting(**host: str) -> wish.NodeWish:
    wants = {key: (wish.Want(value, "Node/pve1"),) for key, value in host.items()}
    return wish.NodeWish("pve1", "pve1", "Node/pve1", "home", ACCESS, wants, {}, ())


def told(plan: result.Plan) -> list[model.Finding]:
    return [one for one in plan.findings if one.id == "later-boot"]


def test_a_change_without_a_reboot_says_that_nobody_sees_to_the_boot_that_reads_it(desk) -> None:
    plan = desk.plan(wanting(blacklist="dm_mod"))
    assert not any(isinstance(action, acts.Reboot) for action in plan.actions)
    assert plan.impact is model.Impact.LIVE
    (note,) = told(plan)
    assert not note.holds
    assert [one.source for one in note.evidence] == ["/etc/modprobe.d/zz-transom.conf", "initramfs"]


@pytest.mark.parametrize("host", [{"modules": "vfio"}, {"kernel_cmdline": "iommu=pt"}, {"sysctl": "vm.nr_hugepages=1"}])
def test_nothing_is_said_of_a_plan_that_reboots_or_that_no_boot_reads_first(desk, host: dict[str, str]) -> None:
    plan = desk.plan(wanting(**host))
    assert plan.actions
    assert told(plan) == []


def test_it_is_not_told_to_who_knows_it(desk) -> None:
    assert told(desk.plan(dataclasses.replace(wanting(blacklist="dm_mod"), accept=("later-boot",)))) == []


def test_what_is_taken_over_costs_no_reboot_and_what_comes_along_is_named(desk) -> None:
    want = wanting(kernel_cmdline="intel_iommu=on")
    desk.apply(want)
    by_hand = desk.node.files[MAIN][0].replace('"quiet"', '"quiet intel_iommu=off mitigations=off"')
    desk.node.write(MAIN, by_hand)
    plan = desk.plan(want, take_over=True)
    assert not any(isinstance(action, acts.Reboot) for action in plan.actions)
    assert plan.impact is model.Impact.LIVE
    (note,) = told(plan)
    assert [one.says for one in note.evidence][-1] == "mitigations=off, which the running kernel was not given"
    assert "intel_iommu=on, which" not in str(note.evidence)
    assert plan.next_boot
    assert plan.next_boot.new == ("mitigations=off",)
    assert "against the running kernel's: + mitigations=off\n" in plan_text.text(plan)


def test_a_take_over_that_changes_what_runs_reboots_and_costs_it(desk) -> None:
    desk.node.write(MAIN, desk.node.files[MAIN][0].replace('"quiet"', '"quiet intel_iommu=off"'))
    desk.node.step(model.Step.BOOTCONFIG)
    desk.node.reboot()
    plan = desk.plan(wanting(kernel_cmdline="intel_iommu=on"), take_over=True)
    assert plan.impact is model.Impact.HOST_REBOOT
    assert told(plan) == []
    assert plan.next_boot
    assert (plan.next_boot.new, plan.next_boot.gone) == (("intel_iommu=on",), ("intel_iommu=off",))
