"""The way into the trial: each step in its order, each refusal named, and nothing recorded by a refusal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.randomization import domain, screening
from services.randomization.commands import (
    EnrolSubject,
    ObtainConsent,
    RandomizeSubject,
    ScreenSubject,
    WithdrawSubject,
)
from services.randomization.events import EligibilityAssessed, SubjectRandomized, SubjectWithdrawn
from services.randomization.permuted_blocks import arms
from shared.chronology import OUT_OF_ORDER
from shared.decision import Command, Decider
from shared.problems import REASON_REQUIRED, UNKNOWN_SUBJECT, WITHDRAWN, Refusal
from shared.protocol import Protocol, load_protocol
from shared.protocol.model import Factor
from tests.randomization.examples import (
    SECRET,
    assess,
    assessed,
    consented,
    enrolled,
    randomized,
    ready_to_randomize,
    screened,
    sealed,
)
from tests.scenario import DAY_0, At, given

PROTOCOL = load_protocol()
SEED = SECRET.seed
SCHEME = sealed()
SCREENING = screening.screening(PROTOCOL)
CONSENTING = domain.consent(PROTOCOL)
ELIGIBILITY = domain.eligibility(PROTOCOL)
ENROLMENT = domain.enrolment(PROTOCOL)
ALLOCATION = domain.allocation(PROTOCOL, SCHEME, SECRET)
WITHDRAWAL = domain.withdrawal(PROTOCOL)
S = "01-001"

SCREEN = ScreenSubject(site="01", birth_year=1960, sex="F")
CONSENT = ObtainConsent(subject=S, version="1.0")
ENROL = EnrolSubject(subject=S)
RANDOMIZE = RandomizeSubject(subject=S)
LEAVE_STUDY = WithdrawSubject(subject=S, scope="study", reason="moved away")
LEAVE_TREATMENT = WithdrawSubject(subject=S, scope="treatment", reason="nausea")


def test_a_screened_subject_consents() -> None:
    given(screened()).when(CONSENTING, CONSENT).records(consented())


def test_a_subject_may_consent_again_to_a_new_version() -> None:
    result = given(screened(), consented()).when(CONSENTING, ObtainConsent(subject=S, version="2.0"))
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
    given(screened(), consented(), assessed()).when(ENROLMENT, ENROL).records(enrolled())


def test_the_first_enrolled_subject_gets_the_first_slot_of_its_stratum() -> None:
    first = next(arms(SEED, "RA|01", PROTOCOL.allocation.block_sizes, {"MSC": 1, "CSA": 1}))
    given(SCHEME, *ready_to_randomize()).when(ALLOCATION, RANDOMIZE).records(randomized(S, 0, first))


def test_slots_are_used_in_the_order_of_the_stratums_own_list() -> None:
    expected = arms(SEED, "RA|01", PROTOCOL.allocation.block_sizes, {"MSC": 1, "CSA": 1})
    history: list[SubjectRandomized] = [randomized("01-900", 0, "CSA", stratum="RARS|01")]
    for slot in range(30):
        result = given(SCHEME, *ready_to_randomize(), *history).when(ALLOCATION, RANDOMIZE)
        (event,) = result.events
        assert isinstance(event, SubjectRandomized)
        assert (event.slot, event.arm) == (slot, next(expected))
        history.append(event.model_copy(update={"subject": f"01-{slot + 100}"}))


def test_nobody_is_allocated_by_another_list_than_those_before() -> None:
    first = next(arms(SEED, "RA|01", PROTOCOL.allocation.block_sizes, {"MSC": 1, "CSA": 1}))
    other = {"MSC": "CSA", "CSA": "MSC"}[first]
    given(SCHEME, *ready_to_randomize(), randomized("01-900", 0, other)).when(ALLOCATION, RANDOMIZE).rejects(
        domain.ALLOCATION_LIST_DIFFERS
    )


def test_a_subject_is_randomized_once() -> None:
    given(SCHEME, *ready_to_randomize(), randomized(S, 0)).when(ALLOCATION, RANDOMIZE).rejects(
        domain.ALREADY_RANDOMIZED, subject=S, arm="MSC"
    )


def test_leaving_the_treatment_is_not_leaving_the_study() -> None:
    left = SubjectWithdrawn(subject=S, site="01", scope="treatment")
    given(SCHEME, *ready_to_randomize(), left).when(WITHDRAWAL, LEAVE_STUDY).records(
        SubjectWithdrawn(subject=S, site="01", scope="study")
    )
    given(SCHEME, *ready_to_randomize(), left).when(WITHDRAWAL, LEAVE_TREATMENT).rejects(WITHDRAWN)


@pytest.mark.parametrize(
    ("steps", "decider", "command", "refusal"),
    [
        (0, CONSENTING, CONSENT, UNKNOWN_SUBJECT),
        (0, ELIGIBILITY, assess(), UNKNOWN_SUBJECT),
        (0, ENROLMENT, ENROL, UNKNOWN_SUBJECT),
        (0, ALLOCATION, RANDOMIZE, UNKNOWN_SUBJECT),
        (0, WITHDRAWAL, LEAVE_STUDY, UNKNOWN_SUBJECT),
        (1, ELIGIBILITY, assess(), domain.NOT_CONSENTED),
        (1, ENROLMENT, ENROL, domain.NOT_CONSENTED),
        (1, ALLOCATION, RANDOMIZE, domain.NOT_ENROLLED),
        (2, ENROLMENT, ENROL, domain.NOT_ELIGIBLE),
        (2, ALLOCATION, RANDOMIZE, domain.NOT_ENROLLED),
        (3, ALLOCATION, RANDOMIZE, domain.NOT_ENROLLED),
        (4, ENROLMENT, ENROL, domain.ALREADY_ENROLLED),
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
        (CONSENTING, CONSENT),
        (ELIGIBILITY, assess(reason="again")),
        (ENROLMENT, ENROL),
        (ALLOCATION, RANDOMIZE),
        (WITHDRAWAL, LEAVE_STUDY),
    ],
)
def test_who_has_left_the_study_takes_no_further_step(decider: Decider[Command, object], command: Command) -> None:
    left = SubjectWithdrawn(subject=S, site="01", scope="study")
    given(SCHEME, *ready_to_randomize(), left).when(decider, command).rejects(WITHDRAWN)


def test_a_subject_that_is_not_eligible_is_not_enrolled() -> None:
    given(screened(), consented(), assessed(eligible=False)).when(ENROLMENT, ENROL).rejects(domain.NOT_ELIGIBLE)


# Dates. What is impossible in itself is refused; how the steps of a subject fit each other is not asked.


def test_the_age_at_screening_is_reckoned_in_the_year_of_the_site() -> None:
    midnight = datetime(2025, 12, 31, 16, 0, tzinfo=UTC)
    history = given(At(screened(birth_year=2008), -30), At(consented(), -30))
    (event,) = history.when(ELIGIBILITY, assess(occurred_at=midnight)).events
    assert isinstance(event, EligibilityAssessed)
    assert event.eligible


STEPS: list[tuple[Decider[Any, Any], Command]] = [
    (SCREENING, SCREEN),
    (CONSENTING, CONSENT),
    (ELIGIBILITY, assess()),
    (ENROLMENT, ENROL),
    (ALLOCATION, RANDOMIZE),
    (WITHDRAWAL, LEAVE_STUDY),
]
STARTED = datetime(2010, 4, 30, 16, 0, tzinfo=UTC)  # the first of May at the site


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[type(command).__name__ for _, command in STEPS])
def test_no_step_is_taken_before_the_study_started(number: int) -> None:
    decider, command = STEPS[number]
    history = given(SCHEME, *ready_to_randomize()[:number])
    before = command.model_copy(update={"occurred_at": STARTED - timedelta(seconds=1)})
    history.when(decider, before).rejects(OUT_OF_ORDER, follows="study-start", earliest="2010-05-01")
    assert history.when(decider, command.model_copy(update={"occurred_at": STARTED})).problem is None


def test_consent_may_be_signed_before_there_is_a_screening_number() -> None:
    signed = CONSENT.model_copy(update={"occurred_at": DAY_0 - timedelta(days=3)})
    given(screened()).when(CONSENTING, signed).records(consented())


@pytest.mark.parametrize("number", range(1, len(STEPS)), ids=[type(command).__name__ for _, command in STEPS[1:]])
def test_a_dated_step_may_be_entered_after_undated_ones(number: int) -> None:
    decider, command = STEPS[number]
    past = command.model_copy(update={"occurred_at": DAY_0 - timedelta(days=400)})
    assert given(SCHEME, *ready_to_randomize()[:number]).when(decider, past).problem is None


def test_any_finding_with_levels_stratifies_and_a_subject_in_no_level_is_refused_unless_it_is_ineligible() -> None:
    site = Factor(name="site")

    def by_ecog(*levels: str) -> Protocol:
        strata = (Factor(name="ecog", levels=levels), Factor(name="sex", levels=("F", "M")), site)
        return PROTOCOL.model_copy(update={"allocation": PROTOCOL.allocation.model_copy(update={"strata": strata})})

    way = (screened(), consented())
    (event,) = given(*way).when(domain.eligibility(by_ecog("0-1", "2")), assess(ecog=1)).events
    assert isinstance(event, EligibilityAssessed)
    assert event.stratum == "0-1|F|01"
    (failed,) = given(*way).when(domain.eligibility(by_ecog("0-1", "2")), assess(ecog=4)).events
    assert isinstance(failed, EligibilityAssessed)
    assert (failed.eligible, failed.stratum) == (False, "")
    given(*way).when(domain.eligibility(by_ecog("0-1")), assess(ecog=2)).rejects(domain.STRATUM_UNDEFINED)
