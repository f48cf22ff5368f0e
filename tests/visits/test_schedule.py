"""The plan: what is to be done for a subject, on which day and in which window."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.visits.schedule import InfusionGiven, PlannedItem, anchor_on, plan, started_late
from shared.protocol import load_protocol
from tests.visits.examples import in_zone

PROTOCOL = load_protocol()
ANOTHER = load_protocol(Path(__file__).parents[1] / "shared" / "protocol" / "three-arms-2.1.toml")
DAY_0 = date(2026, 3, 2)
MSC = plan(PROTOCOL, "MSC", "01", DAY_0)
CSA = plan(PROTOCOL, "CSA", "01", DAY_0)
FOR_EVERY_SUBJECT = {"symptoms", "blood-count", "marrow", "treg", "evaluation"}

ten_years_of_days = st.dates(date(2023, 1, 1), date(2032, 12, 31))
arms = st.sampled_from(["MSC", "CSA"])


ZONES = ["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]


def day(number: int) -> date:
    return DAY_0 + timedelta(days=number)


def item(items: tuple[PlannedItem, ...], code: str) -> PlannedItem:
    return next(item for item in items if item.code == code)


@given(arms, ten_years_of_days)
def test_75_items_are_planned_for_every_subject_of_either_arm(arm: str, day_0: date) -> None:
    items = [item for item in plan(PROTOCOL, arm, "01", day_0) if item.activity in FOR_EVERY_SUBJECT]
    assert Counter(item.activity for item in items) == {
        "symptoms": 52,
        "blood-count": 12,
        "marrow": 4,
        "treg": 4,
        "evaluation": 3,
    }
    assert len({item.code for item in items}) == 75


def test_the_msc_arm_has_a_conditional_second_infusion_and_the_csa_arm_its_monitoring() -> None:
    assert {item.code for item in MSC if item.activity not in FOR_EVERY_SUBJECT} == {"INF2"}
    assert item(MSC, "INF2").condition == "second-dose-eligible"
    csa_only = Counter(item.activity for item in CSA if item.activity not in FOR_EVERY_SUBJECT)
    assert csa_only == {"csa-creatinine": 16, "csa-trough": 16}


@pytest.mark.parametrize(
    ("code", "nominal", "opens", "closes"),
    [("W1", 7, 4, 10), ("C1", 30, 23, 37), ("E6", 183, 169, 197), ("INF2", 98, 91, 126)],
)
def test_an_item_has_a_nominal_date_and_a_window(code: str, nominal: int, opens: int, closes: int) -> None:
    planned = item(MSC, code)
    assert planned.nominal_on == day(nominal)
    assert (planned.window.opens_on, planned.window.closes_on) == (day(opens), day(closes))


@given(ten_years_of_days)
def test_weekly_windows_touch_and_never_overlap(day_0: date) -> None:
    weeks = [item for item in plan(PROTOCOL, "MSC", "01", day_0) if item.activity == "symptoms"]
    for this, following in pairwise(weeks):
        assert following.window.opens_on - this.window.closes_on == timedelta(days=1)


@given(ten_years_of_days, st.sampled_from(sorted(FOR_EVERY_SUBJECT)))
def test_windows_of_one_activity_never_overlap(day_0: date, activity: str) -> None:
    items = [item for item in plan(PROTOCOL, "MSC", "01", day_0) if item.activity == activity]
    assert all(a.window.closes_on < b.window.opens_on for a, b in pairwise(items))


@given(arms, ten_years_of_days, st.integers(1, 400))
def test_leap_years_and_month_ends_move_all_items_by_the_same_days(arm: str, day_0: date, later: int) -> None:
    first, second = plan(PROTOCOL, arm, "01", day_0), plan(PROTOCOL, arm, "01", day_0 + timedelta(days=later))
    assert [b.nominal_on - a.nominal_on for a, b in zip(first, second, strict=True)] == [timedelta(days=later)] * len(
        first
    )


def test_a_year_that_holds_29_february_ends_a_calendar_day_earlier() -> None:
    assert item(plan(PROTOCOL, "MSC", "01", date(2027, 3, 2)), "E12").nominal_on == date(2028, 3, 1)
    assert item(plan(PROTOCOL, "MSC", "01", date(2026, 3, 2)), "E12").nominal_on == date(2027, 3, 2)


def test_a_second_infusion_adds_safety_looks_and_moves_nothing() -> None:
    first = InfusionGiven(1, datetime(2026, 3, 2, 2, 0, tzinfo=UTC))
    second = InfusionGiven(2, datetime(2026, 6, 8, 2, 0, tzinfo=UTC))
    with_both = plan(PROTOCOL, "MSC", "01", DAY_0, infusions=(first, second))
    assert set(MSC) < set(with_both)
    added = {item.code for item in with_both} - {item.code for item in MSC}
    assert added == {"S6H-1", "S24H-1", "D7-1", "S6H-2", "S24H-2", "D7-2"}
    assert item(with_both, "D7-2").nominal_on == date(2026, 6, 15)


@given(ten_years_of_days, st.integers(91, 126), st.sampled_from(ZONES))
def test_a_second_infusion_re_anchors_nothing_wherever_the_site_is(day_0: date, given_on: int, zone: str) -> None:
    protocol = in_zone(zone)
    given_at = datetime(day_0.year, day_0.month, day_0.day, 10, tzinfo=ZoneInfo(zone)) + timedelta(days=given_on)
    without = plan(protocol, "MSC", "01", day_0)
    added = set(plan(protocol, "MSC", "01", day_0, infusions=(InfusionGiven(2, given_at),))) - set(without)
    assert {item.code for item in added} == {"S6H-2", "S24H-2", "D7-2"}
    assert {item.nominal_on - day_0 for item in added if item.code == "D7-2"} == {timedelta(days=given_on + 7)}


@pytest.mark.parametrize(
    ("zone", "given_at", "a_day_later"),
    [
        ("Asia/Shanghai", "2026-03-07T23:30+08:00", date(2026, 3, 8)),
        ("America/New_York", "2026-03-07T23:30-05:00", date(2026, 3, 9)),  # clocks go forward: half past midnight
        ("America/New_York", "2026-11-01T00:15-04:00", date(2026, 11, 1)),  # and back: a quarter past eleven
        ("Australia/Lord_Howe", "2026-04-05T00:15+11:00", date(2026, 4, 5)),  # back by half an hour
    ],
)
def test_hours_are_those_that_pass_when_clocks_are_changed(zone: str, given_at: str, a_day_later: date) -> None:
    instant = datetime.fromisoformat(given_at)
    items = plan(in_zone(zone), "MSC", "01", instant.date(), infusions=(InfusionGiven(1, instant),))
    assert item(items, "S24H-1").nominal_on == a_day_later


def test_hours_after_an_infusion_are_counted_in_instants_and_told_in_the_sites_dates() -> None:
    late_in_shanghai = InfusionGiven(1, datetime(2026, 3, 2, 11, 30, tzinfo=UTC))  # 19:30 there
    items = plan(PROTOCOL, "MSC", "01", DAY_0, infusions=(late_in_shanghai,))
    six_hours = item(items, "S6H-1")
    assert six_hours.nominal_on == date(2026, 3, 3)
    assert (six_hours.window.opens_on, six_hours.window.closes_on) == (date(2026, 3, 3), date(2026, 3, 3))


def test_daylight_saving_moves_no_date() -> None:
    items = plan(ANOTHER, "HIGH", "02", date(2026, 3, 1))  # clocks go forward in New York on 8 March
    assert [item.nominal_on for item in items if item.activity == "blood-count"] == [
        date(2026, 3, 15),
        date(2026, 3, 29),
        date(2026, 4, 26),
    ]
    assert ANOTHER.civil_date(datetime(2026, 3, 9, 3, 59, tzinfo=UTC), "02") == date(2026, 3, 8)
    assert ANOTHER.civil_date(datetime(2026, 3, 9, 4, 0, tzinfo=UTC), "02") == date(2026, 3, 9)


def test_early_termination_adds_its_visit() -> None:
    items = plan(PROTOCOL, "CSA", "01", DAY_0, early_termination_on=day(50))
    visit = item(items, "ET")
    assert (visit.window.opens_on, visit.window.closes_on) == (day(50), day(64))


def test_day_0_is_the_arms_own_milestone_or_randomization_while_treatment_has_not_begun() -> None:
    randomized_on = date(2026, 2, 27)
    assert anchor_on(PROTOCOL, "MSC", {}) is None
    assert anchor_on(PROTOCOL, "MSC", {"randomization": randomized_on}) == randomized_on
    assert anchor_on(PROTOCOL, "MSC", {"randomization": randomized_on, "first-infusion": DAY_0}) == DAY_0
    assert anchor_on(PROTOCOL, "CSA", {"randomization": randomized_on, "first-csa-dose": DAY_0}) == DAY_0


def test_treatment_starts_at_most_7_days_after_randomization() -> None:
    assert not started_late(PROTOCOL, randomized_on=date(2026, 3, 1), started_on=date(2026, 3, 8))
    assert started_late(PROTOCOL, randomized_on=date(2026, 3, 1), started_on=date(2026, 3, 9))
