"""A VM of ours, or its disk, that somebody took away: held with the way out, and the way out leads there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from transom.guest import conf

SIMPLE = "  hardware: {name: win, memory: 4096}\n"
DISK = "  hardware: {name: win, memory: 4096, disks: {scsi0: {storage: local-lvm, size: 4G}}}\n"


@pytest.fixture
def transom(bench):
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "transom", *args, "--state", str(bench.folder / "state")]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)

    return run


def test_a_detached_disk_is_held_and_attached_again_all_is_well(bench):
    bench.put(DISK)
    bench.apply()
    made = bench.values()["scsi0"]
    text = bench.text()
    bench.write(text.replace(f"scsi0: {made}", f"unused0: {made.partition(',')[0]}"))
    plan = bench.plan()
    assert plan.held
    (found,) = [one for one in plan.findings if one.holds]
    assert found.id == "vm-disk-detached"
    assert f"{made.partition(',')[0]} is unused0 now" in found.summary
    bench.write(text.replace(f"scsi0: {made}\n", ""))
    assert "not to be seen" in next(one.summary for one in bench.plan().findings if one.holds)
    bench.write(text)
    assert bench.plan().empty


def test_a_new_empty_disk_comes_when_the_document_was_applied_without_it(bench, transom):
    bench.put(DISK)
    bench.apply()
    made = bench.values()["scsi0"]
    bench.write(bench.text().replace(f"scsi0: {made}", f"unused0: {made.partition(',')[0]}"))
    for spec in (SIMPLE, DISK):
        bench.put(spec)
        done = transom("apply", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
    assert bench.values()["scsi0"].startswith("local-lvm:vm-101-disk-1,")
    assert bench.plan().empty


def test_a_vm_of_ours_that_is_gone_is_made_anew_only_when_it_was_let_go(bench, transom):
    bench.put(DISK)
    bench.apply()
    bench.write(bench.text().replace("memory: 4096", "memory: 512"))
    text = bench.text()
    (bench.confs / "101.conf").unlink()
    plan = bench.plan()
    (found,) = [one for one in plan.findings if one.holds]
    assert (found.id, plan.actions) == ("vm-gone", ())
    assert any(one.says.startswith("scsi0: local-lvm:vm-101-disk-0") for one in found.evidence)
    bench.write(text)  # put back, it is kept again
    bench.apply()
    assert bench.values()["memory"] == "4096"

    (bench.confs / "101.conf").unlink()
    done = transom("release", "win", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    bench.put(DISK)
    bench.apply()
    assert bench.plan().empty
    assert conf.parse(bench.text()).persisted()["memory"] == "4096"


def test_one_that_rm_deleted_is_made_again_when_it_is_declared_again(bench, transom):
    bench.put(DISK)
    bench.apply()
    done = transom("rm", "win", "--confirm", "win")
    assert done.returncode == 0, done.stdout + done.stderr
    assert 101 not in bench.vmids
    bench.put(DISK)
    bench.apply()
    assert bench.plan().empty


@pytest.mark.parametrize(("part", "id"), [("tags", "tag transom"), ("description", "line `transom: win`")])
def test_a_mark_that_was_removed_is_shown_alone_and_keeps_rm_from_it(bench, transom, part, id):
    bench.put(SIMPLE)
    bench.apply()
    text = bench.text()
    lines = {"tags": "tags: transom\n", "description": "#transom%3A win\n"}
    assert lines[part] in text
    bench.write(text.replace(lines[part], ""))
    told = transom("rm", "win", "--dry-run").stdout
    assert "[vm-mark-removed]" in told
    assert id in told
    assert "did not make" not in told
    plan = bench.plan()
    assert [drift.path for drift in plan.drifts] == [f"qemu/101/{part}"]
    assert [action.wanted.keys() for action in plan.actions] == [{part}]
    bench.apply()
    assert bench.plan().empty
    assert "DELETES VM 101" in transom("rm", "win", "--dry-run").stdout


def test_a_clone_under_the_id_is_not_deleted_for_its_copied_mark(bench, transom):
    bench.put(SIMPLE)
    bench.apply()
    uuid = "0f5e6a52-0000-4000-8000-00000000000"
    bench.set(smbios1=f"uuid={uuid}7", vmgenid=f"{uuid}8")
    told = transom("rm", "win", "--dry-run").stdout
    assert "[vm-reused]" in told
    plan = bench.plan(take_over=True)
    assert [(drift.path, drift.why) for drift in plan.drifts] == [("qemu/101", "another VM, taken over")]
    bench.apply(take_over=True)
    assert bench.plan().empty
