"""A subject's year as counts and transfusions by day, and how it is judged; used by the tests of the response rules."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from services.visits.evidence import Count, Transfusion
from services.visits.response import Assessment, assess
from shared.protocol import Protocol, load_protocol

PROTOCOL = load_protocol()
BY_2018 = PROTOCOL.model_copy(update={"response": PROTOCOL.response.model_copy(update={"rule_set": "IWG-2018"})})
"""The trial's protocol, if it chose the other rule set."""

DAY_0 = date(2026, 3, 2)
MONTHS = (30, 61, 91, 122, 152, 183, 213, 244, 274, 304, 335, 365)
"""The nominal days of the monthly counts."""


def day(number: int) -> date:
    return DAY_0 + timedelta(days=number)


def count(code: str, value: str, on: int, position: int | None = None, *, usable: bool = True) -> Count:
    return Count(code, Decimal(value), day(on), 1000 + on if position is None else position, usable)


def course(code: str, baseline: tuple[str, ...], *months: str) -> list[Count]:
    """Counts at two screening visits a week apart, then at M1, M2, M3 …; a dash is a missing count."""
    before = [count(code, value, on) for value, on in zip(baseline, (-14, -7), strict=False)]
    since = [count(code, value, on) for value, on in zip(months, MONTHS, strict=False) if value != "–"]
    return before + since


def red_cells(units: int, on: int, haemoglobin: str | None = "75") -> Transfusion:
    before = None if haemoglobin is None else Decimal(haemoglobin)
    return Transfusion("RBC", units, day(on), 2000 + on, before)


def at(
    timepoint: str,
    counts: list[Count],
    transfusions: list[Transfusion] | None = None,
    as_of: int = 105,
    protocol: Protocol = PROTOCOL,
) -> Assessment:
    """What the protocol's rules say at a timepoint, of what was known by a day."""
    return assess(protocol, timepoint, day_0=DAY_0, as_of=day(as_of), counts=counts, transfusions=transfusions or [])
