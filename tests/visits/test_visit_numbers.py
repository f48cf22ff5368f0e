"""VISITNUM: whole numbers for planned visits, which items of one day share, and hundredths for what nobody planned."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.visits.schedule import InfusionGiven, PlannedItem, plan
from services.visits.visit_numbers import VisitNumbers
from shared.protocol import load_protocol

PROTOCOL = load_protocol()
NUMBERS = VisitNumbers.of([PROTOCOL])
DAY_0 = date(2026, 3, 2)
INFUSIONS = [
    InfusionGiven(1, datetime(2026, 3, 2, 2, tzinfo=UTC)),
    InfusionGiven(2, datetime(2026, 6, 8, 2, tzinfo=UTC)),
]


def items(arm: str = "MSC") -> tuple[PlannedItem, ...]:
    infusions = INFUSIONS if arm == "MSC" else []
    return plan(PROTOCOL, arm, "01", DAY_0, infusions=infusions, early_termination_on=DAY_0 + timedelta(days=200))


def number_of(code: str) -> int:
    [number] = {NUMBERS.of_item(item) for arm in ("MSC", "CSA") for item in items(arm) if item.code == code}
    return number


def day(number: int) -> date:
    return DAY_0 + timedelta(days=number)


def test_items_of_one_nominal_day_share_a_visit() -> None:
    visits = {visit.number: visit.codes for visit in NUMBERS.visits(items())}
    assert set(visits[Decimal(number_of("C3"))]) == {"W13", "C3", "B3", "T3", "E3"}
    assert sum(map(len, visits.values())) == len(items())


def test_52_weeks_and_the_11_months_that_end_on_no_week_are_63_visits() -> None:
    planned = [visit for visit in NUMBERS.visits(items()) if visit.number < 100]
    assert [visit.number for visit in planned] == list(range(1, 64))
    assert [visit.nominal_on for visit in planned] == sorted(visit.nominal_on for visit in planned)


def test_a_visit_has_the_same_number_in_every_arm() -> None:
    common = {item.code for item in items("MSC")} & {item.code for item in items("CSA")}
    assert {"W1", "E12"} < common
    days = {visit.number: visit.nominal_on for visit in NUMBERS.visits(items("CSA")) if visit.number < 100}
    for visit in NUMBERS.visits(items("MSC")):
        assert visit.number >= 100 or days[visit.number] == visit.nominal_on


def test_what_hangs_on_an_exit_or_an_infusion_is_numbered_apart() -> None:
    codes = ["ET", "S6H-1", "S24H-1", "D7-1", "S6H-2", "S24H-2", "D7-2"]
    assert [number_of(code) for code in codes] == list(range(100, 107))


@pytest.mark.parametrize(
    ("days", "numbers"),
    [
        ([10], ["1.01"]),
        ([10, 12], ["1.01", "1.02"]),
        ([7], ["1.01"]),
        ([-14, -3], ["0.01", "0.02"]),
        ([45, 10], ["7.01", "1.01"]),
        ([380], ["63.01"]),
    ],
)
def test_an_unscheduled_visit_is_numbered_after_the_planned_one_before_it(days: list[int], numbers: list[str]) -> None:
    planned = plan(PROTOCOL, "MSC", "01", DAY_0)
    found = NUMBERS.unscheduled(map(day, days), planned)
    assert [str(found[day(each)]) for each in days] == numbers


@given(st.lists(st.integers(-120, 500).map(day), max_size=300))
def test_numbers_rise_with_the_dates_and_none_is_that_of_a_planned_visit(days: list[date]) -> None:
    found = NUMBERS.unscheduled(days, plan(PROTOCOL, "MSC", "01", DAY_0))
    in_order = [found[each] for each in sorted(found)]
    assert in_order == sorted(set(in_order))
    assert len(in_order) == len(set(days))
    assert all(number != number.to_integral_value() and number < 100 for number in in_order)
