"""A lab node and a Transom beside it, per test: everything real but the machine."""

from __future__ import annotations

import fcntl
import hashlib
import json
import mmap
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from transom import daemon, resources
from transom.lab import fleet
from transom.plan import result

MOVING = ("etc/pve/.vmlist", "etc/pve/.version", "etc/pve/priv")


class Bench:
    """One node named pve1, the seed's documents pointed at it, a state folder, and both ways to work: in process and as a user."""

    def __init__(self, folder: pathlib.Path, lab: fleet.Fleet) -> None:
        self.folder, self.lab = folder, lab
        self.node = lab.node("pve1")
        self.state = folder / "state"
        self.said: list[str] = []
        self.seed = lab.stage(resources.examples_dir() / "seed.yaml")

    def service(self) -> daemon.Service:
        return daemon.Service(self.state, self.said.append)

    def apply(self, documents: pathlib.Path | None = None, *, take_over: bool = False) -> str:
        """Plan and carry out; the run."""
        service = self.service()
        try:
            if documents:
                service.put([documents])
            node = service.wish("pve1")
            service.settle(node)  # as the command does: what a dead run left is closed before the plan is shown
            plan = service.propose(node, take_over=take_over)
            return service.apply(node, approved=plan.hash, take_over=take_over)
        finally:
            service.close()

    def plan(self) -> result.Plan:
        service = self.service()
        try:
            return service.propose(service.wish("pve1"))
        finally:
            service.close()

    def undo(self, run: str) -> str:
        service = self.service()
        try:
            return service.undo(run, approved=service.propose_undo(run).hash)
        finally:
            service.close()

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "transom", *words]

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "TRANSOM_STATE": str(self.state)}

    def transom(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), env=self.env, capture_output=True, text=True, check=False)

    def cut(self, mark: str, *words: str) -> int:
        """Run ``apply``, or ``words``, and kill it without warning as soon as a line of its progress has ``mark``; its code.

        What it says goes through a pipe with room for one line: however late the kill comes on a busy machine, it has not got past
        the next thing to say.
        """
        command = self.command(*(words or ("apply", "-f", str(self.seed), "--yes")))
        reader, writer = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)  # each write a packet of its own
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, mmap.PAGESIZE)  # of which one fits
        with os.fdopen(reader, encoding="utf-8") as said:
            process = subprocess.Popen(command, env=self.env, stderr=writer, stdout=subprocess.DEVNULL)
            os.close(writer)
            with process:
                for line in said:
                    if mark in line:
                        process.send_signal(signal.SIGKILL)
                        break
                else:
                    pytest.fail(f"{mark} was never said")
        return process.returncode

    def json(self, *words: str) -> object:
        done = self.transom(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def files(self) -> dict[str, tuple[str, int]]:
        """Path → SHA-256 and mode of every file that the node's system is made of."""
        found = {}
        for top in ("etc", "usr/share/kvm", "boot"):
            for path in sorted((self.node.root / top).rglob("*")):
                name = str(path.relative_to(self.node.root))
                if path.is_file() and not path.is_symlink() and not name.startswith(MOVING):
                    found[name] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode)
        return found

    def driver(self) -> str:
        return self.node.ssh("basename $(readlink /sys/bus/pci/devices/0000:00:02.0/driver)").strip()

    def text(self, path: str) -> str:
        return (self.node.root / path.lstrip("/")).read_text()


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Iterator[Bench]:
    with fleet.start(tmp_path / "lab") as lab:
        yield Bench(tmp_path, lab)


@pytest.fixture
def bench_of() -> type[Bench]:
    """For labs of another make than one node."""
    return Bench
