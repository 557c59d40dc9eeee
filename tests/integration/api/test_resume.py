"""A boot that nobody confirms, since the daemon was killed: taken back, told by the next daemon, and resumed through it."""

from __future__ import annotations

import signal
import threading

import pytest

from patience import until


@pytest.fixture
def killed(daemon, seed, lab):
    """Kills the daemon while the node reboots for what was applied."""
    daemon.stop()
    daemon.env["TRANSOM_CONFIRM_WITHIN"] = "3600"
    daemon.start()

    def killed() -> None:
        asking = threading.Thread(target=daemon.transom, args=("apply", "-f", seed, "--yes"))
        asking.start()
        until(lambda: lab.node("pve1").boots == 2)
        daemon.stop(signal.SIGKILL)
        asking.join(60)

    return killed


def test_a_node_that_went_back_is_resumed_through_the_daemon(daemon, killed, lab):
    node = lab.node("pve1")
    killed()
    timer = node.root / "etc/systemd/system/transom-rollback.timer"
    timer.write_text(timer.read_text().replace("OnBootSec=3600", "OnBootSec=0"))
    until(lambda: node.boots == 3 and node.state == "up")
    daemon.start()
    until(lambda: any(row["key"].startswith("rolled-back") for row in daemon.json("drift")))
    assert daemon.json("run", "ls")[0]["state"] == "failed"
    assert daemon.transom("apply", "--yes").returncode == 3
    assert node.boots == 3, "it tries no more by itself"
    assert daemon.transom("resume", "pve1").returncode == 0
    until(lambda: not any(row["key"].startswith("rolled-back") for row in daemon.json("drift")))
    assert not (node.root / "var/lib/transom/rollback").exists()
    again = daemon.transom("resume", "pve1")
    assert again.returncode == 1
    assert "has not gone back by itself" in again.stderr
