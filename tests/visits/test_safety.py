"""The reporting clocks of an adverse event (ICH E2A; EU CTR Art. 41)."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from services.visits.safety import Due, due
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


def test_the_clocks_are_the_protocols() -> None:
    another = load_protocol(Path(__file__).parents[1] / "shared" / "protocol" / "three-arms-2.1.toml")
    reported = due(another, aware_at=AWARE_AT, grade=3, serious=True, related=True)
    assert reported == Due(datetime(2026, 3, 2, 20, 0, tzinfo=UTC), date(2026, 3, 12))
