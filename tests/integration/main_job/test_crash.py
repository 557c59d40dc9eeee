"""``kill -9`` of the apply and of the undo at each journalled step: the next one ends it, nothing doubled."""

from __future__ import annotations

import re
import signal

import pytest

from transom import errors
from transom.guest import conf

STEPS = 14
REBOOT, REBOOT_BACK = 11, 12
"""Of the apply and of the undo."""
BEGUN, DONE = "…", "✓"
pytestmark = pytest.mark.timeout(360)
"""Each is three or four runs with their reboots: two minutes are not enough on a busy machine."""


def killed_at(bench, mark: str, *words: str) -> None:
    ended = bench.cut(mark, *words)
    assert ended in (-signal.SIGKILL, 0 if mark.startswith(f"[{STEPS}/{STEPS}] ✓") else None)


def moments(reboot: int) -> list:
    """Each step as it has begun; the end of one is the beginning of the next, but for the reboot's and the last one's."""
    found = [(step, BEGUN) for step in range(1, STEPS + 1)] + [(reboot, DONE), (STEPS, DONE)]
    return [pytest.param(step, sign, id=f"{step}-{'begun' if sign == BEGUN else 'done'}") for step, sign in found]


def until_back(bench, again) -> None:
    """Runs it again for as long as the node may be rebooting without its daemon."""
    while True:
        try:
            again()
        except errors.Unreachable:
            if bench.node.boots >= 4:
                raise
            bench.node.wait_boot(bench.node.boots - 1)
        else:
            return


@pytest.mark.parametrize(("step", "sign"), moments(REBOOT))
def test_killed_and_run_again_converges(bench, step, sign):
    before = bench.files()
    killed_at(bench, f"[{step}/{STEPS}] {sign}")
    until_back(bench, bench.apply)
    assert bench.plan().empty
    assert_nothing_doubled(bench)
    rows = bench.json("run", "ls")
    assert {row["state"] for row in rows} <= {"applied", "interrupted", "failed"}
    assert rows[-1]["state"] == "interrupted"
    for row in rows:  # newest first
        bench.undo(row["id"])
    assert bench.files() == before
    assert bench.driver() == "i915"


@pytest.mark.parametrize(("step", "sign"), moments(REBOOT_BACK))
def test_an_undo_that_was_killed_is_ended_by_the_next(bench, step, sign):
    before = bench.files()
    run = bench.apply(bench.seed)
    killed_at(bench, f"[{step}/{STEPS}] {sign}", "undo", run, "--yes")
    try:
        until_back(bench, lambda: bench.undo(run))
    except errors.Rejected as error:
        # after the last step it says no more, and may have come to its end before it was killed
        assert (step, sign) == (STEPS, DONE)
        assert "has been undone already" in str(error)  # noqa: PT017
    assert bench.files() == before
    assert bench.driver() == "i915"
    assert "intel_iommu" not in bench.node.ssh("cat /proc/cmdline")
    assert bench.node.ssh("ls /var/lib/transom/dirty") == ""
    assert {row["id"]: row["state"] for row in bench.json("run", "ls")}[run] == "undone"
    bench.apply()
    assert bench.plan().empty


def assert_nothing_doubled(bench) -> None:
    for path in (
        "/etc/default/grub.d/90-transom.cfg",
        "/etc/modprobe.d/zz-transom.conf",
        "/etc/modules-load.d/transom.conf",
    ):
        lines = bench.text(path).splitlines()
        assert len(lines) == len(set(lines)), path
    tokens = bench.node.ssh("cat /proc/cmdline").split()
    assert len(tokens) == len(set(tokens))
    confs = sorted(path.name for path in (bench.node.root / "etc/pve/qemu-server").glob("*.conf"))
    assert confs == ["112.conf"]
    disks = re.findall(r"vm-112-disk-\d+", bench.text("/etc/pve/qemu-server/112.conf"))
    assert disks == ["vm-112-disk-0"]
    assert conf.parse(bench.text("/etc/pve/qemu-server/112.conf")).main["vga"] == "none"
