"""The daemon killed without warning at random moments of its applies: afterwards converged or held, store and journals whole.

``TRANSOM_KILLS`` sets how many applies each of the four seeds gets; 3 by default, 13 make it more than 50 together.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time

import pytest

from patience import until
from transom.store import records

ROUNDS = int(os.environ.get("TRANSOM_KILLS", "3"))


@pytest.mark.timeout(60 + 60 * ROUNDS)
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_killed_at_random_moments(bench, seed):
    rng = random.Random(seed)
    ends = []
    for number in range(ROUNDS):
        document = variant(bench, rng, number)
        for _ in range(rng.choice([1, 1, 2])):
            killed(bench, document, f"{seed}-{number}", rng.uniform(0.0, 5.0))
        with bench.child(document, f"{seed}-{number}") as process:
            assert process.stdout is not None
            operation = process.stdout.readline().strip()
            with bench.store() as kept:
                until(lambda kept=kept, id=operation: ended(kept, id))
                (share,) = kept.operations.shares(operation)
            process.send_signal(signal.SIGTERM)
        ends.append((share.state, share.reason))
        whole(bench)
    assert {state for state, _ in ends} <= {records.DONE}, ends


def variant(bench, rng: random.Random, number: int):
    """Documents that ask for other host settings and another VM than those before."""
    text = bench.seed.read_text()
    text = text.replace("memory: 8192", f"memory: {4096 + 256 * number + 16 * rng.randrange(16)}")
    if number % 2:
        text = text.replace("      - initcall_blacklist=sysfb_init\n", "").replace("      - snd_hda_codec_hdmi\n", "")
    path = bench.seed.with_name(f"variant-{number}.yaml")
    path.write_text(text)
    return path


def killed(bench, document, key: str, after: float) -> None:
    with bench.child(document, key) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("op-"), (bench.folder / "stderr").read_text()
        time.sleep(after)
        process.send_signal(signal.SIGKILL)


def ended(kept, operation: str) -> bool:
    """Converged, failed, or waiting for a person; what is held for the moment (a node that boots) goes on by itself."""
    (share,) = kept.operations.shares(operation)
    assert share.state == records.QUEUED or share.reason or share.state == records.RUNNING
    return share.state in (records.DONE, records.FAILED, records.WAITING)


def whole(bench) -> None:
    with sqlite3.connect(bench.state / "transom.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    with bench.store() as kept:
        runs = kept.runs()
        assert [run.id for run in runs if run.state == records.RUNNING] == []
        for run in runs:
            journal = kept.events(run.id)
            assert [event.seq for event in journal] == list(range(1, len(journal) + 1))
            begun = [event.step for event in journal if event.phase == "before"]
            assert begun == list(range(1, len(begun) + 1))
            assert kept.plan(run.plan) is not None
    node = bench.lab.node("pve1")
    for path in (
        "etc/default/grub.d/90-transom.cfg",
        "etc/modprobe.d/zz-transom.conf",
        "etc/modules-load.d/transom.conf",
    ):
        lines = (node.root / path).read_text().splitlines()
        assert len(lines) == len(set(lines)), path
    assert [path.name for path in (node.root / "etc/pve/qemu-server").glob("*.conf")] == ["112.conf"]
