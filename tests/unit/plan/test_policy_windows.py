"""Windows: both changes of the clocks by table, everything else against a model that counts by hand."""

from __future__ import annotations

import datetime
import itertools
import zoneinfo
from collections.abc import Iterator, Sequence

import hypothesis
import pytest
from hypothesis import strategies as st

from transom import errors
from transom.plan import windows
from transom.spec import wish

BERLIN = "Europe/Berlin"
MINUTE = datetime.timedelta(minutes=1)
DAY = datetime.timedelta(days=1)


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


# Berlin, 2026: at 01:00 UTC on 29 March 02:00 becomes 03:00; at 01:00 UTC on 25 October 03:00 becomes 02:00 again.
@pytest.mark.parametrize(
    ("cron", "duration", "opens", "closes"),
    [
        ("0 3 * * *", "90m", "2026-07-01T01:00", "2026-07-01T02:30"),
        ("0 3 * * *", "2h", "2026-01-01T02:00", "2026-01-01T04:00"),
        # 02:30 is skipped: it opens when the clocks have been put on, as Debian's cron does
        ("30 2 * * *", "1h", "2026-03-29T01:00", "2026-03-29T02:00"),
        # hours are exact, though the wall clock shows nine
        ("0 22 * * sat", "8h", "2026-03-28T21:00", "2026-03-29T05:00"),
        # a day of 23 hours, and what ends in the skipped hour
        ("0 0 * * sun", "1d", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("30 2 * * sat", "1d", "2026-03-28T01:30", "2026-03-29T01:30"),
        # 02:30 comes twice: the first time opens it, once
        ("30 2 * * *", "1h", "2026-10-25T00:30", "2026-10-25T01:30"),
        ("30 2 * * *", "15m", "2026-10-25T00:30", "2026-10-25T00:45"),
        ("0 22 * * sat", "8h", "2026-10-24T20:00", "2026-10-25T04:00"),
        # a day of 25 hours, and what ends in the repeated hour
        ("0 0 * * sun", "1d", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("30 2 * * sat", "1d", "2026-10-24T00:30", "2026-10-25T00:30"),
        # every hour means every hour that passes
        ("30 * * * *", "10m", "2026-10-25T00:30", "2026-10-25T00:40"),
        ("30 * * * *", "10m", "2026-10-25T01:30", "2026-10-25T01:40"),
    ],
)
def test_edges(cron: str, duration: str, opens: str, closes: str) -> None:
    window = (wish.Window(cron, duration, BERLIN),)
    start, end, second = utc(opens), utc(closes), datetime.timedelta(seconds=1)
    assert not windows.is_open(window, start - second)
    assert windows.is_open(window, start)
    assert windows.is_open(window, start + datetime.timedelta(microseconds=7))
    assert windows.is_open(window, end - second)
    assert not windows.is_open(window, end)
    assert windows.next_opening(window, start - second) == start
    assert windows.next_opening(window, end - second) == end - second


def test_in_the_repeated_hour_what_was_open_an_hour_ago_is_not_to_come() -> None:
    window = (wish.Window("30 2 * * *", "15m", BERLIN),)
    now = utc("2026-10-25T01:15")  # 02:15 for the second time
    assert not windows.is_open(window, now)
    assert windows.next_opening(window, now) == utc("2026-10-26T01:30")


def test_the_zone_of_now_does_not_matter() -> None:
    window = (wish.Window("0 3 * * *", "1h", BERLIN),)
    now = utc("2026-07-01T01:30")
    for zone in ("America/New_York", "Asia/Kolkata", BERLIN):
        assert windows.is_open(window, now.astimezone(zoneinfo.ZoneInfo(zone)))


def test_no_window_is_always() -> None:
    now = utc("2026-07-01T01:30")
    assert windows.is_open((), now)
    assert windows.next_opening((), now) == now


def test_deny_wins_and_the_next_opening_comes_after_it() -> None:
    night = wish.Window("0 22 * * *", "8h", "UTC")
    rest = wish.Window("0 0 24 dec *", "3d", "UTC", deny=True)
    now = utc("2026-12-24T02:00")
    assert windows.is_open((night,), now)
    assert not windows.is_open((night, rest), now)
    assert windows.next_opening((night, rest), now) == utc("2026-12-27T00:00")
    assert windows.next_opening((rest,), now) == utc("2026-12-27T00:00")
    assert windows.next_opening((night, rest), utc("2026-12-27T07:00")) == utc("2026-12-27T22:00")


def test_denials_without_a_gap_have_no_opening() -> None:
    always = wish.Window("0 * * * *", "1h", "UTC", deny=True)
    assert windows.next_opening((always,), utc("2026-12-24T02:00")) is None


def test_a_zone_that_only_the_documents_machine_knew_is_told() -> None:
    with pytest.raises(errors.SpecError, match=r'"Moon/Tycho" .*install the package tzdata'):
        windows.is_open((wish.Window("0 3 * * *", "1h", "Moon/Tycho"),), utc("2026-12-24T02:00"))


# --- against a model by hand -----------------------------------------------------------------------------------------

Hours = tuple[int, ...]
"""Empty: every hour, which cron takes by the time that passes rather than by the wall clock."""


def instants(naive: datetime.datetime, zone: zoneinfo.ZoneInfo, *, hourly: bool) -> Iterator[datetime.datetime]:
    """When the wall clock shows ``naive``; for a fixed time exactly once, for an hourly one as often as it does."""
    passes = [naive.replace(tzinfo=zone, fold=fold).astimezone(datetime.UTC) for fold in (0, 1)]
    real = sorted({one for one in passes if one.astimezone(zone).replace(tzinfo=None) == naive})
    if hourly:
        yield from real
    elif real:
        yield real[0]
    else:
        yield from instants(naive + MINUTE, zone, hourly=False)


@st.composite
def drawn(draw: st.DrawFn) -> tuple[wish.Window, Sequence[int], Hours, frozenset[int]]:
    minutes = sorted(draw(st.sets(st.sampled_from([0, 15, 30, 45, 59]), min_size=1, max_size=2)))
    hours = tuple(sorted(draw(st.sets(st.integers(0, 23), max_size=3))))
    days = draw(st.frozensets(st.integers(0, 6), min_size=1))
    text = ",".join(map(str, minutes)), ",".join(map(str, hours)) or "*", ",".join(map(str, sorted(days)))
    duration = draw(st.sampled_from(["1m", "20m", "90m", "1h", "3h", "26h", "1d", "2d"]))
    zone = draw(st.sampled_from([BERLIN, "UTC", "America/New_York"]))
    cron = f"{text[0]} {text[1]} * * {text[2]}"
    return wish.Window(cron, duration, zone, draw(st.booleans())), minutes, hours, days


def by_hand(
    window: wish.Window, minutes: Sequence[int], hours: Hours, days: frozenset[int], now: datetime.datetime
) -> list[tuple[datetime.datetime, datetime.datetime]]:
    """Every opening of the days around ``now``."""
    zone = zoneinfo.ZoneInfo(window.timezone)
    amount, unit = int(window.duration[:-1]), window.duration[-1]
    first = now.astimezone(zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0) - 4 * DAY
    openings = []
    for day in (first + offset * DAY for offset in range(14)):
        if day.isoweekday() % 7 not in days:
            continue
        for hour, minute in itertools.product(hours or range(24), minutes):
            for start in instants(day.replace(hour=hour, minute=minute), zone, hourly=not hours):
                local = start.astimezone(zone).replace(tzinfo=None) + amount * DAY
                exact = start + datetime.timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[unit]: amount})
                end = local.replace(tzinfo=zone).astimezone(datetime.UTC) if unit == "d" else exact
                openings.append((start, end))
    return openings


