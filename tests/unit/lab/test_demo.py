"""The parts of the demo: its folder, its script, how events read, what it insists on. The whole is shown by `make demo ONCE=1`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from transom import errors, resources
from transom.lab import breaks, lock
from transom.lab.demo import asking, keeping, place, serving, showing, telling
from transom.plan import policy
from transom.spec import loader, resolve

APPLIED = {"id": "r1", "state": "applied", "error": "", "started_at": 10.0, "ended_at": 12.5}


def event(kind: str, node: str = "pve1", at: float = 0.0, /, **data: Any) -> dict[str, Any]:
    return {"seq": 1, "at": at, "kind": kind, "node": node, "data": data}


# --- the folder ------------------------------------------------------------------------------------------------------


def test_what_an_earlier_demo_left_goes(tmp_path: Path) -> None:
    (tmp_path / "demo/lab/nodes").mkdir(parents=True)
    (tmp_path / "demo/token").write_text("t")
    place.fresh(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
    place.fresh(tmp_path / "demo")


def test_a_folder_that_is_no_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(errors.Rejected, match=r"holds thesis\.tex"):
        place.fresh(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_a_running_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo/lab").mkdir(parents=True)
    handle = lock.take(tmp_path / "demo/lab")
    try:
        with pytest.raises(errors.Busy, match="a demo is running"):
            place.fresh(tmp_path / "demo")
    finally:
        os.close(handle)


# --- the script ------------------------------------------------------------------------------------------------------


def test_the_script_fits_the_document() -> None:
    nodes = resolve.resolve(loader.load([resources.examples_dir() / keeping.DOCUMENT]))
    assert {node.name: node.policy.mode for node in nodes} == {
        "pve1": "enforce", "pve2": "enforce", "pve3": "enforce", "pve4": "propose",
    }  # fmt: skip
    assert len({node.cluster for node in nodes}) == 2
    modes = {node.name: node.policy.mode for node in nodes}
    broken = [kind for wave in keeping.WAVES for kind, _, _ in wave]
    assert len(set(broken)) == 6
    assert all(len({node for _, node, _ in wave}) == len(wave) <= keeping.BELIEVED for wave in keeping.WAVES)
    assert all(breaks.find(kind).repairable for kind in broken)
    assert all(modes[node] == "enforce" for wave in keeping.WAVES for _, node, _ in wave)
    assert not breaks.find(keeping.REFUSED[0]).repairable
    assert modes[keeping.ASKED[1]] == "propose"


def test_the_breaker_stands_and_believes_what_the_script_says() -> None:
    for node in resolve.resolve(loader.load([resources.examples_dir() / keeping.DOCUMENT])):
        for count in range(5):
            scan = policy.FleetScan(4, frozenset(f"pve{number}" for number in range(count)))
            assert bool(policy.fleet_drift(node.policy.limits, scan)) == (count > keeping.BELIEVED)


def test_only_what_was_told_within_the_scan_counts() -> None:
    heard = [
        event("drift.appeared", "pve1", 5),
        event("drift.appeared", "pve2", 15),
        event("run.ended", "pve3", 15),
        event("drift.appeared", "pve2", 16),
    ]
    assert keeping.newly_differ(heard, 10) == {"pve2"}
    assert keeping.newly_differ(heard, 1) == {"pve1", "pve2"}


# --- how events read -------------------------------------------------------------------------------------------------

DRIFT = {"observed": None, "desired": "none", "why": "w" * 200}
FINDING = {
    "id": "f", "summary": "s", "evidence": [{"source": "/etc/x:3", "says": "y"}], "remedy": "Mend it."
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "want"),
    [
        (
            event("drift.appeared", kind="drift", key="qemu/1/vga", detail=DRIFT),
            "differs   qemu/1/vga: nothing instead",
        ),
        (event("drift.appeared", kind="finding", key="f x", detail=FINDING), "evidence: /etc/x:3: y"),
        (event("drift.appeared", kind="finding", key="f x", detail=FINDING), "→ Mend it."),
        (event("plan.waiting", reason="it waits"), "waits     it waits"),
        (event("plan.held", reason="f: because"), "held      nothing is changed on this node: f"),
        (event("plan.approved", by="demo", summary="pve1: 2 differences"), "approved  by demo: 2 differences"),
        (event("run.step", phase="after", text="it is\nso"), "✓       it is so"),
        (event("run.ended", **APPLIED), "applied   run r1, 2.5 s"),
        (event("run.ended", **{**APPLIED, "state": "failed", "error": "no disk"}), "failed    run r1, 2.5 s no disk"),
    ],
)
def test_how_it_reads(told: Mapping[str, Any], want: str) -> None:
    lines = list(telling.lines(told, steps=True))
    assert any(want in line for line in lines), lines
    assert all(len(line) <= 118 and line.startswith("pve1") and "\n" not in line for line in lines)


def test_of_differences_in_a_row_the_first_is_told_at_length() -> None:
    first, second = (event("drift.appeared", kind="drift", key=key, detail=DRIFT) for key in ("a", "b"))
    elsewhere = event("drift.appeared", "pve2", kind="drift", key="c", detail=DRIFT)
    finding = event("drift.appeared", kind="finding", key="f x", detail=FINDING)
    assert list(telling.lines(second, first, steps=True)) == ["pve1  and       b"]
    assert list(telling.lines(second, first, steps=False)) == []
    for told, before in ((first, None), (elsewhere, first), (finding, first), (second, finding)):
        assert len(list(telling.lines(told, before, steps=True))) > 1


@pytest.mark.parametrize("kind", ["node.state", "operation.changed", "drift.gone", "run.started", "plan.applied"])
def test_what_needs_no_telling(kind: str) -> None:
    assert list(telling.lines(event(kind), steps=True)) == []


def test_without_steps_only_the_reboot_is_told() -> None:
    reboot = event("run.step", phase="before", text="reboot the node")
    assert len(list(telling.lines(reboot, steps=False))) == 1
    assert list(telling.lines(event("run.step", phase="before", text="write a file"), steps=False)) == []
    appeared = event("drift.appeared", kind="drift", key="k", detail=DRIFT)
    assert list(telling.lines(appeared, steps=False)) == []


# --- what it insists on ----------------------------------------------------------------------------------------------


def fed(*told: Mapping[str, Any], end: bool = False) -> asking.Events:
    """A stream that says this, and then ends or is silent."""

    def lines(take: Callable[[str], None], ready: Callable[[], None]) -> None:
        for one in ({"detail": "reset"}, *told):
            take(f"data: {json.dumps(one)}")
        ready()
        time.sleep(0 if end else 5)

    return asking.Events(lines)


def follow(tmp_path: Path, events: asking.Events, done: Callable[[], bool]) -> list[str]:
    said: list[str] = []
    showing.Show(said.append).follow(serving.Daemon(tmp_path), events, done, "it comes about")
    return said


def test_it_follows_until_it_has_come_about(tmp_path: Path) -> None:
    ended = iter([False, False, True])
    said = follow(
        tmp_path, fed(event("run.ended", **APPLIED), event("plan.waiting", reason="why")), lambda: next(ended)
    )
    assert [line.partition("  pve1  ")[2] for line in said] == ["applied   run r1, 2.5 s", "waits     why"]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (event("run.ended", **{**APPLIED, "state": "failed", "error": "no disk"}), "r1 ended as failed: no disk"),
        (event("fleet.held", newly_drifted=["pve1"]), "more nodes newly differ at once"),
    ],
)
def test_what_has_no_place_in_a_showing_ends_it(tmp_path: Path, told: Mapping[str, Any], why: str) -> None:
    with pytest.raises(errors.VerifyFailed, match=why):
        follow(tmp_path, fed(told), lambda: False)


def test_what_takes_too_long_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "PATIENCE", 0.1)
    with pytest.raises(errors.VerifyFailed, match="not within 0 s: it comes about"):
        follow(tmp_path, fed(), lambda: False)


def test_a_stream_that_ends_ends_it(tmp_path: Path) -> None:
    with pytest.raises(errors.Unreachable, match="stream of events has ended"):
        follow(tmp_path, fed(end=True), lambda: False)


def test_what_is_not_so_ends_it() -> None:
    with pytest.raises(errors.VerifyFailed, match="this is not so: pve1 is well"):
        showing.Show(lambda _: None).check(False, "pve1 is well")


def test_the_command_says_what_is_wrong_and_ends_with_its_code(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    words = [sys.executable, "-m", "transom", "lab", "demo", "--once", "--dir", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "holds thesis.tex, which is no demo's (choose another --dir)" in done.stderr
