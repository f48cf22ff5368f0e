"""A subject's timeline: what happened, when, in which order, and by the last word on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from services.labs import events as labs_events
from services.randomization import events as randomization_events
from services.visits import events as visits_events
from services.visits.answers_views import Moment
from services.visits.events import AdverseEventNullified, EvaluationInputsChanged
from services.visits.subject import STANDING
from services.visits.timeline import NEEDS, page_after, timeline
from shared.events import Event
from tests.scenario import At, given
from tests.visits.examples import (
    CSA,
    ELIGIBLE,
    MSC,
    NO_REMISSIONS,
    PROTOCOL,
    S,
    collected,
    counted,
    dosed,
    evaluated,
    infused,
    left,
    reported,
    scored,
    transfused,
)

DAY_0 = date(2026, 1, 1)


def moments(*events: Event | At, day_0: date | None = DAY_0) -> tuple[Moment, ...]:
    return timeline(PROTOCOL, "01", day_0, given(*events).history)


def told(*events: Event | At) -> list[tuple[int | None, str, str]]:
    return [(moment.day, moment.kind, moment.label) for moment in moments(*events)]


def details(found: Sequence[Moment], kind: str) -> list[str | None]:
    return [moment.detail for moment in found if moment.kind == kind]


def test_things_stand_in_the_order_in_which_they_happened_not_in_which_they_were_recorded() -> None:
    assert told(*MSC, infused(), At(scored(2), 14), At(transfused(), 3), At(evaluated(), 93), At(ELIGIBLE, 93)) == [
        (0, "randomization", "MSC"),
        (0, "infusion", "MSC-1"),
        (3, "transfusion", "RBC ×2"),
        (14, "symptoms", "W2"),
        (93, "evaluation", "M3 HI"),
        (93, "second-dose", "eligible"),
    ]


def test_days_are_those_of_the_sites_calendar() -> None:
    # Nine in the morning of UTC on day 0 is five in the afternoon in Shanghai: eight hours later it is the next day.
    moment = moments(*MSC, infused(), At(transfused(), 8 / 24))[-1]
    assert (moment.on, moment.day) == (DAY_0 + timedelta(days=1), 1)


def test_before_randomization_there_is_no_study_day() -> None:
    assert [moment.day for moment in moments(MSC[0], collected(-3, counted(1, HGB="86")), day_0=None)] == [None]


def test_an_adverse_event_happened_on_the_day_of_its_onset() -> None:
    found = moments(*MSC, infused(), At(reported(grade=3, serious=True, onset_on="2026-01-03"), 9))
    assert (found[-1].day, found[-1].label, found[-1].detail) == (2, "G3 serious", "Pyrexia")


def test_an_onset_that_is_known_by_its_month_stands_at_the_months_beginning_if_it_began_before() -> None:
    earlier, same = (
        moment.on
        for onset in ("2026-01", "2026-02")
        for moment in moments(*MSC, infused(), At(reported(onset_on=onset), 40))
        if moment.kind == "adverse-event"
    )
    assert (earlier, same) == (DAY_0, DAY_0 + timedelta(days=40))


def test_each_later_word_on_an_adverse_event_stands_and_a_death_that_is_taken_back_does_not() -> None:
    fatal = reported(grade=5, serious=True, fatal=True)
    nullified = AdverseEventNullified(subject=S, site="01", adverse_event=4, clocks=(), death_retracted=True)
    found = moments(*MSC, infused(), At(fatal, 9), At(nullified, 12))
    assert [(moment.kind, moment.detail) for moment in found[-2:]] == [
        ("adverse-event", "Pyrexia"),
        ("adverse-event-nullified", "of 4"),
    ]


BEFORE_RANDOMIZATION = {
    "subject-screened",
    "subject-rescreened",
    "informed-consent-obtained",
    "eligibility-assessed",
    "subject-enrolled",
}
BOOKKEEPING = {"protocol-deviation-graded", "stratum-corrected"}
OF_LABORATORIES = {"lab-message-quarantined", "lab-message-released"}


def test_whatever_is_recorded_of_a_subject_is_shown_or_is_listed_here_as_not_shown() -> None:
    published = {
        event.name: event
        for module in (randomization_events, labs_events, visits_events)
        for event in vars(module).values()
        if isinstance(event, type) and issubclass(event, Event) and "subject" in event.model_fields
    }
    of_subjects = {name for name, event in published.items() if "subject" in event.tag_fields}
    shown = {event.name for event in (*STANDING, *NEEDS)} - BEFORE_RANDOMIZATION
    assert of_subjects - shown == BEFORE_RANDOMIZATION | BOOKKEEPING | OF_LABORATORIES


def test_a_fatal_adverse_event_is_a_death_too() -> None:
    found = told(*MSC, infused(), At(reported(grade=5, serious=True, fatal=True), 9))
    assert found[-2:] == [(9, "adverse-event", "G5 serious"), (9, "death", "died")]


def test_what_a_laboratory_collected_on_a_day_stands_once_by_the_last_word_on_it() -> None:
    first = collected(30, counted(1, HGB="101", PLT="150"))
    found = moments(*MSC, infused(), first, collected(30, counted(1, "C", supersedes=4, HGB="85")))
    (day,) = [moment for moment in found if moment.kind == "laboratory"]
    assert (day.day, day.label, day.detail, day.position) == (30, "2 analytes", "HGB PLT", 5)


def test_a_result_that_was_deleted_was_not_collected() -> None:
    first = collected(30, counted(1, HGB="101"))
    deleted = collected(30, counted(1, "D", supersedes=4, HGB=None))
    assert "laboratory" not in {kind for _, kind, _ in told(*MSC, infused(), first, deleted)}


def test_a_week_that_was_scored_anew_stands_once() -> None:
    found = moments(*MSC, infused(), At(scored(3, fatigue=2), 21), At(scored(3, fatigue=4), 22))
    (week,) = [moment for moment in found if moment.kind == "symptoms"]
    assert (week.day, week.position) == (22, 5)
    assert week.detail == "fatigue 4, dyspnoea 1, pallor 1, palpitations 0, dizziness 0"


def test_an_evaluation_that_was_made_again_stands_twice_and_between_them_what_outdated_it() -> None:
    changed = EvaluationInputsChanged(
        subject=S,
        site="01",
        timepoint="M3",
        evaluation=4,
        inputs=(),
        lineages={"HI-E": "not-met"},
        remissions=NO_REMISSIONS,
        progression=False,
        response="SD",
        outcome_changed=True,
    )
    found = told(
        *MSC, infused(), At(evaluated(), 93), At(changed, 95), At(evaluated(hi_e="not-met", response="SD"), 96)
    )
    assert found[-3:] == [
        (93, "evaluation", "M3 HI"),
        (95, "evaluation-outdated", "M3 SD"),
        (96, "evaluation", "M3 SD"),
    ]


def test_doses_and_an_exit_say_what_they_were() -> None:
    found = moments(*CSA, dosed(), At(dosed("0"), 40), At(left("study"), 50))
    assert [(moment.day, moment.label, moment.detail) for moment in found[1:]] == [
        (0, "CSA 5", "5 mg/kg/day"),
        (40, "CSA 0", "0 mg/kg/day"),
        (50, "study", None),
    ]
    assert details(moments(*MSC, infused(cells_per_kg=2_000_000)), "infusion") == ["2000000 cells/kg, out of tolerance"]


def test_pages_hold_everything_once() -> None:
    everything = moments(*MSC, infused(), *(At(scored(week), 7 * week) for week in range(1, 8)))
    pages: list[Any] = []
    after = None
    while True:
        page, after = page_after(everything, after, 4)
        pages.append(page)
        if after is None:
            break
    assert [len(page) for page in pages] == [4, 4, 1]
    assert tuple(moment for page in pages for moment in page) == everything
