"""Screening numbers: the site's next each time, never one that was used; two numbers of one person name each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from services.randomization import domain, screening
from services.randomization.commands import EnrolSubject, RescreenSubject, ScreenSubject
from services.randomization.events import SubjectRescreened, SubjectScreened, SubjectWithdrawn
from services.randomization.subject import RESCREENED
from shared.chronology import OUT_OF_ORDER
from shared.events import Event
from shared.problems import UNKNOWN_SUBJECT, WITHDRAWN
from shared.protocol import load_protocol
from tests.randomization.examples import assess, assessed, consented, screened
from tests.scenario import DAY_0, given

PROTOCOL = load_protocol()
SCREENING = screening.screening(PROTOCOL)
RESCREENING = screening.rescreening(PROTOCOL)
S = "01-001"

SCREEN = ScreenSubject(site="01", birth_year=1960, sex="F")
AGAIN = RescreenSubject(subject=S)
FAILED = (screened(S), consented(S), assessed(S, eligible=False))


def rescreened(subject: str, earlier: str) -> SubjectRescreened:
    return SubjectRescreened(subject=subject, site=subject[:2], rescreening_of=earlier)


def test_the_first_person_screened_at_a_site_is_number_001() -> None:
    given().when(SCREENING, SCREEN).records(screened("01-001"))


def test_screening_numbers_go_on_from_the_sites_last() -> None:
    given(screened("01-001"), screened("01-002"), screened("02-009")).when(SCREENING, SCREEN).records(
        screened("01-003")
    )


def test_a_site_has_999_screening_numbers() -> None:
    given(screened("01-999")).when(SCREENING, SCREEN).rejects(screening.SITE_FULL, site="01")
    given(*FAILED, screened("01-999")).when(RESCREENING, AGAIN).rejects(screening.SITE_FULL, site="01")


@examples(st.lists(st.sampled_from(["screen", "rescreen", "withdraw"]), max_size=30))
@settings(max_examples=50, deadline=None)
def test_whatever_happens_to_subjects_no_number_is_given_twice(steps: list[str]) -> None:
    history: list[Event] = [*FAILED]
    for step in steps:
        last = max(event.subject for event in history if isinstance(event, SubjectScreened))
        failed = [consented(last), assessed(last, eligible=False)]
        match step:
            case "screen":
                history += given(*history).when(SCREENING, SCREEN).events
            case "rescreen":
                history += [*failed, *given(*history, *failed).when(RESCREENING, RescreenSubject(subject=last)).events]
            case _:
                history += [SubjectWithdrawn(subject=last, site="01", scope="treatment")]
    numbers = [event.subject for event in history if isinstance(event, SubjectScreened)]
    assert numbers == [f"01-{number:03d}" for number in range(1, len(numbers) + 1)]


def test_the_fhir_word_for_a_sex_is_recorded_as_the_cdisc_code() -> None:
    command = ScreenSubject(site="01", birth_year=1960, sex="female")
    given().when(SCREENING, command).records(screened("01-001"))


@pytest.mark.parametrize(("birth_year", "is_plausible"), [(1905, False), (1906, True), (2026, True), (2027, False)])
def test_a_person_is_born_before_being_screened_and_not_longer_ago_than_people_live(
    birth_year: int, is_plausible: bool
) -> None:
    result = given().when(SCREENING, SCREEN.model_copy(update={"birth_year": birth_year}))
    if is_plausible:
        result.records(screened(birth_year=birth_year))
    else:
        result.rejects(screening.BIRTH_YEAR_IMPLAUSIBLE, earliest=1906, latest=2026)


def test_the_year_of_screening_is_that_of_the_site() -> None:
    new_years_eve = datetime(2025, 12, 31, 16, 0, tzinfo=UTC)  # midnight at the site
    command = SCREEN.model_copy(update={"birth_year": 2026, "occurred_at": new_years_eve})
    given().when(SCREENING, command).records(screened(birth_year=2026))
    earlier = command.model_copy(update={"occurred_at": new_years_eve - timedelta(seconds=1)})
    given().when(SCREENING, earlier).rejects(screening.BIRTH_YEAR_IMPLAUSIBLE, latest=2025)


# Coming again.


def test_who_failed_screening_comes_again_under_the_sites_next_number() -> None:
    given(*FAILED, screened("01-002")).when(RESCREENING, AGAIN).records(screened("01-003"), rescreened("01-003", S))


def test_the_person_is_the_same_under_the_new_number() -> None:
    born_1950 = screened(S, birth_year=1950).model_copy(update={"sex": "M"})
    again, _ = given(born_1950, *FAILED[1:]).when(RESCREENING, AGAIN).events
    assert again == born_1950.model_copy(update={"subject": "01-002"})


def test_under_the_new_number_the_person_consents_and_is_assessed_anew() -> None:
    history = (*FAILED, screened("01-002"), rescreened("01-002", S))
    rules = domain.eligibility(PROTOCOL)
    given(*history).when(rules, assess("01-002")).rejects(domain.NOT_CONSENTED)
    given(*history, consented("01-002")).when(rules, assess("01-002")).records(assessed("01-002"))


def test_the_earlier_number_ends_there() -> None:
    history = given(*FAILED, screened("01-002"), rescreened("01-002", S))
    history.when(RESCREENING, AGAIN).rejects(RESCREENED, rescreened_as="01-002")
    history.when(domain.eligibility(PROTOCOL), assess(reason="again")).rejects(RESCREENED, rescreened_as="01-002")
    history.when(domain.enrolment(PROTOCOL), EnrolSubject(subject=S)).rejects(RESCREENED, rescreened_as="01-002")


def test_who_fails_again_may_come_a_third_time_from_the_latest_number() -> None:
    second = (screened("01-002"), rescreened("01-002", S), consented("01-002"), assessed("01-002", eligible=False))
    command = RescreenSubject(subject="01-002")
    given(*FAILED, *second).when(RESCREENING, command).records(screened("01-003"), rescreened("01-003", "01-002"))


def test_only_who_failed_screening_comes_again() -> None:
    given().when(RESCREENING, AGAIN).rejects(UNKNOWN_SUBJECT)
    given(screened(S)).when(RESCREENING, AGAIN).rejects(screening.NOT_SCREEN_FAILED)
    given(screened(S), consented(S), assessed(S)).when(RESCREENING, AGAIN).rejects(screening.NOT_SCREEN_FAILED)
    left = SubjectWithdrawn(subject=S, site="01", scope="study")
    given(*FAILED, left).when(RESCREENING, AGAIN).rejects(WITHDRAWN)


def test_an_assessment_that_was_corrected_is_no_failure() -> None:
    given(*FAILED, assessed(S)).when(RESCREENING, AGAIN).rejects(screening.NOT_SCREEN_FAILED)


def test_nobody_comes_again_before_the_study_started() -> None:
    early = AGAIN.model_copy(update={"occurred_at": DAY_0.replace(year=2000)})
    given(*FAILED).when(RESCREENING, early).rejects(OUT_OF_ORDER, follows="study-start")
