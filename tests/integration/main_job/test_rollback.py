"""A node that nobody confirms goes back by itself, on both kinds of boot loaders; the next daemon confirms what a dead one left."""

from __future__ import annotations

import json

import pytest

from patience import until
from transom import errors
from transom.lab import espmenu, fleet
from transom.reconcile.steps import drain, files

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


def test_a_boot_that_nobody_confirms_is_taken_back(bench):
    before, boots = everything(bench), bench.node.boots
    bench.cut("… confirm the boot")
    run = bench.json("run", "ls")[0]["id"]
    assert bench.driver() == "vfio-pci"
    assert [gate.name for gate in bench.plan().gates] == ["unconfirmed"]
    time_is_over(bench)
    until(lambda: bench.node.boots == boots + 2)
    until(lambda: bench.node.state == "up")
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
    bench.cut("… empty the node")
    assert is_armed(bench)
    bench.undo(bench.json("run", "ls")[0]["id"])
    assert not (bench.node.root / MARKS).exists()
    images = ("boot/initrd", "esp")
    kept = {path: one for path, one in everything(bench).items() if not path.startswith(images)}
    assert kept == {path: one for path, one in before.items() if not path.startswith(images)}


@pytest.mark.parametrize("bench", ["seed"], indirect=True)
def test_undoing_another_run_leaves_the_way_back_of_one_that_waits_for_a_boot(bench, request):
    text = bench.seed.read_text().replace("  host:\n", "  host:\n    sysctl: [vm.swappiness=10]\n")
    cluster, node = text.split("---\n")[:2]
    first = bench.folder / "first.yaml"
    first.write_text(f"{cluster}---\n{node[: node.index('    kernel_cmdline')]}")
    other = bench.apply(first)
    bench.seed.write_text(text)
    run = request.getfixturevalue("not_emptied")
    bench.undo(other)
    assert bench.text(f"/{MARKS}/armed").startswith(run)


def is_armed(bench) -> bool:
    return (bench.node.root / MARKS / "armed").exists()


@pytest.fixture
def not_emptied(bench, monkeypatch):
    """Every change is on the disk, and the node could not be emptied; its run."""

    def fails(*_: object) -> None:
        raise errors.Rejected("VM 150 still runs")

    monkeypatch.setattr(drain, "apply", fails)
    with pytest.raises(errors.Rejected, match="the node is armed: its next boot goes back unless it is confirmed"):
        bench.apply(bench.seed)
    monkeypatch.undo()
    monkeypatch.setenv("TRANSOM_CONFIRM_WITHIN", "3600")
    run = bench.json("run", "ls")[0]["id"]
    assert "the node is armed" in bench.json("run", "show", run)["error"]
    plan = bench.plan()
    assert ["armed" for one in plan.findings if one.id == "armed" and not one.holds] == ["armed"]
    assert plan.gates == ()
    return run


def test_what_boots_after_a_run_that_failed_before_its_reboot_is_taken_back(bench, request):
    before = everything(bench)
    request.getfixturevalue("not_emptied")
    boots = bench.node.boots
    time_is_over(bench)
    bench.node.reboot()  # the power, or a person
    until(lambda: bench.node.boots == boots + 2)
    until(lambda: bench.node.state == "up")
    assert everything(bench) == before


@pytest.mark.usefixtures("not_emptied")
def test_after_a_run_that_failed_before_its_reboot_the_next_one_goes_on(bench):
    bench.apply()
    assert not (bench.node.root / MARKS).exists()
    assert bench.plan().empty
    assert bench.driver() == "vfio-pci"


def test_rebooted_by_hand_after_a_run_that_failed_it_is_gone_on_with_from_what_is_there(bench, not_emptied):
    bench.node.reboot()
    bench.apply()
    assert not (bench.node.root / MARKS).exists()
    assert bench.plan().empty
    assert "going on from what is there" in bench.transom("run", "logs", not_emptied).stdout


def test_a_run_that_fails_before_its_first_change_leaves_nothing_armed(bench, monkeypatch):
    def fails(*_: object) -> None:
        raise errors.Void("it has changed")

    monkeypatch.setattr(files, "prepare", fails)
    with pytest.raises(errors.Void) as failed:
        bench.apply(bench.seed)
    assert "armed" not in str(failed.value)
    assert not is_armed(bench)


def test_armed_with_nothing_left_that_waits_for_a_boot_it_is_disarmed(bench):
    run = bench.apply(bench.seed)
    mark = f"/{MARKS}/armed"
    bench.node.ssh(f"mkdir -p /{MARKS}; echo {run} $(cat /proc/sys/kernel/random/boot_id) 600 >{mark}")
    assert [one.id for one in bench.plan().findings if one.id == "armed"] == ["armed"]
    bench.apply()
    assert "nothing of it waits for a boot any more" in "\n".join(bench.said)
    assert not (bench.node.root / MARKS).exists()
