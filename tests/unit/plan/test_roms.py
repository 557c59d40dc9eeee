"""Option ROMs in a plan: one that is built rolls out, one that is not holds its VM, an old one goes when nothing needs it."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest

from transom import model, resources
from transom.guest import conf
from transom.plan import actions as acts
from transom.plan import result, rom
from transom.spec import loader, resolve, wish

OLD, NEW = "b" * 64, "c" * 64
OLD_FILE, NEW_FILE = f"igd-{OLD[:12]}.rom", f"igd-{NEW[:12]}.rom"


@pytest.fixture
def built() -> wish.NodeWish:
    (node,) = resolve.resolve(loader.load([pathlib.Path(resources.examples_dir() / "rom-from-bios.yaml")]))
    return node


def is_now(desk, sha256: str) -> None:
    desk.node.builds = {"igd": model.RomResult("built", sha256, f"/state/{sha256}")}


def vmid(desk) -> int:
    (found,) = desk.node.guests
    return found


def removed(plan: result.Plan) -> list[str]:
    return [action.filename for action in plan.actions if isinstance(action, acts.RemoveRom)]


def kept(plan: result.Plan) -> str:
    return next((noop.reason for noop in plan.noops if noop.path == f"rom/{OLD_FILE}"), "")


def test_new_firmware_places_changes_removes_and_settles(desk, built):
    desk.apply(built)
    is_now(desk, NEW)
    plan = desk.apply(built)
    kinds = [type(action).__name__ for action in plan.actions]
    assert kinds == ["PlaceRom", "ChangeGuest", "RemoveRom"]
    assert (desk.node.roms, removed(plan)) == ({NEW_FILE: NEW}, [OLD_FILE])
    assert f"romfile={NEW_FILE}" in desk.node.guests[vmid(desk)]
    assert desk.plan(built).empty


@pytest.mark.parametrize(
    ("known", "id"),
    [
        (model.RomResult("building", reason="fetching bios.zip"), "rom-not-built"),
        (model.RomResult("failed", reason="no GOP driver"), "rom-failed"),
        (None, "rom-not-built"),
    ],
)
def test_what_is_not_built_is_never_guessed(desk, built, known, id):
    desk.apply(built)
    desk.node.builds = {"igd": known} if known else {}
    plan = desk.plan(built)
    (finding,) = [one for one in plan.findings if one.holds]
    assert (finding.id, finding.subject, plan.actions, plan.held) == (id, "Rom/igd", (), True)
    if known:
        assert finding.evidence[0].says == known.reason
    assert not any("hostpci" in drift.path for drift in plan.drifts)


def test_the_plan_is_another_one_with_another_result(desk, built):
    first = desk.plan(built)
    is_now(desk, NEW)
    assert desk.plan(built).documents != first.documents


def _in_snapshot(desk):
    parsed = conf.parse(desk.node.guests[vmid(desk)])
    before = conf.Section("before", {"hostpci0": parsed.main["hostpci0"]})
    desk.node.guests[vmid(desk)] = conf.render(dataclasses.replace(parsed, others=(before,)))


def _in_another_vm(desk):
    desk.node.guests[999] = f"hostpci0: 0000:01:00.0,romfile={OLD_FILE}\n"


def _pending(desk):
    desk.node.guests[999] = f"cores: 1\n\n[PENDING]\nhostpci0: 0000:01:00.0,romfile={OLD_FILE}\n"


def _running(desk):
    desk.node.rom_users = {OLD_FILE: (vmid(desk),)}


def _undo(desk):
    desk.node.undo_needs = {OLD_FILE: "run-1"}


@pytest.mark.parametrize("use", [_in_snapshot, _in_another_vm, _pending, _running, _undo], ids=lambda use: use.__name__)
def test_an_old_rom_stays_as_long_as_something_needs_it(desk, built, use):
    desk.apply(built)
    use(desk)
    is_now(desk, NEW)
    plan = desk.plan(built)
    assert removed(plan) == []
    assert kept(plan).startswith("kept: ")


@pytest.mark.parametrize("blind", ["guests", "rom_users", "text"])
def test_what_could_not_be_read_keeps_it(desk, built, blind):
    desk.apply(built)
    ledger = desk.ledger
    facts = desk.node.facts()
    if blind == "text":
        file = model.GuestFile(7, model.Unknown("no UTF-8"), "")
        facts = dataclasses.replace(facts, guests={**facts.guests, 7: file})
    else:
        facts = dataclasses.replace(facts, **{blind: model.Unknown("not read")})
    without = dataclasses.replace(built, guests=())
    draft = rom.removals(without, facts, ledger, ())
    assert draft.actions == []
    assert draft.noops[0].reason.startswith("kept: ")


def test_a_running_vm_is_restarted_before_the_old_one_goes(desk, built):
    desk.apply(built)
    desk.node.running.add(vmid(desk))
    desk.node.rom_users = {OLD_FILE: (vmid(desk),)}
    is_now(desk, NEW)
    kinds = [type(action).__name__ for action in desk.plan(built).actions]
    assert kinds == ["PlaceRom", "ChangeGuest", "RestartGuest", "RemoveRom"]
