"""What a node that is to be emptied tells of its guests, and in which order they go and come."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import subprocess

import pytest

from transom.guest import order
from transom.reconcile import emptied

RESOURCES = "vm: 105\n\tgroup g1\n\tstate started\n\nct: 106\n\nvm: 107\n\tstate stopped\n\nvm: 108\n\tstate ignored\n"
STATUS = {
    "node_status": {"pve1": "online"},
    "service_status": {"vm:105": {"node": "pve1", "state": "started"}, "ct:106": {"node": "pve2", "state": "started"}},
}


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_running_guests_come_in_the_order_of_their_start():
    seen = emptied._seen(
        "ran qemu/101\nran lxc/99\nran qemu/105\n"
        f"conf qemu-server/101 {packed('startup: order=2,up=30')}\n"
        f"conf qemu-server/105 {packed('startup: 1')}\nconf lxc/99 {packed('hostname: a')}\n"
        f"ha - {packed(RESOURCES)}\nstatus - {packed(json.dumps(STATUS))}\nstarting activating\n",
        "pve1",
    )
    assert seen.running == ("qemu/105", "qemu/101", "lxc/99")
    assert seen.managed == {"qemu/105": "vm:105", "lxc/106": "ct:106"}, "what HA was told to leave alone is not HA's"
    assert seen.active == ("vm:105 started",)
    assert seen.starting


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("order=1,up=30,down=60", order.Startup(1, 30, 60)),
        ("3", order.Startup(3)),
        ("up=5", order.Startup(up=5)),
        ("order=x", order.Startup()),
        ("", order.Startup()),
    ],
)
def test_startup(value, want):
    assert order.startup(value) == want


def test_groups_of_one_order_go_together():
    guests = {"qemu/102": order.Startup(1), "lxc/101": order.Startup(1), "qemu/100": order.Startup()}
    assert order.groups(guests) == (("lxc/101", "qemu/102"), ("qemu/100",))


LISTED = """\
      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID
       101 running              stopped    512                0.00 0
       102 VM 102               running    2048              32.00 4711
       103 a-name-that-is-longer-than-its-column running    2048              32.00 4712
       104 VM 104               stopped    512                0.00 0
    100105 web                  running    512                0.00 4713
"""


@pytest.fixture
def node(tmp_path: pathlib.Path):
    """Runs the script that asks, where ``qm`` prints the text it is given and ends with the code beside it."""
    tool = tmp_path / "qm"

    def run(text: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        tool.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {code}\n")
        tool.chmod(0o755)
        env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(["sh", "-c", emptied._GUESTS], env=env, capture_output=True, text=True, check=False)

    return run


def test_a_vm_without_a_name_runs_like_any_other(node):
    assert emptied._seen(node(LISTED).stdout, "pve1").running == ("qemu/102", "qemu/103", "qemu/100105")


def test_what_qm_cannot_list_is_not_taken_for_nothing(node):
    assert node("", code=2).returncode != 0
