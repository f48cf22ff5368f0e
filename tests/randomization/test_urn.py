"""Wei's urn: the exact distributions, the pull that fades, and what it is not defined for."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.randomization.allocation import Urn
from services.randomization.simulation import exact_differences
from services.randomization.urn import odds

EQUAL = {"MSC": 1, "CSA": 1}

counts = st.integers(0, 40)
balls = st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(any)


def test_the_difference_after_four_subjects_has_its_exact_distribution() -> None:
    """UD(1, 1), computed apart from this code."""
    assert exact_differences(Urn(alpha=1, beta=1), 4) == {
        -4: Fraction(1, 120),
        -2: Fraction(13, 60),
        0: Fraction(11, 20),
        2: Fraction(13, 60),
        4: Fraction(1, 120),
    }


def test_an_urn_that_starts_empty_gives_the_second_subject_the_other_arm() -> None:
    assert odds({"MSC": 0, "CSA": 0}, EQUAL, alpha=0, beta=1).tickets == {"MSC": 1, "CSA": 1}
    assert odds({"MSC": 1, "CSA": 0}, EQUAL, alpha=0, beta=1).tickets == {"MSC": 0, "CSA": 1}


@given(msc=counts, csa=counts, urn=balls)
@settings(max_examples=80)
def test_two_arms_have_the_chances_of_the_formula(msc: int, csa: int, urn: tuple[int, int]) -> None:
    """P(A) = (α + β n_B) / (2α + β n); an empty urn is fair."""
    alpha, beta = urn
    chances = odds({"MSC": msc, "CSA": csa}, EQUAL, alpha=alpha, beta=beta).probabilities
    all_balls = 2 * alpha + beta * (msc + csa)

    assert sum(chances.values()) == 1
    assert chances["MSC"] == (Fraction(alpha + beta * csa, all_balls) if all_balls else Fraction(1, 2))


@given(seen=st.tuples(counts, counts, counts), urn=balls)
@settings(max_examples=80)
def test_the_fewer_subjects_an_arm_has_the_better_its_chance(seen: tuple[int, ...], urn: tuple[int, int]) -> None:
    alpha, beta = urn
    tally = dict(zip("ABC", seen, strict=True))
    chances = odds(tally, dict.fromkeys("ABC", 1), alpha=alpha, beta=beta)

    for one, other in ("AB", "BC", "CA"):
        assert (chances.tickets[one] - chances.tickets[other]) * (tally[other] - tally[one]) >= 0
    assert chances.preferred == tuple(arm for arm in "ABC" if tally[arm] == min(seen))


def test_three_arms_get_the_balls_that_the_others_draws_add() -> None:
    """UD(1, 2) after A, A, B: A has 1 + 2·1 balls, B 1 + 2·2, C 1 + 2·3."""
    chances = odds({"A": 2, "B": 1, "C": 0}, {"A": 1, "B": 1, "C": 1}, alpha=1, beta=2)

    assert chances.tickets == {"A": 3, "B": 5, "C": 7}


@given(seen=st.tuples(counts, counts, counts), order=st.permutations("ABC"))
@settings(max_examples=50)
def test_the_order_of_the_arms_changes_no_chance(seen: tuple[int, ...], order: list[str]) -> None:
    tally = dict(zip("ABC", seen, strict=True))
    chances = odds(tally, dict.fromkeys("ABC", 1), alpha=1, beta=1)

    assert odds(tally, dict.fromkeys(order, 1), alpha=1, beta=1).probabilities == chances.probabilities


def test_the_pull_fades_as_the_trial_grows() -> None:
    early = odds({"MSC": 2, "CSA": 0}, EQUAL, alpha=1, beta=1).probabilities["CSA"]
    late = odds({"MSC": 22, "CSA": 20}, EQUAL, alpha=1, beta=1).probabilities["CSA"]

    assert early > late > Fraction(1, 2)


@pytest.mark.parametrize(("alpha", "beta"), [(0, 0), (-1, 2), (2, -1)])
def test_an_urn_that_cannot_be_filled_is_refused(alpha: int, beta: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        odds({"MSC": 0, "CSA": 0}, EQUAL, alpha=alpha, beta=beta)


@pytest.mark.parametrize("ratio", [{"A": 2, "B": 1}, {"A": 1}])
def test_it_is_defined_for_equal_arms_alone(ratio: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"equal shares|two arms"):
        odds(dict.fromkeys(ratio, 0), ratio, alpha=1, beta=1)


def test_counts_are_of_the_arms_and_of_nothing_else() -> None:
    with pytest.raises(ValueError, match="count"):
        odds({"MSC": 1}, EQUAL, alpha=1, beta=1)
