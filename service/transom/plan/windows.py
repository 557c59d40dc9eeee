"""When a policy's windows let changes through: cron, a duration and a time zone; one that denies wins.

Pure: the tz database counts as data of the standard library. All times in and out are aware; those out are UTC.
"""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Sequence

import cronsim

from transom import errors
from transom.spec import wish

_MOST_CHANGES = 500
"""How many openings and closings are followed to find the next opening; denials that leave no gap have no end."""
_REPEATED = datetime.timedelta(hours=3)
"""More than clocks are ever put back by."""


def is_open(windows: Sequence[wish.Window], now: datetime.datetime) -> bool:
    """Whether changes may be made at ``now``. Without a window that allows, every time is allowed that none denies."""
    at = now.astimezone(datetime.UTC)
    allowing = [window for window in windows if not window.deny]
    denied = any(_until(window, at) for window in windows if window.deny)
    return not denied and (not allowing or any(_until(window, at) for window in allowing))


def next_opening(windows: Sequence[wish.Window], now: datetime.datetime) -> datetime.datetime | None:
    """The first time from ``now`` on at which changes may be made; None when the next 500 changes bring none."""
    at = now.astimezone(datetime.UTC)
    allowing = [window for window in windows if not window.deny]
    for _ in range(_MOST_CHANGES):
        if denials := [end for window in windows if window.deny and (end := _until(window, at))]:
            at = max(denials)
        elif not allowing or any(_until(window, at) for window in allowing):
            return at
        elif starts := [start for window in allowing if (start := _next_start(window, at))]:
            at = min(starts)
        else:
            return None
    return None


def _until(window: wish.Window, at: datetime.datetime) -> datetime.datetime | None:
    """When the opening ends that ``at`` lies in; None when it lies in none. The latest start is the one that ends last."""
    start = _last_start(window, at)
    end = _end(window, start) if start else None
    return end if end and at < end else None


def _last_start(window: wish.Window, at: datetime.datetime) -> datetime.datetime | None:
    """The latest start not after ``at``."""
    zone = _zone(window.timezone)
    local = at.astimezone(zone)
    if local.fold:  # cronsim follows the wall clock, and would miss what came before it was put back
        local = (at + _REPEATED).astimezone(zone)
    # the microsecond makes a start at this very second count (cronsim strips it, and takes that for the first step)
    found = cronsim.CronSim(window.cron, local.replace(microsecond=1), reverse=True)
    starts = (start.astimezone(datetime.UTC) for start in found)
    return next((start for start in starts if start <= at), None)


def _next_start(window: wish.Window, at: datetime.datetime) -> datetime.datetime | None:
    """The first start after ``at``."""
    found = cronsim.CronSim(window.cron, at.astimezone(_zone(window.timezone)))
    starts = (start.astimezone(datetime.UTC) for start in found)
    return next((start for start in starts if start > at), None)


def _end(window: wish.Window, start: datetime.datetime) -> datetime.datetime:
    """Hours and minutes are exact, days go by the calendar: until the same time of the day (RFC 5545, 3.3.6)."""
    amount, unit = int(window.duration[:-1]), window.duration[-1]
    if unit == "d":
        local = start.astimezone(_zone(window.timezone))
        return (local + datetime.timedelta(days=amount)).astimezone(datetime.UTC)
    return start + datetime.timedelta(minutes=amount * (60 if unit == "h" else 1))


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except zoneinfo.ZoneInfoNotFoundError as error:  # documents were checked, but maybe on another machine
        reason = f'the time zone "{name}" of a policy is not known here (install the package tzdata)'
        raise errors.SpecError([reason]) from error
