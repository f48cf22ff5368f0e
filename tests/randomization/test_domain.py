"""The way into the trial: each step in its order, each refusal named, and nothing recorded by a refusal."""

from __future__ import annotations

import pytest

from services.randomization import domain
from services.randomization.allocation import arms
from services.randomization.commands import (
    EnrolSubject,
    ObtainConsent,
    RandomizeSubject,
    ScreenSubject,
    WithdrawSubject,
)
from services.randomization.events import EligibilityAssessed, SubjectRandomized, SubjectWithdrawn
from shared.decision import Command, Decider
from shared.problems import REASON_REQUIRED, UNKNOWN_SUBJECT, WITHDRAWN, Refusal
from shared.protocol import load_protocol
from tests.randomization.examples import (
    assess,
    assessed,
    consented,
    enrolled,
    randomized,
    ready_to_randomize,
    screened,
)
from tests.scenario import given

PROTOCOL = load_protocol()
SEED = bytes(range(32))
ELIGIBILITY = domain.eligibility(PROTOCOL)
ALLOCATION = domain.allocation(PROTOCOL, SEED)
S = "01-001"

SCREEN = ScreenSubject(site="01", birth_year=1960, sex="F")
CONSENT = ObtainConsent(subject=S, version="1.0")
ENROL = EnrolSubject(subject=S)
RANDOMIZE = RandomizeSubject(subject=S)
LEAVE_STUDY = WithdrawSubject(subject=S, scope="study", reason="moved away")
LEAVE_TREATMENT = WithdrawSubject(subject=S, scope="treatment", reason="nausea")


def test_the_first_person_screened_at_a_site_is_number_001() -> None:
    given().when(domain.SCREENING, SCREEN).records(screened("01-001"))


def test_screening_numbers_go_on_from_the_sites_last() -> None:
    given(screened("01-001"), screened("01-002"), screened("02-009")).when(domain.SCREENING, SCREEN).records(
        screened("01-003")
    )


def test_a_site_has_999_screening_numbers() -> None:
    given(screened("01-999")).when(domain.SCREENING, SCREEN).rejects(domain.SITE_FULL, site="01")


def test_the_fhir_word_for_a_sex_is_recorded_as_the_cdisc_code() -> None:
    command = ScreenSubject(site="01", birth_year=1960, sex="female")
    given().when(domain.SCREENING, command).records(screened("01-001"))


def test_a_screened_subject_consents() -> None:
    given(screened()).when(domain.CONSENT, CONSENT).records(consented())


def test_a_subject_may_consent_again_to_a_new_version() -> None:
    result = given(screened(), consented()).when(domain.CONSENT, ObtainConsent(subject=S, version="2.0"))
    result.records(consented().model_copy(update={"consent_version": "2.0"}))


def test_findings_within_the_criteria_make_a_subject_eligible() -> None:
    given(screened(), consented()).when(ELIGIBILITY, assess()).records(assessed())


def test_a_failed_criterion_is_named() -> None:
    result = given(screened(), consented()).when(ELIGIBILITY, assess(hiv="positive", ecog=3))
    (event,) = result.events
    assert isinstance(event, EligibilityAssessed)
    assert not event.eligible
    assert set(event.failed_criteria) == {"hiv", "ecog"}


@pytest.mark.parametrize(("birth_year", "eligible"), [(2009, False), (2008, True), (1946, True), (1945, False)])
def test_subjects_are_18_to_80_years_old(birth_year: int, eligible: bool) -> None:
    result = given(screened(birth_year=birth_year), consented()).when(ELIGIBILITY, assess())
    (event,) = result.events
    assert isinstance(event, EligibilityAssessed)
    assert event.eligible is eligible


def test_a_second_assessment_needs_a_reason() -> None:
    history = given(screened(), consented(), assessed(eligible=False))
    history.when(ELIGIBILITY, assess()).rejects(REASON_REQUIRED)
    again = assess(reason="the first HIV test was a false positive")
    history.when(ELIGIBILITY, again).records(assessed())


def test_an_eligible_subject_is_enrolled() -> None:
    given(screened(), consented(), assessed()).when(domain.ENROLMENT, ENROL).records(enrolled())


def test_the_first_enrolled_subject_gets_the_first_slot_of_its_stratum() -> None:
    first = next(arms(SEED, "RA|01", PROTOCOL.allocation.block_sizes, {"MSC": 1, "CSA": 1}))
    given(*ready_to_randomize()).when(ALLOCATION, RANDOMIZE).records(randomized(S, 0, first))