NOWS = st.one_of(
    st.datetimes(datetime.datetime(2026, 3, 27), datetime.datetime(2026, 3, 31)),
    st.datetimes(datetime.datetime(2026, 10, 23), datetime.datetime(2026, 11, 3)),
    st.datetimes(datetime.datetime(2026, 10, 25, 0), datetime.datetime(2026, 10, 25, 2)),
    st.datetimes(datetime.datetime(2026, 3, 29, 0), datetime.datetime(2026, 3, 29, 2)),
).map(lambda naive: naive.replace(tzinfo=datetime.UTC))


def open_by_hand(all_of: Sequence[wish.Window], openings: Sequence[list], at: datetime.datetime) -> bool:
    covers = [any(start <= at < end for start, end in spans) for spans in openings]
    allowing = [covered for window, covered in zip(all_of, covers, strict=True) if not window.deny]
    denied = any(covered for window, covered in zip(all_of, covers, strict=True) if window.deny)
    return not denied and (not allowing or any(allowing))


@hypothesis.settings(max_examples=200)
@hypothesis.given(st.lists(drawn(), max_size=3), NOWS)
def test_open_is_what_counting_by_hand_says(cases: list, now: datetime.datetime) -> None:
    all_of = tuple(case[0] for case in cases)
    openings = [by_hand(*case, now) for case in cases]
    assert windows.is_open(all_of, now) == open_by_hand(all_of, openings, now)


@hypothesis.settings(max_examples=100)
@hypothesis.given(st.lists(drawn(), max_size=3), NOWS)
def test_the_next_opening_is_open_and_nothing_before_it_is(cases: list, now: datetime.datetime) -> None:
    all_of = tuple(case[0] for case in cases)
    openings = [by_hand(*case, now) for case in cases]
    edges = sorted({now, *(edge for spans in openings for span in spans for edge in span)})
    within = [edge for edge in edges if now <= edge <= now + 6 * DAY]
    expected = next((edge for edge in within if open_by_hand(all_of, openings, edge)), None)
    found = windows.next_opening(all_of, now)
    if expected is not None:
        assert found == expected
    else:
        assert found is None or found > within[-1]
