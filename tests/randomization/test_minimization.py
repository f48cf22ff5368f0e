"""Pocock and Simon's minimization: the published examples worked through, and what holds for all counts."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.randomization.minimization import Distance, odds

ONE = Fraction(1)
EQUAL = {"MSC": 1, "CSA": 1}

SCOTT = {"sex": {"Intervention": 2, "Control": 2}, "age": {"Intervention": 3, "Control": 1}}
"""Scott et al. 2002 (PMC3503622), table 3: the earlier subjects at the levels of the new one."""

ALTMAN_AND_BLAND = {
    "first": {"Usual": 12, "Nutrition": 11},
    "second": {"Usual": 7, "Nutrition": 5},
    "third": {"Usual": 4, "Nutrition": 3},
    "fourth": {"Usual": 6, "Nutrition": 8},
}
"""Altman and Bland, BMJ 2005;330:843 (PMC556084), their first subject. Only that one was read again at the source, and
not the names of the factors and of the first arm; the later subjects of the example are not claimed here."""


def arms_of(counts: dict[str, dict[str, int]]) -> dict[str, int]:
    return dict.fromkeys(next(iter(counts.values())), 1)


def alike(counts: dict[str, dict[str, int]]) -> dict[str, Fraction]:
    return dict.fromkeys(counts, ONE)


@st.composite
def situations(draw: st.DrawFn) -> tuple[dict[str, dict[str, int]], dict[str, int], dict[str, Fraction], Distance]:
    """Counts of one to three factors over two to four arms, a ratio, weights, and a distance."""
    ratio = {arm: draw(st.integers(1, 3)) for arm in "ABCD"[: draw(st.integers(2, 4))]}
    factors = "xyz"[: draw(st.integers(1, 3))]
    counts = {factor: {arm: draw(st.integers(0, 6)) for arm in ratio} for factor in factors}
    weights = {factor: Fraction(draw(st.integers(1, 4)), 2) for factor in factors}
    return counts, ratio, weights, draw(st.sampled_from(["range", "variance"]))


Situation = tuple[dict[str, dict[str, int]], dict[str, int], dict[str, Fraction], Distance]


class TestPublishedExamples:
    @pytest.mark.parametrize(("distance", "scores"), [("range", [4, 2]), ("variance", [5, 1])])
    def test_scott_and_others_prefer_control(self, distance: Distance, scores: list[Fraction]) -> None:
        chances = odds(SCOTT, arms_of(SCOTT), weights=alike(SCOTT), p=ONE, distance=distance)

        assert list(chances.scores.values()) == scores
        assert chances.preferred == ("Control",)
        assert chances.choose(0).arm == "Control"

    def test_altman_and_bland_prefer_the_nutrition_arm(self) -> None:
        chances = odds(ALTMAN_AND_BLAND, arms_of(ALTMAN_AND_BLAND), weights=alike(ALTMAN_AND_BLAND), p=ONE)

        assert list(chances.scores.values()) == [8, 4]
        assert chances.preferred == ("Nutrition",)


class TestTheScore:
    def test_a_factor_counts_as_often_as_it_weighs(self) -> None:
        """Site says CSA by 2, diagnosis MSC by 1: with three times the weight the diagnosis wins."""
        counts = {"site": {"MSC": 2, "CSA": 0}, "diagnosis": {"MSC": 3, "CSA": 4}}

        light = odds(counts, EQUAL, weights={"site": ONE, "diagnosis": ONE}, p=ONE)
        heavy = odds(counts, EQUAL, weights={"site": ONE, "diagnosis": 3 * ONE}, p=ONE)

        assert light.scores == {"MSC": 3, "CSA": 3}
        assert heavy.scores == {"MSC": 3, "CSA": 7}
        assert odds({"site": counts["site"]}, EQUAL, weights={"site": ONE}, p=ONE).scores == {"MSC": 3, "CSA": 1}

    def test_counts_are_in_units_of_the_arms_shares(self) -> None:
        """4 and 2 subjects at 2:1 are balanced: one more is half a share of the larger arm, a whole of the smaller."""
        chances = odds({"site": {"A": 4, "B": 2}}, {"A": 2, "B": 1}, weights={"site": ONE}, p=ONE)

        assert chances.scores == {"A": Fraction(1, 2), "B": 1}

    def test_the_variance_of_three_arms_is_that_of_a_sample(self) -> None:
        """With A: 3, 1, 2 has variance 1; with B: 2, 2, 2 none; with C: 2, 1, 3 has 1."""
        counts = {"site": {"A": 2, "B": 1, "C": 2}}
        chances = odds(counts, dict.fromkeys("ABC", 1), weights={"site": ONE}, p=ONE, distance="variance")

        assert chances.scores == {"A": 1, "B": 0, "C": 1}


class TestTheChances:
    def test_the_preferred_arm_has_p_and_the_others_share_the_rest(self) -> None:
        counts = {"site": {"A": 0, "B": 1, "C": 4}}
        chances = odds(counts, dict.fromkeys("ABC", 1), weights={"site": ONE}, p=Fraction(4, 5))

        assert chances.preferred == ("A",)
        assert chances.probabilities == {"A": Fraction(4, 5), "B": Fraction(1, 10), "C": Fraction(1, 10)}

    def test_arms_that_tie_share_p_in_their_ratio(self) -> None:
        """2:1:1, nobody at the first level, one A and one C at the second: 3/2 with A and with B, 3 with C."""
        counts = {"x": {"A": 0, "B": 0, "C": 0}, "y": {"A": 1, "B": 0, "C": 1}}
        ratio = {"A": 2, "B": 1, "C": 1}
        chances = odds(counts, ratio, weights=alike(counts), p=Fraction(4, 5))

        assert chances.preferred == ("A", "B")
        assert chances.probabilities == {"A": Fraction(8, 15), "B": Fraction(4, 15), "C": Fraction(1, 5)}

    def test_if_all_arms_tie_the_ratio_decides(self) -> None:
        """2:1, nobody at the first level, one in the larger arm at the second: 1/2 + 1 against 1 + 1/2."""
        counts = {"x": {"A": 0, "B": 0}, "y": {"A": 1, "B": 0}}
        chances = odds(counts, {"A": 2, "B": 1}, weights=alike(counts), p=Fraction(9, 10))

        assert chances.scores == {"A": Fraction(3, 2), "B": Fraction(3, 2)}
        assert chances.preferred == ("A", "B")
        assert chances.probabilities == {"A": Fraction(2, 3), "B": Fraction(1, 3)}

    def test_the_first_subject_at_unequal_shares_gets_the_larger_arm_with_chance_p(self) -> None:
        chances = odds({"x": {"A": 0, "B": 0}}, {"A": 2, "B": 1}, weights={"x": ONE}, p=Fraction(4, 5))

        assert chances.probabilities == {"A": Fraction(4, 5), "B": Fraction(1, 5)}


class TestAllSituations:
    @given(situation=situations())
    @settings(max_examples=80)
    def test_without_a_tie_and_with_p_1_the_arm_with_the_lowest_score_is_certain(self, situation: Situation) -> None:
        counts, ratio, weights, distance = situation
        chances = odds(counts, ratio, weights=weights, p=ONE, distance=distance)
        lowest = min(chances.scores.values())

        assert {arm for arm, chance in chances.probabilities.items() if chance} == {
            arm for arm, score in chances.scores.items() if score == lowest
        }
        if len(chances.preferred) == 1:
            assert chances.choose(0).arm == chances.preferred[0]
            assert chances.total == 1

    @given(situation=situations(), part=st.fractions(0, 1, max_denominator=20))
    @settings(max_examples=80)
    def test_a_preferred_arm_has_its_share_at_least_and_no_other_more(
        self, situation: Situation, part: Fraction
    ) -> None:
        counts, ratio, weights, distance = situation
        fair = {arm: Fraction(share, sum(ratio.values())) for arm, share in ratio.items()}
        chances = odds(counts, ratio, weights=weights, p=1 - part * min(fair.values()), distance=distance)

        assert sum(chances.probabilities.values()) == 1
        for arm, chance in chances.probabilities.items():
            assert chance >= fair[arm] if arm in chances.preferred else chance <= fair[arm]

    @given(situation=situations(), data=st.data())
    @settings(max_examples=80)
    def test_the_order_of_arms_and_factors_changes_no_score_and_no_chance(
        self, situation: Situation, data: st.DataObject
    ) -> None:
        counts, ratio, weights, distance = situation
        order = {arm: ratio[arm] for arm in data.draw(st.permutations(list(ratio)))}
        turned = {factor: counts[factor] for factor in data.draw(st.permutations(list(counts)))}
        one = odds(counts, ratio, weights=weights, p=ONE, distance=distance)
        other = odds(turned, order, weights=weights, p=ONE, distance=distance)

        assert one.scores == other.scores
        assert one.probabilities == other.probabilities

    @given(situation=situations(), times=st.integers(2, 5))
    @settings(max_examples=50)
    def test_weights_matter_only_against_one_another(self, situation: Situation, times: int) -> None:
        counts, ratio, weights, distance = situation
        heavier = {factor: weight * times for factor, weight in weights.items()}

        assert (
            odds(counts, ratio, weights=weights, p=ONE, distance=distance).tickets
            == odds(counts, ratio, weights=heavier, p=ONE, distance=distance).tickets
        )

    @given(msc=st.integers(0, 9), csa=st.integers(0, 9), distance=st.sampled_from(["range", "variance"]))
    @settings(max_examples=50)
    def test_with_one_factor_the_arm_that_is_behind_is_preferred(self, msc: int, csa: int, distance: Distance) -> None:
        counts = {"site": {"MSC": msc, "CSA": csa}}
        chances = odds(counts, EQUAL, weights={"site": ONE}, p=Fraction(4, 5), distance=distance)
        fewest = min(msc, csa)

        assert chances.preferred == tuple(arm for arm, seen in counts["site"].items() if seen == fewest)


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("ratio", "p"),
        [
            ({"A": 1, "B": 1}, Fraction(49, 100)),
            ({"A": 1, "B": 1}, Fraction(101, 100)),
            ({"A": 1, "B": 1, "C": 1}, Fraction(65, 100)),
            ({"A": 3, "B": 1}, Fraction(74, 100)),
        ],
    )
    def test_a_chance_that_could_favour_another_arm(self, ratio: dict[str, int], p: Fraction) -> None:
        with pytest.raises(ValueError, match="preferred"):
            odds({"x": dict.fromkeys(ratio, 0)}, ratio, weights={"x": ONE}, p=p)

    @pytest.mark.parametrize("weights", [{}, {"x": ONE}, {"x": ONE, "z": ONE}, {"x": ONE, "y": ONE, "z": ONE}])
    def test_factors_without_counts_or_without_a_weight(self, weights: dict[str, Fraction]) -> None:
        with pytest.raises(ValueError, match="factor"):
            odds({"x": {"MSC": 0, "CSA": 0}, "y": {"MSC": 0, "CSA": 0}}, EQUAL, weights=weights, p=ONE)

    @pytest.mark.parametrize("weight", [Fraction(0), Fraction(-1)])
    def test_a_weight_that_does_not_weigh(self, weight: Fraction) -> None:
        with pytest.raises(ValueError, match="positive weight"):
            odds({"x": {"MSC": 0, "CSA": 0}}, EQUAL, weights={"x": weight}, p=ONE)

    @pytest.mark.parametrize("seen", [{"MSC": 1}, {"MSC": 1, "CSA": -1}, {"MSC": 0, "CSA": 0, "BSC": 0}])
    def test_counts_of_other_arms(self, seen: dict[str, int]) -> None:
        with pytest.raises(ValueError, match="count"):
            odds({"x": seen}, EQUAL, weights={"x": ONE}, p=ONE)

    @pytest.mark.parametrize(("ratio", "what"), [({"A": 1}, "two arms"), ({"A": 0, "B": 1}, "share")])
    def test_arms_that_cannot_be_balanced(self, ratio: dict[str, int], what: str) -> None:
        with pytest.raises(ValueError, match=what):
            odds({"x": dict.fromkeys(ratio, 0)}, ratio, weights={"x": ONE}, p=ONE)
