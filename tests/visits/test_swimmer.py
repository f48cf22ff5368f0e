"""A lane of a swimmer plot: study days, when a treatment held, how long an improvement lasted, how it ended."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.visits.answers_views import Lane
from services.visits.events import LineageStatus, OverallResponse
from services.visits.swimmer import AdverseEvent, Course, Dose, Evaluation, Transfusion, lane
from tests.scenario import DAY_0
from tests.visits.examples import PROTOCOL, S


def at(days: float) -> Any:
    return DAY_0 + timedelta(days=days)


def on(days: int) -> date:
    return date(2026, 1, 1) + timedelta(days=days)


def infusion(number: int = 1, day: float = 0) -> Dose:
    return Dose(at(day), "infusion", Decimal(number), 10 + number)


def daily(amount: str, day: float) -> Dose:
    return Dose(at(day), "ciclosporin", Decimal(amount), 20 + int(day))


def evaluation(
    day: int,
    hi_e: LineageStatus,
    response: OverallResponse = "HI",
    *,
    progression: bool = False,
    outdated: bool = False,
    hi_p: LineageStatus = "not-evaluable",
) -> Evaluation:
    return Evaluation(at(day), f"M{day // 30}", response, {"HI-E": hi_e, "HI-P": hi_p}, progression, outdated, day)


def lane_of(arm: str = "MSC", as_of: int = 300, **known: Any) -> Lane:
    return lane(PROTOCOL, Course(S, "01", arm, at(-2), **{"doses": [infusion()]} | known), on(as_of))


def spans(found: Lane) -> list[tuple[int, int | None]]:
    return [(span.from_day, span.to_day) for span in found.on_treatment]


def improved(*evaluations: Evaluation, **known: Any) -> list[tuple[str, int, int | None]]:
    found = lane_of(evaluations=evaluations, **known)
    return [(each.lineage, each.from_day, each.to_day) for each in found.improvements]


def test_day_0_is_that_of_the_first_treatment_and_before_it_that_of_randomization() -> None:
    assert lane_of().day_0 == on(0)
    assert lane_of(doses=[]).day_0 == on(-2)
    assert lane_of("CSA", doses=[daily("0", -1), daily("5", 3), daily("4", 9)]).day_0 == on(3)


def test_who_is_on_study_has_no_end_and_counts_up_to_the_day_of_the_plot() -> None:
    found = lane_of(as_of=40)
    assert (found.days_on_study, found.end) == (40, None)


@pytest.mark.parametrize("kind", ["died", "withdrawn", "lost-to-follow-up", "completed"])
def test_a_time_on_study_ends(kind: Any) -> None:
    found = lane_of(ends={kind: at(120)})
    assert found.end is not None
    assert (found.days_on_study, found.end.day, found.end.kind) == (120, 120, kind)


def test_the_first_of_several_ends_counts() -> None:
    found = lane_of(ends={"died": at(200), "withdrawn": at(120), "completed": None})
    assert found.end is not None
    assert (found.end.day, found.end.kind) == (120, "withdrawn")


def test_a_lane_of_an_earlier_day_knows_nothing_of_what_came_later() -> None:
    found = lane_of(
        as_of=60,
        ends={"died": at(120)},
        doses=[infusion(), infusion(2, 98)],
        evaluations=[evaluation(93, "confirmed")],
        transfusions=[Transfusion(at(61), "RBC", 2, 30)],
        adverse_events=[
            AdverseEvent(at(70), 4, True, 31),
            AdverseEvent(at(70), 3, False, 32, onset_on=on(60).isoformat()),
        ],
    )
    assert (found.days_on_study, found.end, len(found.doses)) == (60, None, 1)
    assert (found.evaluations, found.transfusions, found.improvements) == ((), (), ())
    assert [(event.day, event.grade) for event in found.adverse_events] == [(60, 3)]


def test_ciclosporin_is_interrupted_by_an_order_of_none() -> None:
    doses = [daily("5", 0), daily("0", 40), daily("2.5", 50), daily("3", 60)]
    assert spans(lane_of("CSA", doses=doses)) == [(0, 40), (50, None)]
    assert spans(lane_of("CSA", doses=doses, ends={"died": at(90)})) == [(0, 40), (50, 90)]


def test_a_treatment_ends_with_a_withdrawal_from_it() -> None:
    assert spans(lane_of(left_treatment_at=at(30), ends={"completed": at(365)}, as_of=400)) == [(0, 30)]
    assert spans(lane_of(doses=[])) == []


def test_an_improvement_lasts_from_the_evaluation_that_confirms_it_to_the_one_that_does_not() -> None:
    assert improved(evaluation(93, "confirmed"), evaluation(184, "not-met", "SD")) == [("HI-E", 93, 184)]
    assert improved(evaluation(93, "confirmed"), evaluation(184, "confirmed")) == [("HI-E", 93, None)]
    assert improved(evaluation(93, "not-met", "SD"), evaluation(184, "confirmed")) == [("HI-E", 184, None)]


@pytest.mark.parametrize("status", ["provisional", "not-evaluable"])
def test_what_is_not_known_neither_begins_an_improvement_nor_ends_it(status: LineageStatus) -> None:
    assert improved(evaluation(93, status, "SD")) == []
    assert improved(evaluation(93, "confirmed"), evaluation(184, status, "SD")) == [("HI-E", 93, None)]


def test_progression_ends_every_improvement() -> None:
    ending = evaluation(184, "confirmed", "PD", progression=True, hi_p="confirmed")
    beginning = evaluation(93, "confirmed", hi_p="confirmed")
    assert improved(beginning, ending) == [("HI-E", 93, 184), ("HI-P", 93, 184)]


def test_an_outdated_evaluation_stands_on_the_lane_and_says_nothing() -> None:
    found = lane_of(evaluations=[evaluation(93, "confirmed", outdated=True)])
    assert [made.outdated for made in found.evaluations] == [True]
    assert found.improvements == ()


def test_an_improvement_ends_with_the_time_on_study() -> None:
    assert improved(evaluation(93, "confirmed"), ends={"died": at(120)}) == [("HI-E", 93, 120)]


def test_severe_adverse_events_alone_are_shown_on_the_day_of_their_onset() -> None:
    events = [AdverseEvent(at(9), 2, False, 30), AdverseEvent(at(9), 3, True, 31, onset_on=on(5).isoformat())]
    found = lane_of(adverse_events=events)
    assert [(event.day, event.grade, event.serious) for event in found.adverse_events] == [(5, 3, True)]
