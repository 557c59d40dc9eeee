"""The way back as a plan: exact where nobody came in between, refused with the reason where somebody did."""

from __future__ import annotations

import dataclasses

import pytest

from transom import model
from transom.plan import actions as acts
from transom.reconcile import effect as eff
from transom.reconcile import undo

A, B, C = "a" * 64, "b" * 64, "c" * 64
CONF = "/etc/pve/qemu-server/112.conf"
MODPROBE = "/etc/modprobe.d/zz-transom.conf"
FACTS = model.Facts(
    node="pve1",
    boot=model.Boot("boot-2", "5.15", (), "grub", False, 0),
    files={},
    states={112: model.GuestState(112, "stopped")},
)
WROTE = eff.Effect(MODPROBE, None, A, (model.Step.INITRAMFS,), reboot=True)
MADE = eff.Effect(CONF, None, None, vmid=112, wanted={"name": "x", "memory": "512", "args": "-foo"})
CREATED = "args: -foo\nmemory: 512\nmeta: creation-qemu=7.1.0,ctime=1\nname: x\nvmgenid: 0f5e6a52\n"


def plan(effects, present, images=None, facts=FACTS, *, same_boot=False):
    return undo.plan("pve1", "run1", effects, present, images or {}, facts, same_boot=same_boot)


def test_a_created_file_goes_and_what_was_built_from_it_is_rebuilt():
    made = plan([WROTE], {MODPROBE: undo.Present(A, None)})
    kinds = [type(action) for action in made.actions]
    assert kinds == [acts.RestoreFile, acts.RunStep, acts.Reboot]
    assert made.actions[0].before_sha256 is None
    assert made.impact is model.Impact.HOST_REBOOT


def test_no_reboot_when_the_change_never_booted():
    made = plan([WROTE], {MODPROBE: undo.Present(A, None)}, same_boot=True)
    assert [type(action) for action in made.actions] == [acts.RestoreFile, acts.RunStep]


def test_a_file_changed_since_holds_everything():
    made = plan([WROTE], {MODPROBE: undo.Present(B, None)})
    assert made.held
    assert made.actions == ()
    assert made.findings[0].subject == MODPROBE


def test_a_step_that_never_came_to_pass_needs_nothing():
    assert plan([WROTE], {MODPROBE: undo.Present(None, None)}).empty


def test_two_changes_of_one_path_go_back_to_the_first_image():
    second = dataclasses.replace(WROTE, before_sha256=A, after_sha256=B)
    made = plan([WROTE, second], {MODPROBE: undo.Present(B, None)})
    assert [action.path for action in made.actions if isinstance(action, acts.RestoreFile)] == [MODPROBE]
    assert made.actions[0].expect_sha256 == B


def test_a_created_vm_loses_its_configuration_and_keeps_its_disks():
    made = plan([MADE], {CONF: undo.Present(C, CREATED)}, {CONF: None})
    (restore,) = made.actions
    assert restore.vmid == 112
    assert restore.before_sha256 is None
    assert "disks stay" in restore.describe()


@pytest.mark.parametrize(
    ("now", "culprit"),
    [
        (CREATED + "usb0: host=046d:c07e\n", "usb0"),
        (CREATED.replace("memory: 512", "memory: 1024"), "memory"),
    ],
)
def test_a_vm_that_somebody_changed_since_is_left(now, culprit):
    made = plan([MADE], {CONF: undo.Present(C, now)}, {CONF: None})
    assert made.held
    assert culprit in made.findings[0].summary


@pytest.mark.parametrize(
    "state",
    [model.GuestState(112, "running"), model.GuestState(112, "stopped", "backup"), model.Unknown("no answer")],
)
def test_a_vm_that_runs_is_locked_or_cannot_be_asked_is_left(state):
    states = state if isinstance(state, model.Unknown) else {112: state}
    made = plan([MADE], {CONF: undo.Present(C, CREATED)}, {CONF: None}, dataclasses.replace(FACTS, states=states))
    assert made.held
    assert made.actions == ()


def test_a_changed_vm_goes_back_to_its_image():
    change = eff.Effect(CONF, A, None, vmid=112, wanted={"vga": "none", "args": None})
    before = "args: -foo\nname: x\n"
    made = plan([change], {CONF: undo.Present(B, "name: x\nvga: none\n")}, {CONF: before})
    assert made.actions[0].before_sha256 == A
    kept = plan([change], {CONF: undo.Present(B, "args: -bar\nname: x\nvga: none\n")}, {CONF: before})
    assert kept.held, "args was set by somebody after the run deleted it"
