"""A night's backup holds the lock of one VM: the others of its node are seen to, by the command and by its exit code."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

TWO = """---
apiVersion: transom/v1
kind: VirtualMachine
metadata: {{name: two}}
spec: {{node: pve1, vmid: 102, hardware: {{name: two, memory: {memory}}}}}
"""


def put(bench, memory: int) -> None:
    bench.put(f"  hardware: {{name: win, memory: {memory}}}\n", more=TWO.format(memory=memory))


@pytest.fixture
def transom(bench):
    def run(*args: str, code: int) -> str:
        line = [sys.executable, "-m", "transom", *args, "--state", str(bench.folder / "state")]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run


def test_a_backup_of_one_vm_keeps_no_other_waiting(bench, transom):
    put(bench, 1024)
    bench.apply()
    put(bench, 2048)
    bench.set(lock="backup")
    before = bench.values(102)
    transom("plan", "--detailed-exitcode", code=2)
    (done,) = json.loads(transom("apply", "--yes", "--json", code=3))
    assert (bench.values(101)["memory"], bench.values(102)["memory"]) == ("1024", "2048")
    assert done["plan"]["held_documents"] == {"VirtualMachine/win": ["vm-locked: VM is locked (backup)"]}
    shown = transom("plan", "--detailed-exitcode", code=3)
    assert "held by vm-locked" in shown
    assert "[persisted, live, held]" in shown
    bench.undo(done["run"])
    assert bench.values(102) == before
    bench.write(bench.text().replace("lock: backup\n", ""))
    bench.apply()
    assert bench.plan().empty
    assert {bench.values(vmid)["memory"] for vmid in (101, 102)} == {"2048"}
