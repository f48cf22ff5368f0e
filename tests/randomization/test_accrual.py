"""How the trial fills: nothing is counted twice, no period is left out, and the days are those of the site."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from services.randomization.accrual import accrual, balance, site_list
from services.randomization.answers_sites import Period
from services.randomization.projections import EnrolmentCap, SiteState, Subject
from shared.protocol import load_protocol
from tests.scenario import DAY_0

PROTOCOL = load_protocol()
ARMS = PROTOCOL.arm_codes


def subject(site: str = "01", screened_at: datetime = DAY_0, status: str = "screened", **facts: Any) -> Subject:
    return Subject(
        id=f"{site}-001", site=site, birth_year=1960, sex="F", screened_at=screened_at, status=status, **facts
    )


def allocated(arm: str, stratum: str = "RA|01", scheme: int = 1) -> Subject:
    return subject(
        status="randomized",
        enrolled_at=DAY_0,
        randomized_at=DAY_0,
        arm=arm,
        allocated_in=stratum,
        allocated_under=scheme,
    )


def counts(subjects: list[Subject], by: Period) -> list[tuple[str, date, int, int, int]]:
    items = accrual(subjects, PROTOCOL, by).items
    return [(item.site, item.period_start, item.screened, item.enrolled, item.randomized) for item in items]


# Accrual.


def test_a_trial_that_nobody_has_come_to_has_no_accrual() -> None:
    assert counts([], "month") == []


def test_each_step_counts_from_its_own_month_on_and_a_month_without_any_repeats_the_one_before() -> None:
    first = subject(screened_at=DAY_0, enrolled_at=DAY_0 + timedelta(days=70), randomized_at=DAY_0 + timedelta(days=70))
    assert counts([first, subject(screened_at=DAY_0 + timedelta(days=1))], "month") == [
        ("01", date(2026, 1, 1), 2, 0, 0),
        ("01", date(2026, 2, 1), 2, 0, 0),
        ("01", date(2026, 3, 1), 2, 1, 1),
    ]


def test_a_week_begins_on_monday() -> None:
    sunday, monday = datetime(2026, 1, 4, 3, tzinfo=UTC), datetime(2026, 1, 5, 3, tzinfo=UTC)
    assert counts([subject(screened_at=sunday), subject(screened_at=monday)], "week") == [
        ("01", date(2025, 12, 29), 1, 0, 0),
        ("01", date(2026, 1, 5), 2, 0, 0),
    ]


def test_the_day_is_that_of_the_site() -> None:
    evening = datetime(2026, 1, 31, 16, tzinfo=UTC)  # midnight at the site
    before = evening - timedelta(seconds=1)
    assert counts([subject(screened_at=evening)], "month") == [("01", date(2026, 2, 1), 1, 0, 0)]
    assert counts([subject(screened_at=before)], "month") == [("01", date(2026, 1, 1), 1, 0, 0)]


def test_each_site_is_counted_by_itself() -> None:
    assert counts([subject("02"), subject("01")], "month") == [
        ("01", date(2026, 1, 1), 1, 0, 0),
        ("02", date(2026, 1, 1), 1, 0, 0),
    ]


INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 6, 30), timezones=st.just(UTC))  # noqa: DTZ001 (made aware)
SUBJECTS = st.lists(
    st.builds(subject, st.sampled_from(["01", "02"]), INSTANTS, enrolled_at=st.none() | INSTANTS), max_size=15
)


@examples(SUBJECTS, st.sampled_from(["month", "week"]))
@settings(max_examples=60, deadline=None)
def test_counts_never_fall_leave_out_no_period_and_end_with_everybody(subjects: list[Subject], by: Period) -> None:
    items = accrual(subjects, PROTOCOL, by).items
    for site in ("01", "02"):
        periods = [item for item in items if item.site == site]
        for earlier, later in pairwise(periods):
            assert later.screened >= earlier.screened
            assert later.enrolled >= earlier.enrolled
            days = (later.period_start - earlier.period_start).days
            assert days == 7 if by == "week" else 28 <= days <= 31
        of_site = [each for each in subjects if each.site == site]
        assert (periods[-1].screened if periods else 0) == len(of_site)
        assert (periods[-1].enrolled if periods else 0) == sum(each.enrolled_at is not None for each in of_site)


# Balance.


def test_subjects_are_counted_by_the_scheme_and_the_stratum_that_were_used() -> None:
    answer = balance(
        [allocated("MSC"), allocated("MSC"), allocated("CSA", "RARS|01"), allocated("CSA", "RA", scheme=2), subject()],
        ARMS,
    )
    assert answer.arms == {"MSC": 2, "CSA": 2}
    assert [(item.scheme, item.stratum, item.arms) for item in answer.items] == [
        (1, "RARS|01", {"MSC": 0, "CSA": 1}),
        (1, "RA|01", {"MSC": 2, "CSA": 0}),
        (2, "RA", {"MSC": 0, "CSA": 1}),
    ]


def test_an_error_of_allocation_takes_nobody_out_of_the_balance() -> None:
    corrected = allocated("MSC")
    corrected.stratum_corrected, corrected.duplicate_of = "RARS|01", "01-009"
    assert balance([corrected], ARMS).items == balance([allocated("MSC")], ARMS).items


@examples(
    st.lists(st.builds(allocated, st.sampled_from(ARMS), st.sampled_from(["RA|01", "RARS|01"]), st.integers(1, 2)))
)
@settings(max_examples=50, deadline=None)
def test_everybody_who_was_allocated_is_in_one_cell(subjects: list[Subject]) -> None:
    answer = balance(subjects, ARMS)
    assert sum(answer.arms.values()) == sum(sum(item.arms.values()) for item in answer.items) == len(subjects)


# Sites.


@pytest.mark.parametrize("known", [["01"], []])
def test_a_site_is_listed_once_the_protocol_or_the_log_knows_it(known: list[str]) -> None:
    states = [SiteState(site="02", state="closed", since=DAY_0, reason="full")]
    caps = [
        EnrolmentCap(scope="03", cap=5, since=DAY_0, reason="small"),
        EnrolmentCap(scope="trial", cap=80, since=DAY_0, reason="sample size"),
    ]
    answer = site_list([subject("04"), allocated("MSC")], states, caps, known)
    assert answer.trial_cap == 80
    assert [(item.site, item.state, item.reason, item.cap, item.enrolled) for item in answer.items] == [
        ("01", "open", None, None, 1),
        ("02", "closed", "full", None, 0),
        ("03", "open", None, 5, 0),
        ("04", "open", None, None, 0),
    ]
    assert [item.subjects for item in answer.items] == [{"randomized": 1}, {}, {}, {"screened": 1}]


def test_a_cap_that_was_lifted_is_none() -> None:
    lifted = [EnrolmentCap(scope=scope, cap=None, since=DAY_0, reason="lifted") for scope in ("01", "trial")]
    answer = site_list([], [], lifted, [])
    assert (answer.trial_cap, [item.cap for item in answer.items]) == (None, [None])
