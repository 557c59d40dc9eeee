"""Events: no gaps, bounded memory, readers that come late or never read."""

from __future__ import annotations

import threading
import time

from transom.reconcile import hub


def taken(events, count: int) -> list[int]:
    found = []
    for event in events:
        if event is not None:
            found.append(event.seq)
        if len(found) == count:
            break
    return found


def test_a_late_reader_gets_what_is_kept_and_then_what_comes():
    one = hub.Hub(time.time, keep=3)
    for _ in range(5):
        one.tell("x")
    reader = one.events()
    assert taken(reader, 3) == [3, 4, 5]
    threading.Timer(0.1, one.tell, ("y",)).start()
    assert taken(reader, 1) == [6]
    assert taken(one.events(after=5), 1) == [6]


def test_threads_tell_and_nothing_is_missing_or_twice():
    one = hub.Hub(time.time)
    threads = [threading.Thread(target=lambda: [one.tell("x") for _ in range(200)]) for _ in range(4)]
    found: list[int] = []
    reader = threading.Thread(target=lambda: found.extend(taken(one.events(), 800)))
    for thread in (reader, *threads):
        thread.start()
    for thread in (*threads, reader):
        thread.join(10)
    assert found == list(range(1, 801))


def test_nothing_for_a_second_is_none_and_closing_ends_it():
    one = hub.Hub(time.time)
    reader = one.events()
    assert next(reader) is None
    one.tell("last")
    one.close()
    assert [event.kind for event in reader if event] == ["last"]


def test_a_reader_from_another_life_gets_all_of_this_one():
    one = hub.Hub(time.time)
    one.tell("x")
    assert taken(one.events(after=1000), 1) == [1]
