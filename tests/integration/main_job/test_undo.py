"""Undo where something came in between: a crash, a person, a later run; and by hand."""

from __future__ import annotations

import contextlib

import pytest

from transom.guest import conf
from transom.reconcile import deadman
from transom.reconcile.steps import guest as guest_step
from transom.reconcile.steps import reboot

CONF = "/etc/pve/qemu-server/112.conf"


class Cut(BaseException):
    """The process ends here, without any clean-up of its own."""


@contextlib.contextmanager
def cut_off(owner, name):
    """The process dies as soon as it calls this."""
    original = getattr(owner, name)

    def die(*_, **__):
        raise Cut

    setattr(owner, name, die)
    try:
        with pytest.raises(Cut):
            yield
    finally:
        setattr(owner, name, original)


def redeclare(bench, old: str, new: str) -> None:
    text = bench.seed.read_text()
    assert old in text
    bench.seed.write_text(text.replace(old, new))


def last_run(bench) -> str:
    return bench.json("run", "ls")[0]["id"]


def test_a_run_that_was_cut_off_before_it_kept_an_image_can_be_undone(bench):
    bench.apply(bench.seed)
    before = bench.files()
    redeclare(bench, "memory: 8192", "memory: 4096")
    with cut_off(guest_step.remote, "keep"):
        bench.apply(bench.seed)
    bench.undo(last_run(bench))
    assert bench.files() == before


def test_a_vm_that_its_user_destroyed_does_not_come_back(bench):
    bench.apply(bench.seed)
    redeclare(bench, "memory: 8192", "memory: 4096")
    run = bench.apply(bench.seed)
    bench.node.ssh("qm destroy 112")
    done = bench.transom("undo", run, "--yes")
    assert done.returncode == 3
    assert "VM 112 is gone" in done.stdout
    assert not (bench.node.root / CONF[1:]).exists()


def test_undone_before_its_reboot_it_owes_none(bench):
    bench.apply(bench.seed)
    text = bench.seed.read_text()
    redeclare(bench, "      - iommu=pt\n", "      - iommu=pt\n      - nosmt\n")
    boots = bench.node.boots
    with cut_off(reboot, "apply"):
        bench.apply(bench.seed)
    bench.undo(last_run(bench))
    bench.seed.write_text(text)
    service = bench.service()
    service.put([bench.seed])
    service.close()
    assert bench.plan().empty
    assert bench.node.boots == boots
    assert not (bench.node.root / "var/lib/transom/reboot-from").exists()


def test_what_a_run_was_putting_there_to_go_back_by_goes_when_it_was_cut_off(bench):
    """Nothing has been changed yet, so that nothing else would ever take it away."""
    with cut_off(deadman, "arm"):
        bench.apply(bench.seed)
    units = bench.node.root / "etc/systemd/system"
    (units / "transom-rollback.timer").write_text("[Timer]\n")
    assert (bench.node.root / "var/lib/transom/rollback" / last_run(bench)).is_dir()
    bench.undo(last_run(bench))
    assert not list(units.glob("transom-*"))
    assert not (bench.node.root / "var/lib/transom/rollback").exists()


def test_a_rom_that_a_later_run_put_to_use_holds_and_that_run_is_named(bench):
    with cut_off(reboot, "apply"):
        bench.apply(bench.seed)
    first = last_run(bench)
    second = bench.apply()
    before = bench.files()
    done = bench.transom("undo", first, "--yes")
    assert done.returncode == 3
    assert "rom-in-use" in done.stdout
    assert second in done.stdout
    assert bench.files() == before
    for run in (second, first):
        bench.undo(run)
    assert bench.driver() == "i915"


def test_as_shell_it_is_what_a_person_would_type(bench):
    bench.apply(bench.seed)
    before = bench.files()
    redeclare(bench, "      - iommu=pt\n", "      - iommu=pt\n      - nosmt\n")
    redeclare(bench, "      - snd_hda_intel\n", "")
    redeclare(bench, "memory: 8192", "memory: 4096")
    run = bench.apply(bench.seed)
    after = bench.files()
    done = bench.transom("undo", run, "--as-shell")
    assert done.returncode == 0, done.stderr
    forward, back = done.stdout.split("# --- The way back")
    bench.node.ssh(forward.replace("\nreboot\n", "\n"))
    assert conf.parse(bench.text(CONF)).main["memory"] == "8192"
    assert bench.files() == before
    bench.node.ssh(
        "set -e\n" + "\n".join(line.removeprefix("# ") for line in back.splitlines()[1:]).replace("\nreboot", "\n")
    )
    assert bench.files() == after
    bench.node.ssh(forward.replace("\nreboot\n", "\n"))
    boots = bench.node.boots
    bench.node.ssh("systemctl reboot")
    bench.node.wait_boot(boots)
    assert bench.transom("undo", run, "--yes").returncode == 0
    assert bench.files() == before


def test_a_store_that_was_lost_is_noticed(bench):
    bench.apply(bench.seed)
    assert "ledger-differs" not in {finding.id for finding in bench.plan().findings}
    for path in bench.state.glob("transom.db*"):
        path.unlink()
    service = bench.service()
    service.put([bench.seed])
    service.close()
    plan = bench.plan()
    assert [finding.holds for finding in plan.findings if finding.id == "ledger-differs"] == [False]
    assert plan.empty, "somebody else's node that is as declared holds nothing"
