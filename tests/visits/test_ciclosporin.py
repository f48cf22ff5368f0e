"""Daily ciclosporin: what its doses were, and what creatinine and trough call for by the labelling's rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from services.labs.events import ResultStatus
from services.visits import ciclosporin
from services.visits.commands import AdviseOnCiclosporin, DoseCiclosporin
from services.visits.events import CiclosporinDoseAdvised
from shared.chronology import OUT_OF_ORDER
from tests.randomization.examples import assessed
from tests.scenario import DAY_0, At, Scenario, given
from tests.visits.examples import CICLOSPORIN, CSA, MSC, PROTOCOL, History, S, collected, counted, dosed, happened, left

ADVISING = ciclosporin.advising(PROTOCOL)


def resulted(days: int, status: ResultStatus = "F", **values: str) -> At:
    """What was collected on a day, and a later word on it."""
    return collected(days, counted(100 + days, status, None, current=True, **values))


BASELINE = happened(*CSA, resulted(-14, CREAT="78"), resulted(-3, CREAT="82"), dosed("5"))
"""A mean of 80: a rise of a quarter is at 100, one of a half at 120."""


def advised(*history: Any) -> list[tuple[str, str]]:
    """What is advised on a history, and why, in the order of the results."""
    events = advice_on(*history)
    return [(event.advice, event.ground) for event in sorted(events, key=lambda event: event.collected_at)]


def advice_on(*history: Any) -> Sequence[CiclosporinDoseAdvised]:
    events = given(*history).when(ADVISING, AdviseOnCiclosporin(subject=S)).events
    assert all(isinstance(event, CiclosporinDoseAdvised) for event in events)
    return [event for event in events if isinstance(event, CiclosporinDoseAdvised)]


class TestCreatinine:
    @pytest.mark.parametrize("value", ["60", "80", "99", "99.99"])
    def test_less_than_a_quarter_above_the_baseline_calls_for_nothing(self, value: str) -> None:
        assert advised(*BASELINE, resulted(14, CREAT=value)) == []

    @pytest.mark.parametrize("value", ["100", "119.99"])
    def test_a_quarter_above_is_looked_at_again_within_two_weeks(self, value: str) -> None:
        (event,) = advice_on(*BASELINE, resulted(14, CREAT=value))
        assert (event.advice, event.ground) == ("repeat-creatinine", "creatinine-rise")
        assert event.repeat_by == (DAY_0 + timedelta(days=28)).date()
        assert event.mg_per_kg_per_day_min is None

    def test_a_rise_that_persists_asks_for_a_quarter_to_a_half_less(self) -> None:
        _, event = advice_on(*BASELINE, resulted(14, CREAT="104"), resulted(28, CREAT="101"))
        assert (event.advice, event.ground) == ("reduce-dose", "creatinine-rise-persists")
        assert (event.mg_per_kg_per_day_min, event.mg_per_kg_per_day_max) == (Decimal("2.5"), Decimal("3.75"))

    def test_half_above_asks_for_less_at_once(self) -> None:
        assert advised(*BASELINE, resulted(14, CREAT="120")) == [("reduce-dose", "creatinine-rise-high")]

    def test_a_rise_that_has_passed_begins_anew(self) -> None:
        history = (*BASELINE, resulted(14, CREAT="104"), resulted(28, CREAT="90"), resulted(42, CREAT="104"))
        assert [advice for advice, _ in advised(*history)] == ["repeat-creatinine", "repeat-creatinine"]

    def test_what_two_reductions_have_not_turned_asks_to_stop(self) -> None:
        lowered = (At(dosed("3.5"), 15), At(dosed("2"), 29))
        rises = [resulted(day, CREAT="125") for day in (14, 28, 42)]
        assert advised(*BASELINE, *lowered[:1], *rises)[-1] == ("reduce-dose", "creatinine-rise-high")
        assert advised(*BASELINE, *lowered, *rises)[-1] == ("stop-treatment", "creatinine-not-reversible")

    def test_doses_lowered_before_the_rise_or_raised_or_interrupted_are_no_reductions_because_of_it(self) -> None:
        other = (At(dosed("4"), 5), At(dosed("3"), 6), At(dosed("5"), 15), At(dosed("0"), 16))
        rises = [resulted(day, CREAT="125") for day in (14, 28)]
        assert advised(*BASELINE, *other, *rises)[-1] == ("reduce-dose", "creatinine-rise-high")

    def test_while_no_dose_is_given_none_is_named(self) -> None:
        event = advice_on(*BASELINE, At(dosed("0"), 10), resulted(14, CREAT="120"))[0]
        assert (event.advice, event.mg_per_kg_per_day_max) == ("reduce-dose", None)

    def test_it_names_the_baseline_the_episode_and_the_reductions_that_it_rests_on(self) -> None:
        history = (*BASELINE, At(dosed("3.5"), 15), resulted(14, CREAT="104"), resulted(28, CREAT="104"))
        events = advice_on(*history)
        baseline = (len(CSA) + 1, len(CSA) + 2)
        dose, first, second = len(BASELINE) + 1, len(BASELINE) + 2, len(BASELINE) + 3
        assert [event.inputs for event in events] == [(*baseline, first), (*baseline, first, second, dose)]

    def test_without_a_result_before_treatment_the_baseline_is_that_of_eligibility(self) -> None:
        history = (*CSA, At(assessed(S), -7), dosed("5"))  # 80 µmol/L
        assert advised(*history, resulted(14, CREAT="99")) == []
        assert advised(*history, resulted(14, CREAT="100")) == [("repeat-creatinine", "creatinine-rise")]

    def test_without_any_baseline_nothing_can_be_said(self) -> None:
        assert advised(*CSA, dosed("5"), resulted(14, CREAT="500")) == []

    def test_results_of_the_day_of_the_first_dose_and_of_four_weeks_before_are_the_baseline_and_older_ones_not(
        self,
    ) -> None:
        history = (*CSA, resulted(-29, CREAT="800"), resulted(-28, CREAT="80"), resulted(0, CREAT="80"), dosed("5"))
        assert advised(*history, resulted(14, CREAT="100")) == [("repeat-creatinine", "creatinine-rise")]

    @pytest.mark.parametrize("status", ["P", "X", "W", "D"])
    def test_what_is_not_final_calls_for_nothing(self, status: Any) -> None:
        assert advised(*BASELINE, resulted(14, status, CREAT="500")) == []

    @examples(
        st.lists(st.integers(60, 200), min_size=1, max_size=6),
        st.permutations(range(6)),
        st.integers(1, 60),
        st.integers(0, 5),
    )
    @settings(max_examples=60)
    def test_the_order_of_arrival_does_not_matter_and_more_creatinine_never_calls_for_less(
        self, values: list[int], order: list[int], more: int, which: int
    ) -> None:
        results = [resulted(14 * (number + 1), CREAT=str(value)) for number, value in enumerate(values)]
        in_order = advised(*BASELINE, *results)
        assert advised(*BASELINE, *(results[place] for place in order if place < len(results))) == in_order
        at = which % len(values)
        raised = [*results[:at], resulted(14 * (at + 1), CREAT=str(values[at] + more)), *results[at + 1 :]]
        severity = {"repeat-creatinine": 1, "reduce-dose": 2, "stop-treatment": 3}
        before, after = (
            {event.collected_at: severity[event.advice] for event in advice_on(*BASELINE, *each)}
            for each in (results, raised)
        )
        assert all(after.get(collected_at, 0) >= rank for collected_at, rank in before.items())


class TestTrough:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("99.9", [("review-dose", "trough-low")]),
            ("100", []),
            ("250", []),
            ("250.1", [("review-dose", "trough-high")]),
        ],
    )
    def test_outside_its_range_it_is_an_alert(self, value: str, expected: list[tuple[str, str]]) -> None:
        assert advised(*BASELINE, resulted(14, CSA=value)) == expected

    def test_before_treatment_it_says_nothing(self) -> None:
        assert advised(*CSA, resulted(-1, CSA="1"), dosed("5")) == []


class TestWhatIsRecorded:
    @staticmethod
    def after(*history: Any) -> Scenario:
        """The history with what was advised on it."""
        return given(*history, *advice_on(*history))

    def test_the_same_is_not_advised_twice(self) -> None:
        self.after(*BASELINE, resulted(14, CREAT="104")).when(ADVISING, AdviseOnCiclosporin(subject=S)).records()

    def test_a_corrected_result_takes_its_advice_back(self) -> None:
        history = (*BASELINE, resulted(14, CREAT="104"))
        (event,) = advice_on(*history, *advice_on(*history), resulted(14, "C", CREAT="84"))
        assert (event.advice, event.ground, event.repeat_by) == ("none", "result-changed", None)

    def test_and_it_is_taken_back_once(self) -> None:
        history: tuple[Any, ...] = (*BASELINE, resulted(14, CREAT="104"))
        history = (*history, *advice_on(*history), resulted(14, "C", CREAT="84"))
        self.after(*history).when(ADVISING, AdviseOnCiclosporin(subject=S)).records()

    @pytest.mark.parametrize("history", [(), MSC, happened(*MSC, dosed("5"))], ids=["nobody", "cells", "wrong-arm"])
    def test_only_ciclosporins_arm_is_advised_on(self, history: History) -> None:
        assert advised(*history, resulted(-3, CREAT="80"), resulted(14, CREAT="500")) == []


class TestDoses:
    def test_each_holds_until_the_next_in_the_order_of_time(self) -> None:
        state = ADVISING.initial(AdviseOnCiclosporin(subject=S))
        for recorded in given(dosed("5"), At(dosed("3"), 20), At(dosed("4"), 10)).history:
            state = ADVISING.evolve(state, recorded)
        found = [(str(each.dose.mg_per_kg_per_day), each.until) for each in ciclosporin.intervals(state.ciclosporin)]
        ten, twenty = (DAY_0 + timedelta(days=days) for days in (10, 20))
        assert found == [("5", ten), ("4", twenty), ("3", None)]

    def test_an_interruption_comes_after_a_first_dose(self) -> None:
        nothing = DoseCiclosporin(subject=S, mg_per_kg_per_day="0")
        given(*CSA).when(CICLOSPORIN, nothing).rejects(ciclosporin.NOT_TREATED)
        given(*CSA, At(dosed("5"), 3)).when(CICLOSPORIN, nothing).rejects(OUT_OF_ORDER)
        given(*CSA, dosed("5")).when(CICLOSPORIN, nothing).records(dosed("0"))

    def test_who_left_the_treatment_gets_none(self) -> None:
        command = DoseCiclosporin(subject=S, mg_per_kg_per_day="5")
        assert given(*CSA, left("treatment")).when(CICLOSPORIN, command).problem is not None
