"""ROMs that documents and uploads ask for: built beside the turns, kept by content, gone when nothing needs them."""

from __future__ import annotations

import pathlib
import threading
from typing import Any

import pytest

from patience import PATIENCE, settled, until
from transom import errors, model
from transom.reconcile import back, backend, library
from transom.reconcile import effect as eff
from transom.store import records, store

ROM = """---
apiVersion: transom/v1
kind: Rom
metadata: {{name: igd}}
spec:
  firmware: [{{file: {path}}}]
  devices: ["8086:9bc8"]
"""
ASK = backend.RomAsk(name="bios.zip", devices=("8086:9bc8",))


@pytest.fixture
def bios(tmp_path) -> pathlib.Path:
    path = tmp_path / "bios.zip"
    path.write_bytes(b"bios 1")
    return path


def text(fleet, path: pathlib.Path) -> backend.Text:
    base = fleet.documents()
    return backend.Text(base.name, base.text + ROM.format(path=path))


def push(one, data: bytes, ask: backend.RomAsk = ASK) -> backend.Operation:
    incoming = one.receive()
    incoming.write(data)
    try:
        return one.push(ask, incoming, by="ci")
    finally:
        incoming.drop()


def events(one) -> list[str]:
    found = []
    for event in one.events():
        if event is None:
            return found
        if event.kind.startswith("rom."):
            found.append(event.kind)
    return found


def test_a_document_is_built_at_once_and_again_when_its_file_changes(new_fleet, bios):
    fleet = new_fleet()
    one = fleet.start()
    one.provision([text(fleet, bios)], approve=False, key="", by="me")
    until(lambda: [row.state for row in one.roms() if row.kind == "rom"] == ["built"])
    (row,) = [row for row in one.roms() if row.kind == "rom"]
    assert one.rom_content(row.sha256) == b"ROM bios 1"
    detail = one.rom(row.key)
    assert (detail.origin, detail.tool, [given["name"] for given in detail.inputs]) == (
        "Rom/igd",
        "test 1",
        ["bios.zip"],
    )
    bios.write_bytes(b"bios 2")
    one.provision([], approve=False, key="", by="me")
    until(lambda: len([row for row in one.roms() if row.kind == "rom"]) == 2)
    assert set(events(one)) == {"rom.progress", "rom.built"}


def test_a_relative_path_without_a_folder_is_refused(new_fleet):
    fleet = new_fleet()
    with pytest.raises(errors.SpecError, match=r"spec.firmware\[0\].file: 'bios.zip' is a relative path"):
        fleet.start().provision([text(fleet, pathlib.Path("bios.zip"))], approve=False, key="", by="me")


def test_bytes_that_give_no_rom_fail_for_good_and_are_told(new_fleet, bios):
    bios.write_bytes(b"bad")
    fleet = new_fleet()
    one = fleet.start()
    one.provision([text(fleet, bios)], approve=False, key="", by="me")
    until(lambda: [row.error for row in one.roms() if row.kind == "rom"] == ["no GOP driver in it"])
    assert "rom.failed" in events(one)
    fleet.built = None  # nobody asks the sandbox again for these bytes
    one.provision([], approve=False, key="", by="me")


def test_an_upload_is_followed_to_its_end(new_fleet):
    fleet = new_fleet()
    one = fleet.start()
    asked = push(one, b"bios 9")
    done = settled(one, asked)
    assert (done.state, done.shares[0].node, done.shares[0].run) == ("done", "", "")
    assert one.rom_content(done.rom) == b"ROM bios 9"
    bad = settled(one, push(one, b"bad"))
    assert (bad.state, bad.shares[0].reason) == ("failed", "no GOP driver in it")
    kept = settled(one, push(one, b"bios 7", backend.RomAsk(name="x")))
    assert (one.rom(kept.rom).kind, one.rom_content(kept.rom)) == ("input", b"bios 7")


def test_an_upload_that_meets_a_full_disk_ends_with_the_reason(new_fleet):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    fleet = new_fleet()
    one = fleet.start()
    fleet.built = full
    done = settled(one, push(one, b"bios 9"))
    assert (done.state, "No space left on device" in done.shares[0].reason) == ("failed", True)
    assert "rom.failed" in events(one)


