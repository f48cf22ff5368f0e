"""Decides which instant an HL7 v2 timestamp means, and how exactly it is known (HL7 v2 chapter 2A, DTM and TS)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from functools import lru_cache

from shared.clock import EARLIEST, LATEST


class Precision(StrEnum):
    """The last part of a timestamp that was sent."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    MINUTE = "minute"
    SECOND = "second"
    FRACTION = "fraction"


class TimestampError(ValueError):
    """A text that is not an HL7 timestamp, or names a date or time that does not exist."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A timestamp as sent (`text`), the instant at which the period it names begins (`at`, UTC), and its precision.

    `offset` is the zone that was sent with it; where it is None the message's or the site's zone was taken.
    `doubtful` marks a local time that the change of clocks makes ambiguous or skips; `at` is then the first reading.
    """

    text: str
    at: datetime
    precision: Precision
    offset: timezone | None
    doubtful: bool = False


_PRECISIONS = tuple(Precision)
_DTM = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?)?)?)?"
    r"([+-][0-9]{4})?"
)


def read_timestamp(text: str, zone: tzinfo) -> Timestamp:
    """Read `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][±ZZZZ]`; `zone` holds where no offset was sent. 24:00 is the next midnight.

    Raises TimestampError.
    """
    match = _DTM.fullmatch(text.strip())
    if match is None:
        raise TimestampError("not an HL7 timestamp")
    *parts, offset = match.groups()
    sent = [part for part in parts if part is not None]
    local = _local(sent)
    sent_zone = _fixed_zone(offset) if offset else None
    at = local.replace(tzinfo=sent_zone or zone)
    instant = at.astimezone(UTC)
    if not EARLIEST <= instant <= LATEST:
        raise TimestampError("not a time of this trial")
    return Timestamp(
        text=text,
        at=instant,
        precision=_PRECISIONS[len(sent) - 1],
        offset=sent_zone,
        doubtful=sent_zone is None and at.utcoffset() != at.replace(fold=1).utcoffset(),
    )


@lru_cache(maxsize=128)
def _fixed_zone(offset: str) -> timezone:
    hours, minutes = int(offset[1:3]), int(offset[3:5])
    if hours > 15 or minutes > 59:
        raise TimestampError("not an offset from UTC")
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if offset[0] == "-" else delta)


def _local(parts: list[str]) -> datetime:
    fraction = int(parts[6].ljust(6, "0")) if len(parts) > 6 else 0
    year, month, day, hour, minute, second = [*map(int, parts[:6]), *(0, 1, 1, 0, 0, 0)[len(parts) :]]
    if not MINYEAR < year < MAXYEAR:  # so that no zone leads out of the calendar; the bounds of the trial come after
        raise TimestampError("a year out of range")
    end_of_day = hour == 24 and minute == second == fraction == 0
    try:
        local = datetime(year, month, day, 0 if end_of_day else hour, minute, second, fraction)  # noqa: DTZ001 the zone is put on by the caller
    except ValueError as error:
        raise TimestampError("a date or time that does not exist") from error
    return local + timedelta(days=1) if end_of_day else local
