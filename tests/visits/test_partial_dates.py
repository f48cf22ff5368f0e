"""A date is kept as exact as it is known, and compared by the days that it may mean (ISO 8601, SDTM --DTC)."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.visits.partial_dates import PATTERN, PartialDate, earliest, latest

DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))


@pytest.mark.parametrize(
    ("partial", "first", "last"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2026-04", date(2026, 4, 1), date(2026, 4, 30)),
        ("2028-02", date(2028, 2, 1), date(2028, 2, 29)),
        ("2100-02", date(2100, 2, 1), date(2100, 2, 28)),
        ("2026-05-03", date(2026, 5, 3), date(2026, 5, 3)),
    ],
)
def test_a_partial_date_may_mean_any_day_of_its_year_or_month(partial: str, first: date, last: date) -> None:
    assert (earliest(partial), latest(partial)) == (first, last)


@settings(max_examples=100)
@given(DAYS, st.sampled_from([4, 7, 10]))
def test_a_day_lies_among_those_that_its_own_shortened_form_may_mean(day: date, length: int) -> None:
    partial = day.isoformat()[:length]
    assert earliest(partial) <= day <= latest(partial)
    assert TypeAdapter(PartialDate).validate_python(partial) == partial, "it is kept as it is"


@settings(max_examples=100)
@given(st.integers(1900, 2199), st.integers(0, 13), st.integers(0, 32))
def test_a_day_is_read_exactly_when_the_calendar_has_it(year: int, month: int, day: int) -> None:
    written = f"{year}-{month:02}-{day:02}"
    try:
        date.fromisoformat(written)
    except ValueError:
        assert not re.match(PATTERN, written)
    else:
        assert re.match(PATTERN, written)


@pytest.mark.parametrize("written", ["2026-00", "2026-13", "26-05", "2026-5", "2026-02-29", "1026", "2026-05-03T10:00"])
def test_what_is_no_date_is_not_read(written: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(PartialDate).validate_python(written)
