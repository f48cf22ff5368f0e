"""Errors of allocation: each is on record with what is true, and neither the arm nor the slot is given back."""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from services.randomization import allocation_errors, domain
from services.randomization.commands import (
    CorrectStratum,
    MarkRandomizationInError,
    MarkRandomizedTwice,
    RandomizeSubject,
    RecordWrongTreatment,
)
from services.randomization.events import (
    RandomizationMarkedInError,
    StratumCorrected,
    SubjectRandomized,
    SubjectRandomizedTwice,
    SubjectWithdrawn,
    WrongTreatmentGiven,
)
from services.randomization.permuted_blocks import arms
from shared.chronology import OUT_OF_ORDER
from shared.decision import Command, Decider
from shared.events import Event
from shared.problems import NOT_RANDOMIZED, UNKNOWN_SUBJECT
from shared.protocol import load_protocol
from tests.randomization.examples import SECRET, randomized, ready_to_randomize, screened, sealed
from tests.scenario import DAY_0, given

PROTOCOL = load_protocol()
SCHEME = sealed()
IN_ERROR = allocation_errors.randomization_in_error(PROTOCOL)
CORRECTION = allocation_errors.stratum_correction(PROTOCOL)
WRONG_TREATMENT = allocation_errors.wrong_treatment(PROTOCOL)
TWICE = allocation_errors.duplicate_randomization(PROTOCOL)
ALLOCATION = domain.allocation(PROTOCOL, SCHEME, SECRET)
FIRST, S = "01-001", "01-002"
WHY: dict[str, Any] = {"subject": S, "reason": "found by the monitor"}

INELIGIBLE = MarkRandomizationInError(**WHY, cause="ineligible")
TO_RARS = CorrectStratum(**WHY, diagnosis="RARS")
GIVEN_CSA = RecordWrongTreatment(**WHY, received="CSA")
DUPLICATE = MarkRandomizedTwice(**WHY, duplicate_of=FIRST)

MARKED = RandomizationMarkedInError(subject=S, site="01", cause="ineligible", counted_in_balance=True)
CORRECTED = StratumCorrected(
    subject=S, site="01", stratum="RA|01", stratum_corrected="RARS|01", counted_in_balance=True
)
GIVEN = WrongTreatmentGiven(subject=S, site="01", arm="MSC", received="CSA", counted_in_balance=True)
RANDOMIZED_TWICE = SubjectRandomizedTwice(subject=S, site="01", duplicate_of=FIRST, counted_in_balance=True)


class Kind(NamedTuple):
    """A kind of error: its rules, the command that says so, and what it records."""

    rules: Decider[Any, Any]
    command: Command
    event: Event


EVERY_ERROR = [
    Kind(IN_ERROR, INELIGIBLE, MARKED),
    Kind(CORRECTION, TO_RARS, CORRECTED),
    Kind(WRONG_TREATMENT, GIVEN_CSA, GIVEN),
    Kind(TWICE, DUPLICATE, RANDOMIZED_TWICE),
]
of_every_error = pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error.command).__name__)


def both() -> list[Event]:
    """Two numbers of one site that were randomized one after the other, both in the arm MSC."""
    return [*ready_to_randomize(FIRST), randomized(FIRST, 0), *ready_to_randomize(S), randomized(S, 1)]


@of_every_error
def test_an_error_is_recorded(error: Kind) -> None:
    given(*both()).when(error.rules, error.command).records(error.event)


@of_every_error
def test_an_error_names_whether_a_method_of_balance_goes_on_counting_the_subject(error: Kind) -> None:
    uncounted = error.command.model_copy(update={"counted_in_balance": False})
    given(*both()).when(error.rules, uncounted).records(error.event.model_copy(update={"counted_in_balance": False}))


@of_every_error
def test_an_error_needs_a_reason(error: Kind) -> None:
    assert type(error.command).model_fields["reason"].is_required()


@of_every_error
def test_an_error_may_be_found_after_the_subject_has_left(error: Kind) -> None:
    left = SubjectWithdrawn(subject=S, site="01", scope="study")
    given(*both(), left).when(error.rules, error.command).records(error.event)


@of_every_error
def test_there_is_no_error_of_an_allocation_that_has_not_been(error: Kind) -> None:
    given().when(error.rules, error.command).rejects(UNKNOWN_SUBJECT)
    given(*ready_to_randomize(FIRST), randomized(FIRST, 0), *ready_to_randomize(S)).when(
        error.rules, error.command
    ).rejects(NOT_RANDOMIZED)


@of_every_error
def test_no_error_is_dated_before_the_study(error: Kind) -> None:
    early = error.command.model_copy(update={"occurred_at": DAY_0.replace(year=2000)})
    given(*both()).when(error.rules, early).rejects(OUT_OF_ORDER, follows="study-start")


@of_every_error
def test_after_an_error_the_subject_is_not_randomized_again(error: Kind) -> None:
    again = RandomizeSubject(subject=S)
    given(SCHEME, *both(), error.event).when(ALLOCATION, again).rejects(domain.ALREADY_RANDOMIZED, subject=S, arm="MSC")


@examples(st.lists(st.tuples(st.integers(0, 11), st.sampled_from([MARKED, CORRECTED, GIVEN, RANDOMIZED_TWICE]))))
@settings(max_examples=50, deadline=None)
def test_whatever_errors_are_found_the_slots_go_on_as_if_none_had_been(errors: list[tuple[int, Event]]) -> None:
    listed = list(islice(arms(SECRET.seed, "RA|01", PROTOCOL.allocation.block_sizes, {"MSC": 1, "CSA": 1}), 13))
    ids = [f"01-{number:03d}" for number in range(100, 112)]
    past: list[Event] = [randomized(each, slot, listed[slot]) for slot, each in enumerate(ids)]
    found = [event.model_copy(update={"subject": ids[number]}) for number, event in errors]
    (event,) = given(SCHEME, *ready_to_randomize(S), *past, *found).when(ALLOCATION, RandomizeSubject(subject=S)).events
    assert isinstance(event, SubjectRandomized)
    assert (event.slot, event.arm) == (12, listed[12])


