"""Efron's biased coin: the published exact distributions, and what it is not defined for."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.randomization.allocation import BiasedCoin
from services.randomization.biased_coin import odds
from services.randomization.simulation import exact_differences

EQUAL = {"MSC": 1, "CSA": 1}
P = Fraction(2, 3)

PUBLISHED = {
    2: {-2: Fraction(1, 6), 0: Fraction(2, 3), 2: Fraction(1, 6)},
    4: {-4: Fraction(1, 54), -2: Fraction(5, 27), 0: Fraction(16, 27), 2: Fraction(5, 27), 4: Fraction(1, 54)},
}
"""Markaryan and Rosenberger 2010, arXiv 1010.0483: the difference between the arms after N subjects, p = 2/3."""

counts = st.integers(0, 40)
chances_of_the_weaker = st.fractions(Fraction(1, 2), 1, max_denominator=50)


@pytest.mark.parametrize("subjects", PUBLISHED)
def test_the_difference_has_its_published_distribution(subjects: int) -> None:
    assert exact_differences(BiasedCoin(p=P), subjects) == PUBLISHED[subjects]


def test_the_arm_that_is_behind_has_two_of_three_tickets() -> None:
    chances = odds({"MSC": 5, "CSA": 3}, EQUAL, p=P)

    assert chances.tickets == {"MSC": 1, "CSA": 2}
    assert chances.preferred == ("CSA",)


def test_at_equal_counts_the_coin_is_fair() -> None:
    chances = odds({"MSC": 4, "CSA": 4}, EQUAL, p=P)

    assert chances.tickets == {"MSC": 1, "CSA": 1}
    assert chances.preferred == ("MSC", "CSA")


@given(msc=counts, csa=counts, p=chances_of_the_weaker)
@settings(max_examples=80)
def test_no_arm_that_is_ahead_has_the_better_chance(msc: int, csa: int, p: Fraction) -> None:
    chances = odds({"MSC": msc, "CSA": csa}, EQUAL, p=p).probabilities

    assert sum(chances.values()) == 1
    assert (chances["MSC"] - chances["CSA"]) * (csa - msc) >= 0


@given(msc=counts, csa=counts, p=chances_of_the_weaker)
@settings(max_examples=80)
def test_the_order_of_the_arms_changes_no_chance(msc: int, csa: int, p: Fraction) -> None:
    seen = {"MSC": msc, "CSA": csa}

    assert odds(seen, EQUAL, p=p).probabilities == odds(seen, {"CSA": 1, "MSC": 1}, p=p).probabilities


def test_shares_that_are_equal_need_not_be_one() -> None:
    assert odds({"A": 1, "B": 0}, {"A": 2, "B": 2}, p=P) == odds({"A": 1, "B": 0}, {"A": 1, "B": 1}, p=P)


@pytest.mark.parametrize("p", [Fraction(49, 100), Fraction(101, 100)])
def test_a_chance_that_would_not_balance_is_refused(p: Fraction) -> None:
    with pytest.raises(ValueError, match="1/2 to 1"):
        odds({"MSC": 0, "CSA": 0}, EQUAL, p=p)


@pytest.mark.parametrize("ratio", [{"A": 2, "B": 1}, {"A": 1}, {"A": 1, "B": 1, "C": 1}])
def test_it_is_defined_for_two_equal_arms_alone(ratio: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"equal shares|two arms"):
        odds(dict.fromkeys(ratio, 0), ratio, p=P)


@pytest.mark.parametrize("seen", [{"MSC": 1}, {"MSC": 1, "CSA": -1}, {"MSC": 1, "CSA": 1, "BSC": 0}])
def test_counts_are_of_the_arms_and_of_nothing_else(seen: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="count"):
        odds(seen, EQUAL, p=P)
