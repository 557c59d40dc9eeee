"""Cron expressions of documents: whatever fits the form is either refused with a reason or comes to pass."""

from __future__ import annotations

import datetime
import re

import cronsim
import hypothesis
import pydantic
import pytest
from hypothesis import strategies as st

from transom.spec import fields

CRON = pydantic.TypeAdapter(fields.Cron)
FORM = CRON.json_schema()["pattern"]
PARTS = st.sampled_from(
    ["*", "*/5", "0", "59", "1-5", "5-1", "1,15", "31", "L", "LW", "sun", "MON-FRI", "5L", "feb", "7", "0/0"]
)


@hypothesis.given(st.one_of(st.from_regex(FORM, fullmatch=True), st.lists(PARTS, min_size=5, max_size=5).map(" ".join)))
def test_an_expression_is_refused_with_a_reason_or_comes(text: str) -> None:
    hypothesis.assume(len(text) <= 256)
    assert re.fullmatch(FORM, text)
    try:
        CRON.validate_python(text)
    except pydantic.ValidationError as error:
        said = str(error)
    else:
        said = ""
    comes = not said and next(cronsim.CronSim(text, datetime.datetime(2026, 1, 1)), None) is not None
    assert comes or "has a bad " in said or "never comes" in said


@pytest.mark.parametrize("text", ["0 3 * *", "@daily", "0 0 3 * * *", "0 3 * * mon#1", "0 3 * * ;"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="is not five fields of cron"):
        CRON.validate_python(text)


def test_a_date_that_never_comes_is_said_to_be_that() -> None:
    with pytest.raises(pydantic.ValidationError, match="names a date that never comes"):
        CRON.validate_python("0 3 31 2 *")
    with pytest.raises(pydantic.ValidationError, match="has a bad day-of-month"):
        CRON.validate_python("0 3 32 2 *")
