"""The lab's Proxmox VE API against what the real one answered, by the comparator that came with the records."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

COMPARATOR = Path(__file__).resolve().parents[3] / "shared/tools/contract_replay.py"


@pytest.fixture
def rig(contract: Path, tmp_path: Path) -> Iterator[str]:
    """The server as a process of its own, in the contract's world; gives its address."""
    command = [
        sys.executable,
        "-m",
        "transom.lab.pve",
        "--root",
        str(tmp_path),
        "--world",
        str(contract / "world.json"),
    ]
    with subprocess.Popen([*command, "--delay", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().split()[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.timeout(240)
def test_the_recorded_contract(rig: str, contract: Path, tmp_path: Path) -> None:
    if not COMPARATOR.exists():
        pytest.skip(f"the comparator is not there ({COMPARATOR})")
    command = [sys.executable, str(COMPARATOR), str(contract / "open.jsonl"), "--url", rig, "--root", str(tmp_path)]
    command += ["--credentials", str(tmp_path / "credentials.json"), "--control", str(tmp_path / "control"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=220, check=False)
    report = json.loads(done.stdout)
    failed = {case["id"]: case["why"][:2] for case in report["cases"] if case["verdict"] != "passed"}
    assert report["core"]["failed"] + report["core"]["not set up"] == 0, failed
    tried = report["total"]["passed"] + report["total"]["failed"]
    assert report["total"]["passed"] >= 0.95 * tried > 300, failed
    assert done.returncode == 0
