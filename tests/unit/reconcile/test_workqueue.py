"""The work queue: its bookkeeping against a model, its threads under load, hanging nodes and errors at random.

Nothing is judged by how long it took: tests wait for a state, for as long as a busy machine may need.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings, stateful
from hypothesis import strategies as st

from patience import PATIENCE, until
from transom import errors
from transom.reconcile import agenda, workqueue


@pytest.fixture
def make() -> Iterator[Callable[..., workqueue.WorkQueue]]:
    made: list[workqueue.WorkQueue] = []

    def build(work: workqueue.Work, **options: object) -> workqueue.WorkQueue:
        made.append(workqueue.WorkQueue(work, **options))
        return made[-1]

    yield build
    assert all(queue.close(PATIENCE) == () for queue in made)


def no_delay(error: Exception, attempts: int, rng: random.Random) -> float | None:
    """The real decision, without its seconds."""
    return None if workqueue.retry(error, attempts, rng) is None else 0.0


# --- threads ---------------------------------------------------------------------------------------------------------


def test_a_thousand_rings_from_eight_threads_never_overlap_and_lose_no_last_state(make) -> None:
    changing, state, seen = threading.Lock(), Counter(), Counter()
    busy = {node: threading.Lock() for node in ("a", "b")}
    overlaps, runs = [], Counter()

    def work(node: str, reasons: tuple[str, ...]) -> None:
        if not busy[node].acquire(blocking=False):
            overlaps.append(node)
            return
        assert reasons
        seen[node] = state[node]
        runs[node] += 1
        time.sleep(0.001)
        busy[node].release()

    queue = make(work)

    def ring(thread: int) -> None:
        for number in range(125):
            node = "a" if number % 5 else "b"
            with changing:
                state[node] += 1
            queue.ring(node, f"thread {thread}")

    threads = [threading.Thread(target=ring, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: seen == state and not queue.under_way())
    assert not overlaps
    assert state == {"a": 800, "b": 200}
    assert sum(runs.values()) <= 1000


def test_rings_during_a_run_become_one_more_run_with_their_reasons(make) -> None:
    begun, go = threading.Event(), threading.Event()
    runs: list[tuple[str, ...]] = []

    def work(_node: str, reasons: tuple[str, ...]) -> None:
        runs.append(reasons)
        begun.set()
        assert go.wait(PATIENCE)

    queue = make(work)
    queue.ring("a", "first")
    assert begun.wait(PATIENCE)
    for reason in ("schedule", "api", "schedule"):
        queue.ring("a", reason)
    assert queue.under_way().keys() == {"a"}
    go.set()
    until(lambda: len(runs) == 2 and not queue.under_way())
    assert runs == [("first",), ("schedule", "api")]


@pytest.mark.parametrize("workers", [10, 256])
def test_one_hanging_node_of_ten_delays_nobody(make, workers: int) -> None:
    release, hangs = threading.Event(), threading.Event()
    runs: Counter[str] = Counter()

    def work(node: str, _reasons: tuple[str, ...]) -> None:
        if node == "n0":
            hangs.set()
            assert release.wait(PATIENCE)
        runs[node] += 1

    queue = make(work, workers=workers)
    nodes = [f"n{number}" for number in range(10)]
    for turn in range(1, 21):  # twenty scans of the whole fleet, each complete but for the one that hangs
        for node in nodes:
            queue.ring(node, "schedule")
        until(lambda turn=turn: all(runs[node] == turn for node in nodes[1:]))
    assert hangs.is_set()
    assert runs["n0"] == 0
    assert list(queue.under_way()) == ["n0"]
    release.set()
    until(lambda: runs["n0"] == 2)  # the one that hung, and one for all rings since


def test_no_more_runs_at_a_time_than_workers_and_all_get_theirs(make) -> None:
    lock, at_once, most, done = threading.Lock(), [0], [0], Counter()

    def work(node: str, _reasons: tuple[str, ...]) -> None:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.001)
        with lock:
            at_once[0] -= 1
            done[node] += 1

    queue = make(work, workers=3)
    for number in range(50):
        queue.ring(f"n{number}", "start")
    until(lambda: len(done) == 50 and not queue.under_way())
    assert most[0] <= 3


def test_errors_at_random_lose_no_last_state_and_stop_nobody(make, caplog) -> None:
    caplog.set_level(logging.CRITICAL)
    dice, lock = random.Random(7), threading.Lock()
    state, seen, raised = Counter(), Counter(), Counter()
    faults = [
        errors.Unreachable("x"),
        errors.Busy("x"),
        errors.Void("x"),
        errors.Garbled("x"),
        ValueError("x"),
        KeyError("x"),
    ]

    def work(node: str, _reasons: tuple[str, ...]) -> None:
        with lock:
            fault = dice.choice(faults) if dice.random() < 0.5 else None
        found = state[node]
        if fault:
            raised[type(fault)] += 1
            raise fault
        seen[node] = found

    queue = make(work, retry=no_delay)
    for _ in range(20):
        for number in range(30):
            node = f"n{number % 6}"
            state[node] += 1
            queue.ring(node, "change")
        until(lambda: seen == state and not queue.under_way())
    assert queue.alive
    assert raised.keys() == {type(fault) for fault in faults}


def test_an_error_that_cannot_go_away_waits_for_the_next_ring(make) -> None:
    runs: list[tuple[str, ...]] = []

    def work(_node: str, reasons: tuple[str, ...]) -> None:
        runs.append(reasons)
        raise errors.Denied("the token was revoked")

    queue = make(work, retry=no_delay)
    queue.ring("a", "schedule")
    until(lambda: len(runs) == 1 and not queue.under_way())
    queue.ring("a", "token changed")
    until(lambda: len(runs) == 2 and not queue.under_way())
    assert runs == [("schedule",), ("token changed",)]


def test_failures_in_a_row_are_counted_and_a_success_ends_the_row(make) -> None:
    fails = [True, True, False, True, False]
    asked: list[int] = []
    runs: list[tuple[str, ...]] = []

    def work(_node: str, reasons: tuple[str, ...]) -> workqueue.Again | None:
        runs.append(reasons)
        if fails[len(runs) - 1]:
            raise errors.Unreachable("no answer")
        return workqueue.Again(0, "not yet") if len(runs) == 3 else None

    def retry(_error: Exception, attempts: int, _rng: random.Random) -> float | None:
        asked.append(attempts)
        return 0.0

    queue = make(work, retry=retry)
    queue.ring("a", "schedule")
    until(lambda: len(runs) == 5 and not queue.under_way())
    assert asked == [1, 2, 1]
    assert [reason for (reason,) in runs] == [
        *("schedule", "try 2 after Unreachable", "try 3 after Unreachable"),
        *("not yet", "try 2 after Unreachable"),
    ]


def test_a_mistake_is_logged_with_its_traceback_an_expected_error_in_one_line(make, caplog) -> None:
    def work(node: str, _reasons: tuple[str, ...]) -> None:
        raise ZeroDivisionError("oops") if node == "a" else errors.Rejected("vmid 100 exists")

    queue = make(work, retry=lambda *_: None)
    queue.ring("a", "x")
    queue.ring("b", "x")
    until(lambda: len(caplog.records) == 2 and not queue.under_way())
    by_level = {record.levelname: record for record in caplog.records}
    assert by_level["ERROR"].exc_info
    assert by_level["WARNING"].getMessage() == "b: vmid 100 exists"
    assert not by_level["WARNING"].exc_info


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_run_that_leaves_its_thread_gives_the_turn_back(make) -> None:
    runs: list[str] = []

    def work(_node: str, reasons: tuple[str, ...]) -> None:
        runs.append(reasons[0])
        raise SystemExit

    queue = make(work)
    for reason in ("one", "two"):
        queue.ring("a", reason)
        until(lambda reason=reason: runs[-1:] == [reason] and not queue.under_way())
    until(lambda: "run a" not in {thread.name for thread in threading.enumerate()})


def test_no_thread_to_be_had_is_tried_again(make, monkeypatch) -> None:
    runs: list[tuple[str, ...]] = []
    queue = make(lambda _, reasons: runs.append(reasons))
    start = threading.Thread.start

    def refuse_once(_thread: threading.Thread) -> None:
        monkeypatch.setattr(threading.Thread, "start", start)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    queue.ring("a", "one")
    until(lambda: bool(runs))
    assert runs == [("one",)]


def test_a_later_turn_comes_later_and_not_before(make) -> None:
    runs: list[tuple[float, tuple[str, ...]]] = []

    def work(_node: str, reasons: tuple[str, ...]) -> workqueue.Again | None:
        runs.append((time.monotonic(), reasons))
        return workqueue.Again(0.05, "phase") if len(runs) == 1 else None

    queue = make(work)
    rung = time.monotonic()
    queue.ring("a", "later", delay=0.05)
    until(lambda: len(runs) == 2)
    assert runs[0][0] - rung >= 0.05
    assert runs[1][0] - runs[0][0] >= 0.05
    assert [reasons for _, reasons in runs] == [("later",), ("phase",)]


def test_a_ring_for_now_is_not_kept_waiting_by_one_for_later(make) -> None:
    runs: list[tuple[str, ...]] = []
    queue = make(lambda _, reasons: runs.append(reasons))
    queue.ring("a", "at night", delay=1e12)
    for turn in ("one", "two"):  # the second finds the dispatcher waiting for what is to come in 30,000 years
        queue.ring("b", turn)
        until(lambda turn=turn: runs[-1:] == [(turn,)] and not queue.under_way())
    queue.ring("a", "now")
    until(lambda: len(runs) == 3)
    assert runs == [("one",), ("two",), ("at night", "now")]


def test_waiting_is_not_busy(make) -> None:
    asked, release = Counter(), threading.Event()

    def clock() -> float:
        asked["clock"] += 1
        return time.monotonic()

    queue = make(lambda *_: release.wait(PATIENCE) and None, clock=clock)
    queue.ring("a", "hangs")
    until(lambda: bool(queue.under_way()))
    queue.ring("a", "waits for its own run")
    queue.ring("b", "not due", delay=3600)
    before = asked["clock"]
    time.sleep(0.2)
    assert asked["clock"] - before <= 10  # a busy wait asks thousands of times
    release.set()


# --- the end ---------------------------------------------------------------------------------------------------------


def test_close_waits_for_runs_under_way_and_begins_none() -> None:
    begun, go, runs = threading.Event(), threading.Event(), []

    def work(node: str, _reasons: tuple[str, ...]) -> None:
        begun.set()
        assert go.wait(PATIENCE)
        runs.append(node)

    queue = workqueue.WorkQueue(work, workers=1)
    queue.ring("a", "x")
    queue.ring("b", "waits for a worker")
    assert begun.wait(PATIENCE)
    assert queue.close(0.01) == ("a",)
    assert not queue.alive
    go.set()
    assert queue.close(PATIENCE) == ()
    queue.ring("c", "too late")
    assert runs == ["a"]
    assert "queue" not in {thread.name for thread in threading.enumerate()}


# --- another try -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "first", "longest"),
    [
        (errors.Void("x"), 1, 60),
        (errors.Busy("x"), 5, 60),
        (errors.Unreachable("x"), 10, 900),
        (errors.Garbled("x"), 10, 900),
        (RuntimeError("x"), 10, 900),
    ],
)
def test_back_off_doubles_up_to_a_limit_with_jitter(error: Exception, first: float, longest: float) -> None:
    rng = random.Random(1)
    for attempts in (1, 2, 3, 4, 5, 8, 12, 5000):
        middle = min(longest, first * 2 ** (attempts - 1))
        delays = [workqueue.retry(error, attempts, rng) for _ in range(200)]
        assert all(delay is not None and middle / 2 <= delay <= middle for delay in delays)
        assert len(set(delays)) > 100


@pytest.mark.parametrize(
    "error",
    [
        errors.SpecError(["x"]),
        errors.Denied("x"),
        errors.Rejected("x"),
        errors.VerifyFailed("x"),
        errors.RomError("x"),
        errors.SandboxError("x"),
        errors.Defect("x"),
    ],
)
def test_what_cannot_go_away_is_not_tried_again(error: Exception) -> None:
    assert workqueue.retry(error, 1, random.Random(1)) is None


def test_every_kind_of_error_has_its_answer() -> None:
    for kind in errors.Retry:
        error = type("Some", (errors.TransomError,), {"retry": kind})("x")
        assert (workqueue.retry(error, 1, random.Random(1)) is None) == (kind is errors.Retry.NEVER)


# --- bookkeeping -----------------------------------------------------------------------------------------------------


def test_who_rings_all_the_time_does_not_push_others_aside() -> None:
    book = agenda.Agenda()
    book.ring("loud", "x", 0)
    book.ring("quiet", "x", 0)
    taken = []
    for now in range(4):
        turn = book.take(now)
        taken.append(turn[0] if turn else "")
        book.ring("loud", "again", now)
        if turn:
            book.end(turn[0], failed=False)
    assert taken == ["loud", "quiet", "loud", "loud"]


def test_reasons_of_a_node_that_hangs_are_not_kept_without_an_end() -> None:
    book = agenda.Agenda()
    for number in range(10_000):
        book.ring("a", f"reason {number}", 0)
    turn = book.take(0)
    assert turn
    assert turn[1] == tuple(f"reason {number}" for number in range(50))


class Model(stateful.RuleBasedStateMachine):
    """The agenda against what it promises: per node a due time or none, and a run or none."""

    def __init__(self) -> None:
        super().__init__()
        self.book = agenda.Agenda()
        self.now = 0.0
        self.due: dict[str, float] = {}
        self.waiting: dict[str, list[str]] = {}
        self.running: set[str] = set()
        self.failures: Counter[str] = Counter()

    @stateful.rule(node=st.sampled_from("abcd"), reason=st.sampled_from("xyz"), delay=st.integers(0, 3))
    def ring(self, node: str, reason: str, delay: int) -> None:
        self.book.ring(node, reason, self.now + delay)
        self.due[node] = min(self.due.get(node, self.now + delay), self.now + delay)
        reasons = self.waiting.setdefault(node, [])
        if reason not in reasons:
            reasons.append(reason)

    @stateful.rule()
    def pass_time(self) -> None:
        self.now += 1

    @stateful.rule()
    def take(self) -> None:
        ready = {node: due for node, due in self.due.items() if due <= self.now and node not in self.running}
        turn = self.book.take(self.now)
        if not ready:
            assert turn is None
            return
        assert turn
        node, reasons = turn
        assert ready[node] == min(ready.values())
        assert list(reasons) == self.waiting.pop(node)
        del self.due[node]
        self.running.add(node)

    @stateful.precondition(lambda self: self.running)
    @stateful.rule(data=st.data(), failed=st.booleans())
    def end(self, data: st.DataObject, failed: bool) -> None:
        node = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(node)
        self.failures[node] = self.failures[node] + 1 if failed else 0
        assert self.book.end(node, failed=failed) == self.failures[node]

    @stateful.invariant()
    def what_it_says_of_itself(self) -> None:
        assert self.book.under_way().keys() == self.running
        able = [due for node, due in self.due.items() if node not in self.running]
        assert self.book.next_due() == min(able, default=None)

    def teardown(self) -> None:
        """No ring is lost: once all runs have ended and time has passed, every ring has had its turn."""
        for node in sorted(self.running):
            self.book.end(node, failed=False)
        left = set()
        while turn := self.book.take(self.now + 10):
            left.add(turn[0])
        assert left == self.due.keys()


Model.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestAgenda = Model.TestCase
