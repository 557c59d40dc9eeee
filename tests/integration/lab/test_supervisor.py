"""``transom lab`` as a user runs it, and that nothing outlives it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from patience import until
from transom import resources

Processes = Callable[[str], list[str]]
MAIN = "from transom.cli import main; main.main()"


def transom(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", MAIN, "lab", words[0], "--dir", str(folder), *words[1:]]
    return subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False, stdin=subprocess.DEVNULL)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a lab may run; it is taken down at the end."""
    yield (
        tmp_path
        / "a lab whose path is long enough to be too long for a Unix socket, which ends at 107 bytes, or so"
        / "x"
    )
    for lab in tmp_path.glob("*/x"):
        transom(lab, "down")


def status(folder: Path) -> dict[str, Any]:
    done = transom(folder, "status", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_up_status_ssh_break_power_stage_down(folder: Path, processes: Processes) -> None:
    up = transom(folder, "up", "--detach", "--documents", str(resources.examples_dir() / "seed.yaml"))
    assert up.returncode == 0, up.stderr
    assert f"document {folder}/documents/seed.yaml" in up.stdout
    assert [one["state"] for one in status(folder)["nodes"]] == ["up"]
    assert transom(folder, "ssh", "pve1", "hostname").stdout == "pve1\n"
    assert transom(folder, "ssh", "pve1", "cat", "/etc/no such file").returncode == 1
    assert (
        transom(folder, "break", "foreign-contradiction", "pve1").stdout
        == "/etc/default/grub has intel_iommu=off now\n"
    )
    refused = transom(folder, "break", "rom-lost", "pve1")
    assert (refused.returncode, "apply the documents first" in refused.stderr) == (1, True)
    assert "vm-edited-in-ui        repairable" in transom(folder, "break").stdout
    assert transom(folder, "power", "off", "pve1").stdout == "pve1 is off\n"
    assert transom(folder, "power", "on", "pve1").stdout == "pve1 is up\n"
    assert transom(folder, "stage", str(resources.examples_dir() / "minimal.yaml")).stdout.endswith("minimal.yaml\n")
    again = transom(folder, "up", "--detach")
    assert again.returncode != 0
    assert "a lab is running in" in again.stderr
    assert transom(folder, "down").returncode == 0
    until(lambda: not processes(str(folder)))
    assert transom(folder, "status").returncode == 69


def test_the_lab_takes_its_nodes_from_the_documents(folder: Path, tmp_path: Path) -> None:
    text = (resources.examples_dir() / "minimal.yaml").read_text()
    text = text.replace("name: pve1", "name: alpha").replace("node: pve1", "node: alpha")
    (tmp_path / "fleet.yaml").write_text(text)
    assert transom(folder, "up", "--detach", "--documents", str(tmp_path / "fleet.yaml")).returncode == 0
    assert [(one["name"], one["cluster"]) for one in status(folder)["nodes"]] == [("alpha", "home")]


def supervisor(folder: Path) -> int:
    """PID of the process that keeps the lab: it holds the lock."""
    inode = (folder / "lock").stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        found = re.search(rf"FLOCK\s+ADVISORY\s+WRITE (\d+) \S+:{inode} ", line)
        if found:
            return int(found.group(1))
    raise AssertionError("nobody holds the lab's lock")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_everything_dies_with_the_supervisor(folder: Path, processes: Processes, number: signal.Signals) -> None:
    assert transom(folder, "up", "--detach", "--nodes", "2").returncode == 0
    nodes = status(folder)["nodes"]
    napping = f"sleep {100_000 + os.getpid()}"  # nobody else's
    assert transom(folder, "ssh", "pve1", f"setsid -f {napping} </dev/null >/dev/null 2>&1").returncode == 0
    assert processes(napping)
    os.kill(supervisor(folder), number)
    until(lambda: not processes(str(folder)))
    until(lambda: not processes(napping))
    for node in nodes:
        with contextlib.closing(socket.socket()) as line:
            assert line.connect_ex(("127.0.0.1", node["ssh_port"])) != 0
    assert transom(folder, "status").returncode == 69
    assert transom(folder, "up", "--detach").returncode == 0
    assert [one["ssh_port"] for one in status(folder)["nodes"]] == [one["ssh_port"] for one in nodes]


def test_no_file_is_left_outside_the_folder(folder: Path) -> None:
    def listing() -> set[str]:
        return {
            str(path)
            for top in ("/tmp", "/run", "/dev/shm")
            for path in Path(top).glob("*")
            if "pytest" not in path.name
        }

    before = listing()
    assert transom(folder, "up", "--detach").returncode == 0
    assert transom(folder, "ssh", "pve1", "touch /tmp/inside /run/inside /dev/shm/inside; update-grub").returncode == 0
    assert transom(folder, "down").returncode == 0
    assert not {path for path in listing() - before if "inside" in path or "lab" in path}
