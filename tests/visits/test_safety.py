"""The reporting clocks of an adverse event (ICH E2A; EU CTR Art. 41)."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.visits.safety import Assessment, Due, due, due_after_follow_up, sponsor_day
from shared.protocol import load_protocol

PROTOCOL = load_protocol()
AWARE_AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def clocks(
    *,
    aware_at: datetime = AWARE_AT,
    grade: int = 3,
    serious: bool = True,
    related: bool = True,
    expected: bool = False,
    criteria: tuple[str, ...] = ("hospitalisation",),
) -> Due:
    return due(
        PROTOCOL,
        aware_at=aware_at,
        grade=grade,
        serious=serious,
        related=related,
        expected=expected,
        seriousness_criteria=criteria,
    )


def test_an_event_that_is_not_serious_has_no_clock() -> None:
    assert clocks(serious=False) == Due()


def test_a_serious_event_goes_to_the_sponsor_within_24_hours() -> None:
    assert clocks(related=False) == Due(sponsor_by=datetime(2026, 3, 3, 8, 0, tzinfo=UTC))


def test_a_suspected_unexpected_serious_event_goes_to_the_authority_within_15_days() -> None:
    assert clocks().authority_on == date(2026, 3, 17)
    assert clocks().follow_up_on is None


@pytest.mark.parametrize("criteria", [("life-threatening",), ("hospitalisation", "death")])
def test_a_fatal_or_life_threatening_one_within_7_days_and_8_more_for_the_complete_report(
    criteria: tuple[str, ...],
) -> None:
    assert clocks(criteria=criteria).authority_on == date(2026, 3, 9)
    assert clocks(criteria=criteria).follow_up_on == date(2026, 3, 17)


def test_grade_5_is_fatal_whatever_else_was_said_and_grade_4_alone_is_not() -> None:
    assert clocks(grade=5).authority_on == date(2026, 3, 9)
    assert clocks(grade=4).authority_on == date(2026, 3, 17)


def test_an_expected_event_does_not_go_to_the_authority_at_once() -> None:
    assert clocks(expected=True).authority_on is None


def test_day_0_is_the_day_of_awareness_in_the_sponsors_zone() -> None:
    late = datetime(2026, 3, 2, 16, 30, tzinfo=UTC)  # 3 March, 00:30, in Shanghai
    assert clocks(aware_at=late).authority_on == date(2026, 3, 18)


def test_an_upgrade_to_fatal_runs_from_its_own_awareness() -> None:
    upgraded = clocks(aware_at=datetime(2026, 3, 12, 8, 0, tzinfo=UTC), grade=5, criteria=("death",))
    assert upgraded.authority_on == date(2026, 3, 19)


INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (bounds)
ASSESSMENTS = st.builds(
    Assessment,
    grade=st.integers(1, 5),
    serious=st.booleans(),
    seriousness_criteria=st.sampled_from([(), ("hospitalisation",), ("life-threatening",)]),
    related=st.booleans(),
    expected=st.booleans(),
)


@settings(max_examples=100)
@given(INSTANTS, st.booleans())
def test_days_are_counted_on_the_sponsors_calendar_over_months_years_and_leap_days(at: datetime, fatal: bool) -> None:
    reports = clocks(aware_at=at, criteria=("death",) if fatal else ("disability",))
    day_0 = at.astimezone(ZoneInfo("Asia/Shanghai")).date()
    assert reports.sponsor_by == at + timedelta(hours=24)
    assert reports.authority_on == day_0 + timedelta(days=7 if fatal else 15)
    assert reports.follow_up_on == (day_0 + timedelta(days=15) if fatal else None)


@settings(max_examples=100)
@given(ASSESSMENTS, ASSESSMENTS, INSTANTS, st.booleans())
def test_a_follow_up_starts_the_clocks_of_a_report_of_what_the_event_is_now_or_those_of_a_follow_up_or_none(
    before: Assessment, after: Assessment, at: datetime, told: bool
) -> None:
    found = due_after_follow_up(PROTOCOL, before, after, aware_at=at, authority_told_of=told)
    anew = clocks(
        aware_at=at,
        grade=after.grade,
        serious=after.serious,
        related=after.related,
        expected=after.expected,
        criteria=after.seriousness_criteria,
    )
    within_15_days = Due(follow_up_on=sponsor_day(PROTOCOL, at) + timedelta(days=15)) if told else Due()
    assert found in (anew, within_15_days)
    if before == after:
        assert found == within_15_days, "nothing was upgraded"


def test_the_clocks_are_the_protocols() -> None:
    another = load_protocol(Path(__file__).parents[1] / "shared" / "protocol" / "three-arms-2.1.toml")
    reported = due(another, aware_at=AWARE_AT, grade=3, serious=True, related=True)
    assert reported == Due(datetime(2026, 3, 2, 20, 0, tzinfo=UTC), date(2026, 3, 12))
