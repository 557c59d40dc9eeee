"""``stopping``: whoever tells it, the wait ends, and stays ended."""

from __future__ import annotations

import os
import signal
import threading

from patience import PATIENCE
from transom import stopping


def test_it_is_not_set_by_itself():
    stop = stopping.Stop()
    assert (stop.wait(0.01), stop.is_set()) == (False, False)


def test_a_thread_sets_it_for_good():
    stop = stopping.Stop()
    teller = threading.Thread(target=stop.set)
    teller.start()
    stop.wait_long()
    teller.join()
    assert (stop.wait(0), stop.is_set()) == (True, True)


def test_a_signal_that_comes_while_it_is_set_does_not_hang():
    stop = stopping.Stop()
    before = signal.signal(signal.SIGUSR1, lambda *_: stop.set())
    try:
        for _ in range(500):
            os.kill(os.getpid(), signal.SIGUSR1)
            stop.set()
            assert stop.wait(PATIENCE)
    finally:
        signal.signal(signal.SIGUSR1, before)
