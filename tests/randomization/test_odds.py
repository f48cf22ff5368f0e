"""Tickets and the number drawn: chances are exact, and a number falls on one arm."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.randomization.odds import Choice, Odds, odds_of, proportional

ratios = st.dictionaries(st.sampled_from("ABCD"), st.integers(1, 6), min_size=1)


@given(ratio=ratios)
@settings(max_examples=50)
def test_simple_randomization_follows_the_ratio_alone(ratio: dict[str, int]) -> None:
    chances = proportional(ratio)

    assert chances.probabilities == {arm: Fraction(share, sum(ratio.values())) for arm, share in ratio.items()}
    assert chances.preferred == tuple(ratio)


@given(ratio=ratios)
@settings(max_examples=50)
def test_over_all_numbers_every_arm_is_chosen_as_often_as_it_has_tickets(ratio: dict[str, int]) -> None:
    chances = proportional(ratio)

    assert Counter(chances.choose(number).arm for number in range(chances.total)) == chances.tickets


def test_tickets_are_numbered_from_0_in_the_order_of_the_arms() -> None:
    chances = proportional({"CSA": 1, "MSC": 2})

    assert [chances.choose(number).arm for number in range(3)] == ["CSA", "MSC", "MSC"]


def test_a_choice_holds_all_that_is_needed_to_repeat_it() -> None:
    chances = proportional({"MSC": 1, "CSA": 1})

    assert chances.choose(1) == Choice(arm="CSA", draw=1, odds=chances)


def test_there_are_as_few_tickets_as_the_chances_allow() -> None:
    chances = odds_of({}, {"A": Fraction(1, 3), "B": Fraction(1, 6), "C": Fraction(1, 2)})

    assert chances.tickets == {"A": 2, "B": 1, "C": 3}
    assert proportional({"A": 4, "B": 2}).tickets == {"A": 2, "B": 1}


def test_an_arm_without_a_ticket_is_never_chosen() -> None:
    chances = odds_of({}, {"A": Fraction(0), "B": Fraction(1), "C": Fraction(0)})

    assert chances.total == 1
    assert chances.choose(0).arm == "B"


def test_all_arms_with_the_lowest_score_are_preferred() -> None:
    scores = {"A": Fraction(2), "B": Fraction(1), "C": Fraction(1)}

    assert Odds(scores, {}).preferred == ("B", "C")


@pytest.mark.parametrize("number", [-1, 2])
def test_a_number_on_no_ticket_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="ticket"):
        proportional({"MSC": 1, "CSA": 1}).choose(number)


@pytest.mark.parametrize("ratio", [{}, {"MSC": 0, "CSA": 1}, {"MSC": -1, "CSA": 1}])
def test_an_arm_without_a_share_is_refused(ratio: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="share"):
        proportional(ratio)
