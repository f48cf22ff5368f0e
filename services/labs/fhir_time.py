"""Decides which instants a FHIR date or time means, and how exactly it is known (FHIR R4, date, dateTime, instant)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from shared.clock import EARLIEST, LATEST

_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_ZONE = r"(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)"
_DATE = re.compile(r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?)?", re.ASCII)
_INSTANT = re.compile(rf"(\d{{4}}-\d\d-\d\d)T({_TIME})({_ZONE})", re.ASCII)

_MICROSECOND = timedelta(microseconds=1)


class TimeError(ValueError):
    """A text that is no date or time of FHIR, names one that does not exist, or lies outside of any trial."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The instants that a date or time stands for, both bounds included: a day, a month, a second, an instant."""

    first: datetime
    last: datetime


def read_date_time(text: str, zone: tzinfo) -> Interval:
    """Read `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or a time with its offset; a date is one of `zone`. Raises TimeError.

    A time of day without an offset is no dateTime. What came before 1900 or comes after 2199 is no time of a trial.
    """
    if (match := _INSTANT.fullmatch(text)) is not None:
        first = _instant(*match.groups())
        last = first if "." in match[2] else first + timedelta(seconds=1) - _MICROSECOND
    elif (match := _DATE.fullmatch(text)) is not None:
        year, month, day = (int(part) if part else None for part in match.groups())
        try:
            begin, end = _days(year or 0, month, day)
        except (ValueError, OverflowError) as error:
            raise TimeError("a date that does not exist") from error
        if not EARLIEST.year <= begin.year < LATEST.year:
            raise TimeError("not a time of this trial")
        first = datetime.combine(begin, time(), zone).astimezone(UTC)
        last = datetime.combine(end, time(), zone).astimezone(UTC) - _MICROSECOND
    else:
        raise TimeError("neither a date nor a time with its offset")
    if not EARLIEST <= first <= last <= LATEST:
        raise TimeError("not a time of this trial")
    return Interval(first, last)


def _instant(day: str, of_day: str, offset: str) -> datetime:
    """The instant. A leap second (`:60`) is the first moment of the next minute; digits after a microsecond go."""
    leap = of_day[6:8] == "60"
    try:
        at = datetime.fromisoformat(f"{day}T{of_day[:6]}{'59' if leap else of_day[6:8]}{of_day[8:15]}{offset}")
        return at.astimezone(UTC) + timedelta(seconds=leap)
    except (ValueError, OverflowError) as error:
        raise TimeError("a date or time that does not exist") from error


def _days(year: int, month: int | None, day: int | None) -> tuple[date, date]:
    """The first day, and the one after the last."""
    begin = date(year, month or 1, day or 1)
    if day is not None:
        return begin, begin + timedelta(days=1)
    if month is None or month == 12:
        return begin, date(year + 1, 1, 1)
    return begin, date(year, month + 1, 1)