@pytest.mark.parametrize(
    ("data", "ask", "says"),
    [(b"", ASK, "empty"), (b"x", backend.RomAsk(sha256="0" * 64), "not 0000")],
)
def test_an_upload_that_is_not_the_file_is_not_kept(new_fleet, data, ask, says):
    one = new_fleet().start()
    with pytest.raises(errors.RomError, match=says):
        push(one, data, ask)
    assert one.roms() == []


def test_what_was_cut_off_is_done_by_the_next_life(new_fleet):
    fleet = new_fleet()
    dead = fleet.open()  # takes what is asked for, and never begins
    asked = push(dead, b"bios 5")
    assert dead.operation(asked.id).state == "running"
    next_one = fleet.start()
    done = settled(next_one, asked)
    assert next_one.rom_content(done.rom) == b"ROM bios 5"


def test_identical_input_is_one_key_and_another_option_another(new_fleet):
    one = new_fleet().start()
    for ask in (ASK, ASK, backend.RomAsk(name="again", devices=("8086:9bc8",), compress=True)):
        settled(one, push(one, b"bios", ask))
    rows = [row for row in one.roms() if row.kind == "rom"]
    assert len(rows) == len({row.key for row in rows}) == 2
    assert len({row.sha256 for row in rows}) == 1


def test_a_damaged_file_is_never_given_out_and_built_again(new_fleet, bios):
    fleet = new_fleet()
    one = fleet.start()
    one.provision([text(fleet, bios)], approve=False, key="", by="me")
    until(lambda: any(row.state == "built" for row in one.roms()))
    (row,) = [row for row in one.roms() if row.kind == "rom"]
    path = fleet.folder / "state" / store.ROMS / "built" / row.sha256
    path.write_bytes(b"ROM bios X")
    with pytest.raises(errors.VerifyFailed):
        one.rom_content(row.sha256)
    one.provision([], approve=False, key="", by="me")
    until(lambda: path.exists() and path.read_bytes() == b"ROM bios 1")


def test_gc_says_why_and_drops_only_what_nothing_needs(new_fleet, bios):
    fleet = new_fleet()
    one = fleet.start()
    one.provision([text(fleet, bios)], approve=False, key="", by="me")
    until(lambda: any(row.state == "built" for row in one.roms()))
    settled(one, push(one, b"other"))
    young = one.collect_roms(dry_run=False, days=7)
    assert all(row.why and not row.dropped for row in young)
    fates = sorted((row.kind, row.why) for row in one.collect_roms(dry_run=False, days=0))
    assert fates == [
        ("input", ""),
        ("input", "a ROM was built of it: Rom/igd wants it"),
        ("rom", ""),
        ("rom", "Rom/igd wants it"),
    ]
    assert sorted(row.kind for row in one.roms()) == ["input", "rom"]


def away(*_: object) -> None:
    raise errors.Unreachable("bios.example.net does not answer")


def test_gc_keeps_what_an_open_operation_names_and_nothing_for_its_sake(new_fleet):
    fleet = new_fleet()
    one = fleet.start()
    settled(one, push(one, b"old"))
    fleet.built = away
    waits = push(one, b"new")
    until(lambda: "tried again" in one.operation(waits.id).shares[0].reason)
    fates = sorted((row.kind, row.why, row.dropped) for row in one.collect_roms(dry_run=False, days=0))
    assert fates == [
        ("input", "", True),
        ("input", f"upload bios.zip by ci ({waits.id}) names it", False),
        ("rom", "", True),
    ]


def test_gc_keeps_the_inputs_of_a_build_under_way(new_fleet, bios):
    fleet = new_fleet()
    one = fleet.start()
    stands, go_on = threading.Event(), threading.Event()

    def slow(*job: Any) -> library.Built:
        stands.set()
        go_on.wait(PATIENCE)
        return fleet.build(*job)

    fleet.built = slow
    one.provision([text(fleet, bios)], approve=False, key="", by="me")
    assert stands.wait(PATIENCE)
    bios.write_bytes(b"bios 2")  # the build goes on with what it has copied
    assert [row.why for row in one.collect_roms(dry_run=False, days=0)] == ["a ROM is being built of it"]
    go_on.set()
    until(lambda: [row.state for row in one.roms() if row.kind == "rom"][:1] == ["built"])


