"""Long values for people: short, and the difference is always in sight."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from transom.report import short

TEXT = st.text(alphabet="ab\n", max_size=900)


def test_short_values_stay_as_they_are():
    assert short.pair("a\nb\n", None) == ("a ⏎ b", "")


def test_notes_of_8_kib_are_cut_around_what_differs():
    notes = "word " * 1600
    old, new = short.pair(notes + "old end", notes + "new end")
    assert "old end (8007 characters)" in old
    assert "new end (8007 characters)" in new
    assert old.startswith("…")
    assert max(len(old), len(new)) < short.WIDE + 30


@hypothesis.given(TEXT, TEXT)
def test_what_differs_is_seen(old, new):
    shown = short.pair(old, new)
    assert all(len(one) < short.WIDE + 30 for one in shown)
    if old.strip("\n").splitlines() != new.strip("\n").splitlines():
        assert shown[0] != shown[1]
