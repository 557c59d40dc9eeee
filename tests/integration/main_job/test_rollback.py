"""A node that nobody confirms goes back by itself, on both kinds of boot loaders; the next daemon confirms what a dead one left."""

from __future__ import annotations

import json

import pytest

from transom.lab import espmenu, fleet

MARKS = "var/lib/transom/rollback"


@pytest.fixture(params=["seed", "zfs"])
def bench(request, tmp_path, bench_of, monkeypatch):
    monkeypatch.setenv("TRANSOM_CONFIRM_WITHIN", "3600")
    with fleet.start(tmp_path / "lab", flavour=request.param) as lab:
        yield bench_of(tmp_path, lab)


def everything(bench) -> dict[str, object]:
    """But a ROM that was placed: nothing boots from it."""
    esp = bench.node.root / espmenu.FOLDER
    entries = {str(path.relative_to(esp)): path.read_bytes() for path in sorted(esp.rglob("*")) if path.is_file()}
    timers = sorted(path.name for path in (bench.node.root / "root").iterdir())
    ours = {path: one for path, one in bench.files().items() if not path.startswith("usr/share/kvm/igd-")}
    return {**ours, "esp": entries, "root": timers}


def time_is_over(bench) -> None:
    timer = bench.node.root / "etc/systemd/system/transom-rollback.timer"
    timer.write_text(timer.read_text().replace("OnBootSec=3600", "OnBootSec=0"))


def test_confirmed_nothing_is_left(bench):
    run = bench.apply(bench.seed)
    left = [path for path in bench.files() if "systemd" in path]
    assert left == []
    assert not (bench.node.root / MARKS).exists()
    assert not (bench.node.root / "root/transom-undo.sh").exists()
    phases = [event["phase"] for event in bench.json("run", "show", run)["events"]]
    assert "card" in phases
    card = bench.transom("run", "show", run, "--card").stdout
    assert f"Rescue card of pve1, run {run}" in card
    assert "sh /root/transom-undo.sh" in card


def test_a_boot_that_nobody_confirms_is_taken_back(bench, waiting):
    before, boots = everything(bench), bench.node.boots
    bench.cut("… confirm the boot")
    run = bench.json("run", "ls")[0]["id"]
    assert bench.driver() == "vfio-pci"
    assert [gate.name for gate in bench.plan().gates] == ["unconfirmed"]
    time_is_over(bench)
    waiting(lambda: bench.node.boots == boots + 2)
    waiting(lambda: bench.node.state == "up")
    assert bench.driver() == "i915"
    assert everything(bench) == before

    done = bench.transom("apply", "--yes")
    assert done.returncode == 3, done.stderr
    assert "went back by itself" in done.stdout
    shown = bench.json("run", "show", run)
    assert shown["state"] == "failed"
    assert "not confirmed within 3600 s" in shown["error"]
    assert "vfio_pci: add" in bench.transom("run", "logs", run).stdout
    plan = bench.plan()
    assert [gate.name for gate in plan.gates] == ["rolled-back"]
    assert not [noop for noop in plan.noops if noop.path.startswith("host/") and "zz-transom" in noop.reason]
    ledger = json.loads(bench.text("/var/lib/transom/ledger.json"))
    assert all(not entry["path"].startswith("host/") for entry in ledger)

    assert bench.transom("resume", "pve1").returncode == 0
    assert not (bench.node.root / MARKS).exists()
    bench.apply()
    assert bench.plan().empty
    assert bench.driver() == "vfio-pci"


def test_the_next_one_confirms_what_a_dead_one_left(bench):
    bench.cut("… confirm the boot")
    run = bench.json("run", "ls")[0]["id"]
    assert bench.transom("apply", "--yes").returncode == 0
    assert not (bench.node.root / MARKS).exists()
    assert bench.plan().empty
    assert "confirmed after its run had ended" in bench.transom("run", "logs", run).stdout


def test_undone_before_its_reboot_nothing_is_armed_any_more(bench):
    before = everything(bench)
    bench.cut("✓ the node goes back by itself")
    assert (bench.node.root / MARKS / "armed").exists()
    bench.undo(bench.json("run", "ls")[0]["id"])
    assert not (bench.node.root / MARKS).exists()
    images = ("boot/initrd", "esp")
    kept = {path: one for path, one in everything(bench).items() if not path.startswith(images)}
    assert kept == {path: one for path, one in before.items() if not path.startswith(images)}
