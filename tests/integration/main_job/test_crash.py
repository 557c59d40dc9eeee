"""``kill -9`` of the apply at each journalled step, before and after: the next one converges, nothing doubled, undo exact."""

from __future__ import annotations

import re
import signal
import subprocess

import pytest

from transom.guest import conf

STEPS = 8


def killed_at(bench, mark: str) -> None:
    """Run ``apply`` and kill it, without warning, as soon as its journal says ``mark``."""
    command = bench.command("apply", "-f", str(bench.seed), "--yes")
    with subprocess.Popen(
        command, env=bench.env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(mark):
                process.send_signal(signal.SIGKILL)
                break
        else:
            pytest.fail(f"{mark} was never said")
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("sign", ["…", "✓"], ids=["begun", "done"])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_killed_and_run_again_converges(bench, step, sign):
    before = bench.files()
    killed_at(bench, f"[{step}/{STEPS}] {sign}")
    done = bench.transom("apply", "--yes")
    while step == 7 and done.returncode == 69 and bench.node.boots < 4:  # the node may be rebooting without its daemon
        bench.node.wait_boot(bench.node.boots - 1)
        done = bench.transom("apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert bench.plan().empty
    assert_nothing_doubled(bench)
    rows = bench.json("run", "ls")
    assert {row["state"] for row in rows} <= {"applied", "interrupted", "failed"}
    assert rows[-1]["state"] == "interrupted"
    for row in rows:  # newest first
        undone = bench.transom("undo", row["id"], "--yes")
        assert undone.returncode == 0, undone.stdout + undone.stderr
    assert bench.files() == before
    assert bench.driver() == "i915"


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