def test_what_never_mends_is_given_up_after_a_day(new_fleet):
    fleet = new_fleet()
    fleet.built = away
    asked = push(fleet.open(), b"bios 5")
    fleet.clock.ahead = 25 * 3600
    done = settled(fleet.start(), asked)
    assert done.state == "failed"
    assert done.shares[0].reason == "given up after 24 h: bios.example.net does not answer"


def test_a_push_is_withdrawn(new_fleet):
    fleet = new_fleet()
    one = fleet.start()
    fleet.built = away
    asked = push(one, b"bios 5")
    until(lambda: f"transom cancel {asked.id}" in one.operation(asked.id).shares[0].reason)
    said = one.cancel(asked.id, by="me")
    assert (said.state, said.shares[0].reason) == ("failed", "withdrawn by me")
    assert (said.kind, said.target) == ("rom", f"upload bios.zip by ci ({asked.id})")
    assert [row.why for row in one.collect_roms(dry_run=True, days=0)] == [""]
    with pytest.raises(errors.Rejected, match="has ended already"):
        one.cancel(asked.id, by="me")


def test_a_push_that_is_withdrawn_while_it_is_built_gives_no_rom(new_fleet):
    fleet = new_fleet()
    one = fleet.start()
    stands, go_on = threading.Event(), threading.Event()

    def slow(inputs: Any, more: Any, say: Any) -> library.Built:
        stands.set()
        go_on.wait(PATIENCE)
        return fleet.build(inputs, more, say)

    fleet.built = slow
    asked = push(one, b"bios 5")
    assert stands.wait(PATIENCE)
    one.cancel(asked.id, by="me")
    go_on.set()
    until(lambda: "rom.failed" in events(one))
    assert [row.kind for row in one.roms()] == ["input"]
    assert one.operation(asked.id).shares[0].reason == "withdrawn by me"


def test_a_full_library_takes_no_more(new_fleet):
    fleet = new_fleet()
    one = fleet.start()
    fleet.shelves[-1].limits = type(fleet.shelves[-1].limits)(upload=100, inputs=5)
    with pytest.raises(errors.Rejected, match="rom gc"):
        push(one, b"more than five")


def _run(kept: store.Store, id: str, at: float, before: dict[str, str], effects: list[eff.Effect], state: str) -> None:
    """A run that changed hostpci0 from what ``before`` says."""
    kept.put_plan(id, "pve1", {}, at)
    entries = {path: model.to_json(model.Entry("pve1", path, None, value, "d", "r")) for path, value in before.items()}
    kept.start_run(records.Run(id, "pve1", id, "apply", "", records.RUNNING, "", "", entries, at, None))
    for step, effect in enumerate(effects, 1):
        kept.append(id, step, "before", "", model.to_json(effect), at)
    kept.end_run(id, records.APPLIED, at)
    if state == records.UNDONE:
        kept.mark_undone(id)


@pytest.mark.parametrize(
    ("removed", "state", "needed"),
    [(False, records.APPLIED, {"igd-1.rom": "r1"}), (True, records.APPLIED, {}), (False, records.UNDONE, {})],
    ids=["kept", "brings-it-back-itself", "undone"],
)
def test_which_roms_an_undo_would_need(tmp_path, removed, state, needed):
    kept = store.open_store(tmp_path)
    kept.put_ledger([model.Entry("pve1", f"rom/igd-{number}.rom", None, "a" * 64, "Rom/igd", "r") for number in (1, 2)])
    effects = [eff.Effect("/usr/share/kvm/igd-1.rom", "a" * 64, None)] if removed else []
    _run(kept, "r1", 1.0, {"qemu/112/hostpci0": "0000:00:02.0,romfile=igd-1.rom"}, effects, state)
    assert back.roms_needed("pve1", kept) == needed
    assert back.roms_needed("pve2", kept) == {}
    kept.close()
