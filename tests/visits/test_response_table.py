"""The table of responses: counts, denominators that are stated, and percentages that are exact."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.visits.response_table import Tally, percentage, response_table


@pytest.mark.parametrize(
    ("n", "of", "told"),
    [
        (0, 3, "0.0"),
        (1, 3, "33.3"),
        (2, 3, "66.7"),
        (1, 8, "12.5"),
        (1, 16, "6.3"),  # 6.25: a half goes up
        (3, 16, "18.8"),  # 18.75
        (1, 2000, "0.1"),  # 0.05
        (7, 7, "100.0"),
    ],
)
def test_a_percentage_has_one_decimal_and_halves_go_up(n: int, of: int, told: str) -> None:
    assert str(percentage(n, of)) == told


def test_of_nobody_there_is_no_percentage() -> None:
    assert percentage(0, 0) is None


@given(st.integers(1, 10_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
@settings(max_examples=100)
def test_a_percentage_is_never_further_off_than_half_a_tenth(counts: tuple[int, int]) -> None:
    n, of = counts
    told = percentage(n, of)
    assert told is not None
    assert abs(told * of - 100 * n) <= Decimal("0.05") * of


def test_the_responses_of_an_arm_are_shares_of_who_was_evaluated_and_of_who_was_randomized() -> None:
    tally = Tally({"HI": 2, "SD": 1}, {"HI-E": {"confirmed": 2, "not-met": 1}}, outdated=1, unsigned=1)
    (row, _) = response_table(["M3"], ["MSC", "CSA"], {"MSC": 8, "CSA": 7}, {("M3", "MSC"): tally})
    assert (row.randomized, row.evaluated, row.outdated, row.unsigned) == (8, 3, 1, 1)
    assert row.responses["HI"].model_dump() == {
        "n": 2,
        "pct_of_evaluated": Decimal("66.7"),
        "pct_of_randomized": Decimal("25.0"),
    }
    assert row.responses["PD"].n == 0
    assert row.lineages["HI-E"]["confirmed"].n == 2
    assert row.lineages["HI-E"]["provisional"].n == 0


def test_every_timepoint_and_arm_has_a_row_also_where_nobody_was_evaluated() -> None:
    rows = response_table(["M3", "M6"], ["MSC", "CSA"], {"MSC": 1}, {})
    assert [(row.timepoint, row.arm) for row in rows] == [("M3", "MSC"), ("M3", "CSA"), ("M6", "MSC"), ("M6", "CSA")]
    assert [row.responses["HI"].pct_of_randomized for row in rows] == [Decimal("0.0"), None, Decimal("0.0"), None]
    assert all(row.responses["HI"].pct_of_evaluated is None for row in rows)
