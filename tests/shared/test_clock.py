"""How instants are read: RFC 3339 with an offset, in the centuries of a trial, kept in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.clock import EARLIEST, LATEST, Instant

INSTANT = TypeAdapter[datetime](Instant)
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1900, 1, 3), datetime(2199, 12, 30), timezones=OFFSETS))  # noqa: DTZ001 the zone is drawn
def test_an_instant_with_any_offset_is_the_same_instant_in_utc(at: datetime) -> None:
    read = INSTANT.validate_python(at.isoformat())
    assert read == at
    assert read.tzinfo is UTC
    assert INSTANT.validate_json(INSTANT.dump_json(read)) == at


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-05-03T10:00:00+08:00", datetime(2026, 5, 3, 2, tzinfo=UTC)),
        ("2026-05-03T10:00:00.1Z", datetime(2026, 5, 3, 10, 0, 0, 100_000, tzinfo=UTC)),
        ("2026-05-03T10:00:00.123456789Z", datetime(2026, 5, 3, 10, 0, 0, 123_456, tzinfo=UTC)),
        ("1900-01-01T00:00:00Z", EARLIEST),
        ("2199-12-31T23:59:59-00:00", LATEST - timedelta(seconds=1)),
    ],
)
def test_what_rfc_3339_allows_is_read(text: str, read: datetime) -> None:
    assert INSTANT.validate_python(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-03T10:00:00",
        "2026-05-03 10:00:00Z",
        "2026-05-03T10:00Z",
        "2026-05-03",
        "20260503T100000Z",
        "2026-05-03T10:00:00+24:00",
        "2026-05-03T10:00:00+05:60",
        "2026-05-03T10:00:00+0800",
        "2026-05-03T24:00:00Z",
        "2026-05-03T23:59:60Z",
        "2026-02-30T10:00:00Z",
        "1899-12-31T23:59:59Z",
        "1900-01-01T00:00:00+00:01",
        "2200-01-01T00:00:01Z",
        "２０26-05-03T10:00:00Z",
        "2026-05-03T10:00:00Z\n",
        "1777802400",
        1777802400,
        None,
        True,
        datetime(2026, 5, 3, 10),  # noqa: DTZ001 a local time is no instant
    ],
)
def test_what_is_no_instant_of_a_trial_is_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        INSTANT.validate_python(text)