def test_slots_are_used_in_the_order_of_the_stratums_own_list() -> None:
    expected = arms(SEED, "RA|01", PROTOCOL.allocation.block_sizes, {"MSC": 1, "CSA": 1})
    history: list[SubjectRandomized] = [randomized("01-900", 0, "CSA", stratum="RARS|01")]
    for slot in range(30):
        result = given(*ready_to_randomize(), *history).when(ALLOCATION, RANDOMIZE)
        (event,) = result.events
        assert isinstance(event, SubjectRandomized)
        assert (event.slot, event.arm) == (slot, next(expected))
        history.append(event.model_copy(update={"subject": f"01-{slot + 100}"}))


def test_a_host_with_another_seed_allocates_nothing() -> None:
    first = next(arms(SEED, "RA|01", PROTOCOL.allocation.block_sizes, {"MSC": 1, "CSA": 1}))
    other = {"MSC": "CSA", "CSA": "MSC"}[first]
    given(*ready_to_randomize(), randomized("01-900", 0, other)).when(ALLOCATION, RANDOMIZE).rejects(domain.OTHER_LIST)


def test_a_subject_is_randomized_once() -> None:
    given(*ready_to_randomize(), randomized(S, 0)).when(ALLOCATION, RANDOMIZE).rejects(
        domain.ALREADY_RANDOMIZED, subject=S, arm="MSC"
    )


def test_leaving_the_treatment_is_not_leaving_the_study() -> None:
    left = SubjectWithdrawn(subject=S, site="01", scope="treatment")
    given(*ready_to_randomize(), left).when(domain.WITHDRAWAL, LEAVE_STUDY).records(
        SubjectWithdrawn(subject=S, site="01", scope="study")
    )
    given(*ready_to_randomize(), left).when(domain.WITHDRAWAL, LEAVE_TREATMENT).rejects(WITHDRAWN)


@pytest.mark.parametrize(
    ("steps", "decider", "command", "refusal"),
    [
        (0, domain.CONSENT, CONSENT, UNKNOWN_SUBJECT),
        (0, ELIGIBILITY, assess(), UNKNOWN_SUBJECT),
        (0, domain.ENROLMENT, ENROL, UNKNOWN_SUBJECT),
        (0, ALLOCATION, RANDOMIZE, UNKNOWN_SUBJECT),
        (0, domain.WITHDRAWAL, LEAVE_STUDY, UNKNOWN_SUBJECT),
        (1, ELIGIBILITY, assess(), domain.NOT_CONSENTED),
        (1, domain.ENROLMENT, ENROL, domain.NOT_CONSENTED),
        (1, ALLOCATION, RANDOMIZE, domain.NOT_ENROLLED),
        (2, domain.ENROLMENT, ENROL, domain.NOT_ELIGIBLE),
        (2, ALLOCATION, RANDOMIZE, domain.NOT_ENROLLED),
        (3, ALLOCATION, RANDOMIZE, domain.NOT_ENROLLED),
        (4, domain.ENROLMENT, ENROL, domain.ALREADY_ENROLLED),
        (4, ELIGIBILITY, assess(reason="again"), domain.ALREADY_ENROLLED),
    ],
)
def test_a_step_out_of_order_is_refused(
    steps: int, decider: Decider[Command, object], command: Command, refusal: Refusal
) -> None:
    given(*ready_to_randomize()[:steps]).when(decider, command).rejects(refusal)


@pytest.mark.parametrize(
    ("decider", "command"),
    [
        (domain.CONSENT, CONSENT),
        (ELIGIBILITY, assess(reason="again")),
        (domain.ENROLMENT, ENROL),
        (ALLOCATION, RANDOMIZE),
        (domain.WITHDRAWAL, LEAVE_STUDY),
    ],
)
def test_who_has_left_the_study_takes_no_further_step(decider: Decider[Command, object], command: Command) -> None:
    left = SubjectWithdrawn(subject=S, site="01", scope="study")
    given(*ready_to_randomize(), left).when(decider, command).rejects(WITHDRAWN)


def test_a_subject_that_is_not_eligible_is_not_enrolled() -> None:
    given(screened(), consented(), assessed(eligible=False)).when(domain.ENROLMENT, ENROL).rejects(domain.NOT_ELIGIBLE)
