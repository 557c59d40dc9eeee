"""What an approval covers after its run was cut off: the same steps, fewer of them, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from transom import model
from transom.plan import actions as acts
from transom.plan import guest_actions, result
from transom.reconcile import remainder
from transom.store import records

WRITE = acts.WriteFile("/etc/modules-load.d/transom.conf", "vfio\n", None, None)
CREATE = guest_actions.CreateGuest(112, "win", {"cores": "6"}, {"args": "-x"})
CHANGE = guest_actions.ChangeGuest(7, "d", {"vga": "none"}, {"args": "-y"}, ("tags",), (), {"vga": "std"})
REBOOT = acts.Reboot("boot-1", "something")
STEP = acts.RunStep(model.Step.INITRAMFS, "because")
REMOVE = acts.RemoveFile("/etc/modprobe.d/zz-transom.conf", "x", "0" * 64)
PLACE = acts.PlaceRom("igd-1.rom", "1" * 64, "/igd.rom")
DROP = acts.RemoveRom("igd-0.rom", "0" * 64)
DESTROY = guest_actions.DestroyGuest(9, "old", "d")
RESTORE = acts.RestoreFile("/etc/x", "/backup", None, "2" * 64)
RESTART = guest_actions.RestartGuest(7, "pending")
ALL = (WRITE, REMOVE, STEP, PLACE, DROP, REBOOT, CREATE, CHANGE, RESTART, DESTROY, RESTORE)


def plan(*steps: acts.Action, documents: str = "d") -> result.Plan:
    return result.Plan("pve1", documents, actions=steps)


@pytest.mark.parametrize("begin", range(len(ALL) + 1))
def test_every_tail_is_covered(begin):
    assert remainder.covers(plan(*ALL), plan(*ALL[begin:]), {})


@pytest.mark.parametrize("missing", range(len(ALL)))
def test_what_was_not_approved_is_not_covered(missing):
    approved = (*ALL[:missing], *ALL[missing + 1 :])
    assert not remainder.covers(plan(*approved), plan(*ALL), {})


@pytest.mark.parametrize(
    "rest",
    [
        dataclasses.replace(WRITE, before="half\n", before_sha256="3" * 64),
        dataclasses.replace(STEP, reason="it is marked as owed"),
        dataclasses.replace(REBOOT, boot_id="boot-2", reason="another"),
        guest_actions.ChangeGuest(112, "e", {}, {"args": "-x"}, (), (), {}),
        guest_actions.ChangeGuest(7, "e", {}, {}, ("tags",), (), {}),
        guest_actions.StartGuest(7),  # the restart had taken it down
    ],
)
def test_what_the_cut_off_run_may_have_changed_does_not_matter(rest):
    assert remainder.covers(plan(*ALL), plan(rest), {})


@pytest.mark.parametrize(
    "rest",
    [
        dataclasses.replace(WRITE, text="vfio\nvfio_pci\n"),
        dataclasses.replace(PLACE, sha256="4" * 64),
        dataclasses.replace(CREATE, vmid=113),
        dataclasses.replace(CREATE, api={"cores": "8"}),
        dataclasses.replace(DESTROY, vmid=112),
        guest_actions.ChangeGuest(112, "e", {"cores": "8"}, {}, (), (), {}),
        guest_actions.ChangeGuest(7, "e", {}, {}, ("vga",), (), {}),
        guest_actions.ChangeGuest(8, "e", {"vga": "none"}, {}, (), (), {}),
        dataclasses.replace(RESTORE, before_sha256=None),
        guest_actions.RestartGuest(8, "pending"),
        guest_actions.StartGuest(8),
    ],
)
def test_another_content_is_another_step(rest):
    assert not remainder.covers(plan(*ALL), plan(rest), {})


def test_other_documents_or_a_finding_that_holds_end_the_approval():
    assert not remainder.covers(plan(*ALL), plan(documents="other"), {})
    held = dataclasses.replace(plan(), gates=(result.Gate("x", False, "x"),))
    assert not remainder.covers(plan(*ALL), held, {})


def test_a_vm_that_did_not_wait_when_it_was_approved_ends_the_approval():
    def waiting(*names: str) -> result.Plan:
        return dataclasses.replace(plan(RESTART), gates=tuple(result.Gate("x", False, "x", (name,)) for name in names))

    assert remainder.covers(waiting("a", "b"), waiting("b"), {})
    assert not remainder.covers(waiting("a"), waiting("b"), {})


OPEN = guest_actions.CreateGuest(None, "win", {"cores": "6"}, {"args": "-x"})
REST = guest_actions.ChangeGuest(101, "e", {}, {"args": "-x"}, (), (), {"args": None})


def line(phase: str, vmid: int, step: int = 1) -> records.Event:
    return records.Event("run", 1, 0.0, step, phase, "", {"vmid": vmid})


@pytest.mark.parametrize(
    ("journal", "covered"),
    [
        ([line("before", 101)], True),
        ([], False),
        ([line("before", 100)], False),
        ([line("before", 101), line("taken", 101)], False),
        ([line("before", 100), line("taken", 100), line("before", 101)], True),
        ([line("before", 101, step=2)], False),
    ],
)
def test_a_vm_whose_id_was_open_is_the_one_that_the_run_made(journal, covered):
    approved = plan(OPEN, WRITE)
    assert remainder.covers(approved, plan(REST), remainder.ids(approved, journal)) is covered
