"""Waiting for what another thread or process brings about: one patience for all tests, which a machine with much else to do does
not exhaust. Whoever waits returns at once when it holds, so patience costs only a test that fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from transom.reconcile import backend, keeper

PATIENCE = 120.0
"""Seconds. Less than the limit of a test, which would not say what was waited for."""

T = TypeVar("T")


def until(holds: Callable[[], T], why: Callable[[], object] = lambda: "it did not come about") -> T:
    """What ``holds`` says once it is true; fails with what ``why`` says then."""
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < end, why()
        time.sleep(0.005)
    return found


def settled(one: keeper.Keeper, asked: backend.Operation, *states: str) -> backend.Operation:
    """The operation once it is in one of ``states``; by default once it no longer runs."""
    wanted = states or ("done", "held", "waiting", "failed")
    until(lambda: one.operation(asked.id).state in wanted, lambda: one.operation(asked.id))
    return one.operation(asked.id)