# Randomized in error.


def test_a_cause_is_recorded_once_and_another_beside_it() -> None:
    history = given(*both(), MARKED)
    history.when(IN_ERROR, INELIGIBLE).rejects(allocation_errors.ERROR_ON_RECORD, cause="ineligible")
    consent = INELIGIBLE.model_copy(update={"cause": "consent-invalid"})
    history.when(IN_ERROR, consent).records(MARKED.model_copy(update={"cause": "consent-invalid"}))


# A wrong stratum.


def test_the_stratum_that_was_used_is_no_correction_of_itself() -> None:
    to_ra = CorrectStratum(**WHY, diagnosis="RA")
    given(*both()).when(CORRECTION, to_ra).rejects(allocation_errors.STRATUM_UNCHANGED, stratum="RA|01")


def test_under_a_scheme_without_sites_it_is_none_either_and_the_schemes_stratum_is_named() -> None:
    history = given(*ready_to_randomize(S), randomized(S, 0, stratum="RA"))
    to_ra = CorrectStratum(**WHY, diagnosis="RA")
    history.when(CORRECTION, to_ra).rejects(allocation_errors.STRATUM_UNCHANGED, stratum="RA|01")
    history.when(CORRECTION, TO_RARS).records(CORRECTED.model_copy(update={"stratum": "RA"}))


def test_a_correction_may_itself_be_corrected_and_names_the_stratum_that_was_used() -> None:
    history = given(*both(), CORRECTED)
    history.when(CORRECTION, TO_RARS).rejects(allocation_errors.STRATUM_UNCHANGED, stratum="RARS|01")
    back = CorrectStratum(**WHY, diagnosis="RA")
    history.when(CORRECTION, back).records(CORRECTED.model_copy(update={"stratum_corrected": "RA|01"}))


# A wrong treatment.


def test_the_treatment_of_the_subjects_own_arm_is_not_a_wrong_one() -> None:
    own = RecordWrongTreatment(**WHY, received="MSC")
    given(*both()).when(WRONG_TREATMENT, own).rejects(allocation_errors.TREATMENT_AS_ALLOCATED, arm="MSC")


def test_no_treatment_is_of_an_arm_that_the_protocol_has_not() -> None:
    unknown = RecordWrongTreatment(**WHY, received="ATG")
    given(*both()).when(WRONG_TREATMENT, unknown).rejects(allocation_errors.UNKNOWN_ARM, arms=["MSC", "CSA"])


def test_a_wrong_treatment_may_be_given_more_than_once() -> None:
    given(*both(), GIVEN).when(WRONG_TREATMENT, GIVEN_CSA).records(GIVEN)


# One person under two numbers.


def test_the_first_randomization_is_kept_and_never_marked_as_the_duplicate() -> None:
    backwards = MarkRandomizedTwice(subject=FIRST, duplicate_of=S, reason="found by the monitor")
    given(*both()).when(TWICE, backwards).rejects(allocation_errors.NOT_THE_LATER)


def test_it_is_the_order_of_randomization_that_counts_and_not_of_the_numbers() -> None:
    history = [*ready_to_randomize(FIRST), *ready_to_randomize(S), randomized(S, 0), randomized(FIRST, 1)]
    given(*history).when(TWICE, DUPLICATE).rejects(allocation_errors.NOT_THE_LATER)


def test_nobody_is_a_duplicate_of_themselves() -> None:
    own = MarkRandomizedTwice(**WHY, duplicate_of=S)
    given(*both()).when(TWICE, own).rejects(allocation_errors.NOT_THE_LATER)


def test_a_duplicate_is_marked_once_and_bars_not_the_first() -> None:
    history = given(*both(), RANDOMIZED_TWICE)
    history.when(TWICE, DUPLICATE).rejects(allocation_errors.ERROR_ON_RECORD, duplicate_of=FIRST)
    first = MarkRandomizationInError(subject=FIRST, cause="other", reason="found by the monitor")
    assert history.when(IN_ERROR, first).problem is None


def test_who_was_randomized_three_times_is_twice_a_duplicate_of_the_first() -> None:
    third = "01-003"
    history = given(*both(), RANDOMIZED_TWICE, *ready_to_randomize(third), randomized(third, 2))
    of_second = MarkRandomizedTwice(subject=third, duplicate_of=S, reason="the same person again")
    history.when(TWICE, of_second).rejects(allocation_errors.DUPLICATE_OF_DUPLICATE, duplicate_of=FIRST)
    of_first = of_second.model_copy(update={"duplicate_of": FIRST})
    history.when(TWICE, of_first).records(RANDOMIZED_TWICE.model_copy(update={"subject": third}))


def test_the_other_number_is_one_of_the_same_site_that_was_randomized() -> None:
    elsewhere = MarkRandomizedTwice(**WHY, duplicate_of="02-001")
    given(*both()).when(TWICE, elsewhere).rejects(allocation_errors.OTHER_SITE)
    unknown = MarkRandomizedTwice(**WHY, duplicate_of="01-900")
    given(*both()).when(TWICE, unknown).rejects(UNKNOWN_SUBJECT)
    given(*both(), screened("01-900")).when(TWICE, unknown).rejects(NOT_RANDOMIZED)
