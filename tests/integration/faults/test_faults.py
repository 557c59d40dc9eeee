"""The whole job over a line that breaks: no write is lost or doubled, nothing crashes, memory is bounded, and without faults it
converges. ``TRANSOM_FAULTS=10000`` is the whole; without it a share of that."""

from __future__ import annotations

import collections
import gc
import os
import pathlib
import resource

import pytest

from transom.lab.pve import power
from transom.reconcile import task
from transom.store import records

FAULTS = int(os.environ.get("TRANSOM_FAULTS", "400"))
FIRST = int(os.environ.get("TRANSOM_FAULTS_SEED", "1"))
A_PHASE = 12
"""Faults while one thing is brought about."""
GROWTH = 48 << 10
"""KiB that the process may grow by, after the first scenarios."""


@pytest.mark.timeout(max(120, FAULTS))
def test_no_write_is_lost_or_doubled(bench, line, monkeypatch):
    monkeypatch.setattr(power, "POWERDOWN", 0)
    seen: collections.Counter[str] = collections.Counter()
    begun = 0
    for seed in range(FIRST, FIRST + FAULTS):
        one = bench(seed, shell=seed % 3 != 0)
        _scenario(one)
        seen += one.line.seen
        if seed == FIRST + 5:
            gc.collect()
            begun = _resident()
        if seen.total() >= FAULTS:
            break
    assert seen.total() >= FAULTS
    assert set(seen) == set(line.KINDS)
    assert not begun or _resident() - begun < GROWTH


def _scenario(one) -> None:
    """A VM is made while others take ids, changed, and changed while it runs; each under faults."""
    rivals = [vmid for vmid in (100, 101) if one.rng.random() < 0.3]
    one.api.before_write = lambda request: _rival(one, request, rivals)
    one.declare(memory=2048, cpu="host")
    _brought_about(one)
    (vmid,) = one.ours()
    one.declare(memory=4096, cpu="host", serial="b")
    _brought_about(one)
    one.start_vm(vmid)
    one.declare(memory=4096, cpu="x86-64-v3", serial="b")
    _brought_about(one)
    assert one.ours() == [vmid]
    _nothing_doubled(one)
    _nothing_lost(one)
    theirs = [one.here.load(number).main for number in one.here.place.vmids() if number != vmid]
    assert theirs in ([{"name": "theirs"}] * number for number in range(len(rivals) + 1))


def _rival(one, request, rivals: list[int]) -> None:
    """Somebody takes the id that we are about to ask for."""
    for vmid in rivals:
        path = one.here.place.config(vmid)
        if request.url.path.endswith("/qemu") and f"vmid={vmid}" in request.content.decode() and not path.exists():
            path.write_text("name: theirs\n")


def _brought_about(one) -> None:
    one.line.left = A_PHASE
    turns = 0
    while one.line.left and not one.turn():
        turns += 1
        assert turns < 60, "it never gets on"
    one.line.left = 0
    assert any(one.turn() for _ in range(4)), [run.error for run in one.store.runs()][:3]


def _nothing_doubled(one) -> None:
    writes = [write.what for write in one.api.writes]
    assert len(set(writes)) == len(writes), collections.Counter(writes).most_common(1)
    kinds = collections.Counter(task_kind(upid) for upid in _asked_for(one))
    assert kinds == {"qmcreate": 1, "qmreboot": 1}
    volumes = list((one.here.place.state / "volumes").rglob("*disk*"))
    assert len(volumes) == 1


def _nothing_lost(one) -> None:
    """Every write that the API has carried out stands in the journal of a run: what was wanted before it, the UPID after it."""
    runs = one.store.runs()
    events = [event for run in runs for event in one.store.events(run.id)]
    known = {event.data["upid"] for event in events if event.phase in (task.TASK, task.TASK_END) and event.data}
    assert set(_asked_for(one)) <= known
    wanted = [event.data for event in events if event.phase == "before"]
    for write in one.api.writes:
        if write.method == "PUT":
            vmid, keys = int(write.path.split("/")[6]), set(write.form) - {"digest", "delete"}
            assert any(effect["vmid"] == vmid and keys <= set(effect["wanted"]) for effect in wanted)
    assert not [run for run in runs if run.state == records.RUNNING]
    assert task.left_open(one.store.events(runs[0].id)) is None


def _asked_for(one) -> list[str]:
    """The tasks but the start that PVE itself begins after a restart."""
    return [upid for upid in one.tasks.begun if task_kind(upid) != "qmstart"]


def task_kind(upid: str) -> str:
    return upid.split(":")[5]


def _resident() -> int:
    """KiB."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 10
