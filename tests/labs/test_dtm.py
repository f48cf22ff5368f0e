"""HL7 timestamps: precision and zone survive, and what is not a time is refused."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.labs.dtm import Precision, TimestampError, read_timestamp
from shared.clock import EARLIEST, LATEST

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "at", "precision"),
    [
        ("2026", datetime(2025, 12, 31, 16, tzinfo=UTC), Precision.YEAR),
        ("202610", datetime(2026, 9, 30, 16, tzinfo=UTC), Precision.MONTH),
        ("20261004", datetime(2026, 10, 3, 16, tzinfo=UTC), Precision.DAY),
        ("2026100410", datetime(2026, 10, 4, 2, tzinfo=UTC), Precision.HOUR),
        ("202610041015", datetime(2026, 10, 4, 2, 15, tzinfo=UTC), Precision.MINUTE),
        ("20261004101530", datetime(2026, 10, 4, 2, 15, 30, tzinfo=UTC), Precision.SECOND),
        ("20261004101530.0500", datetime(2026, 10, 4, 2, 15, 30, 50000, tzinfo=UTC), Precision.FRACTION),
    ],
)
def test_precision_is_kept_and_the_sites_zone_holds_where_none_was_sent(
    text: str, at: datetime, precision: Precision
) -> None:
    timestamp = read_timestamp(text, SHANGHAI)
    assert (timestamp.at, timestamp.precision, timestamp.text, timestamp.offset) == (at, precision, text, None)


def test_an_offset_that_was_sent_is_taken_before_the_zone() -> None:
    timestamp = read_timestamp("20110531140551-0500", SHANGHAI)
    assert timestamp.at == datetime(2011, 5, 31, 19, 5, 51, tzinfo=UTC)
    assert timestamp.offset == timezone(timedelta(hours=-5))


def test_24_hours_are_the_next_midnight() -> None:
    assert read_timestamp("202612312400+0000", SHANGHAI).at == datetime(2027, 1, 1, tzinfo=UTC)


def test_a_time_that_the_change_of_clocks_makes_ambiguous_or_skips_is_doubtful() -> None:
    assert read_timestamp("202610250230", BERLIN).doubtful
    assert read_timestamp("202603290230", BERLIN).doubtful
    assert not read_timestamp("202610250230+0100", BERLIN).doubtful
    assert not read_timestamp("202610250330", BERLIN).doubtful


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-10-04", "20261304", "20260230", "202610042401", "20261004256000", "0000", "00010101+1400",
     "99991231235959", "99981231240000-1500", "20261004+2500", "20261004+0160", "20261004101530.", "２０２６",
     "196203520"],
)  # fmt: skip
def test_what_is_not_a_timestamp_is_refused(text: str) -> None:
    with pytest.raises(TimestampError):
        read_timestamp(text, SHANGHAI)


@given(st.from_regex(r"[0-9]{2,20}(\.[0-9]{0,7})?([+-][0-9]{4})?", fullmatch=True) | st.text())
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    with suppress(TimestampError):
        assert read_timestamp(text, BERLIN).at.utcoffset() == timedelta(0)


@given(st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 31)))  # noqa: DTZ001 local times of the zone under test
def test_a_written_timestamp_reads_back_as_the_same_local_time(local: datetime) -> None:
    timestamp = read_timestamp(local.strftime("%Y%m%d%H%M%S.%f"), SHANGHAI)
    if not timestamp.doubtful:
        assert timestamp.at.astimezone(SHANGHAI).replace(tzinfo=None) == local


@pytest.mark.parametrize(("text", "at"), [("18991231190000-0500", EARLIEST), ("22000101080000+0800", LATEST)])
def test_the_bounds_are_those_of_the_instant_whatever_the_local_year(text: str, at: datetime) -> None:
    assert read_timestamp(text, UTC).at == at


@pytest.mark.parametrize("text", ["19000101000000+1500", "22000101000001+0000", "22001231235959-1500"])
def test_a_time_whose_instant_lies_outside_of_the_trials_centuries_is_a_senders_error(text: str) -> None:
    with pytest.raises(TimestampError):
        read_timestamp(text, UTC)
