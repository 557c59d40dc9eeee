"""The schedule rings, and only rings: bursts, nodes that come and go, and what was missed. Waits for states, never for times."""

from __future__ import annotations

import datetime
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from patience import PATIENCE, until
from transom.reconcile import schedule, workqueue

HOUR = 3600.0


def utc(*, ago: float = 0.0) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=ago)


class Bell:
    """Counts rings by node."""

    def __init__(self) -> None:
        self.rings: Counter[str] = Counter()
        self.lock = threading.Lock()

    def __call__(self, node: str, reason: str) -> None:
        assert reason == "schedule"
        with self.lock:
            self.rings[node] += 1


@pytest.fixture
def make() -> Iterator[Callable[..., schedule.Schedule]]:
    made: list[schedule.Schedule] = []

    def build(ring: Callable[[str, str], None], **options: object) -> schedule.Schedule:
        made.append(schedule.Schedule(ring, **{"every": HOUR, "jitter": 0.0, **options}))
        return made[-1]

    yield build
    for one in made:
        one.close()
        assert not one.alive


def test_a_burst_of_a_thousand_nodes_is_rung_and_run_once_each(make) -> None:
    runs: Counter[str] = Counter()
    lock = threading.Lock()

    def work(node: str, _reasons: tuple[str, ...]) -> None:
        with lock:
            runs[node] += 1

    queue = workqueue.WorkQueue(work, workers=8)
    timer = make(queue.ring)
    nodes = [f"n{number}" for number in range(1000)]
    timer.follow(nodes)
    timer.start()
    until(lambda: len(runs) == 1000 and not queue.under_way())
    assert set(runs.values()) == {1}
    assert queue.close(PATIENCE) == ()


def test_rings_come_again_and_again(make) -> None:
    bell = Bell()
    timer = make(bell, every=0.02, jitter=0.01)
    timer.follow(["a", "b"])
    timer.start()
    until(lambda: min(bell.rings["a"], bell.rings["b"]) >= 5)
    assert timer.alive


def test_what_was_missed_is_rung_once_however_late(make) -> None:
    bell = Bell()
    timer = make(bell, every=HOUR, now=lambda: utc(ago=100 * HOUR + 60))
    timer.follow(["a"])
    timer.start()
    until(lambda: bell.rings["a"] > 0 and timer.next_rings()["a"] > utc())
    assert bell.rings["a"] == 1
    assert timer.next_rings()["a"] <= utc(ago=-HOUR)


def test_nodes_come_and_go_while_the_others_go_on_as_they_were(make) -> None:
    bell = Bell()
    timer = make(bell)
    timer.follow(["a", "b"])
    timer.start()
    until(lambda: bell.rings == {"a": 1, "b": 1})
    until(lambda: timer.next_rings()["b"] > utc())
    before = timer.next_rings()["b"]
    timer.follow(["b", "c"])
    until(lambda: bell.rings == {"a": 1, "b": 1, "c": 1})
    assert timer.next_rings().keys() == {"b", "c"}
    assert timer.next_rings()["b"] == before
    timer.follow([])
    assert timer.next_rings() == {}
    timer.follow(["a"])
    until(lambda: bell.rings["a"] == 2)


def test_nodes_are_spread_over_the_jitter_and_the_mean_is_the_interval(make) -> None:
    bell = Bell()
    now = utc()
    timer = make(bell, every=100.0, jitter=40.0, now=lambda: now, rng=random.Random(1))
    timer.follow(f"n{number}" for number in range(500))
    first = sorted((due - now).total_seconds() for due in timer.next_rings().values())
    assert 0 <= first[0] < 4
    assert 36 < first[-1] <= 40
    trigger = next(iter(timer._jobs().values())).trigger
    gaps = [(trigger.get_next_fire_time(now, now) - now).total_seconds() for _ in range(2000)]
    assert all(80 <= gap <= 120 for gap in gaps)
    assert 97 < sum(gaps) / len(gaps) < 103


def test_a_bell_that_breaks_does_not_stop_the_schedule(make, caplog) -> None:
    bell = Bell()

    def ring(node: str, reason: str) -> None:
        bell(node, reason)
        if node == "a":
            raise ValueError("broken")

    timer = make(ring, every=0.02)
    timer.follow(["a", "b"])
    timer.start()
    until(lambda: min(bell.rings["a"], bell.rings["b"]) >= 3)
    assert "broken" in caplog.text


def test_after_close_no_ring_comes() -> None:
    bell = Bell()
    timer = schedule.Schedule(bell, every=0.01, jitter=0.0)
    timer.follow(["a"])
    timer.start()
    until(lambda: bell.rings["a"] >= 2)
    timer.close()
    heard = bell.rings["a"]
    time.sleep(0.05)
    assert bell.rings["a"] == heard
    timer.close()


def test_a_jitter_that_is_none_is_refused() -> None:
    for jitter in (-1.0, 11.0):
        with pytest.raises(ValueError, match="jitter must lie between 0 and every, 10"):
            schedule.Schedule(lambda *_: None, every=10, jitter=jitter)
