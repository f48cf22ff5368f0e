"""The randomization service over HTTP: errors of allocation, which are documented and never undone.

Who documents them is site staff: the investigator answers for every deviation being on record (ICH E6(R3) 2.5.3) and
may have others enter it.
"""

from __future__ import annotations

from services.randomization import allocation_errors
from services.randomization.answers import CorrectedStratum
from services.randomization.commands import (
    CorrectStratum,
    DuplicateRandomization,
    ErroneousRandomization,
    MarkRandomizationInError,
    MarkRandomizedTwice,
    RecordWrongTreatment,
    StratumCorrection,
    WrongTreatment,
)
from services.randomization.events import StratumCorrected
from services.randomization.versions import following
from shared.answers import Written
from shared.call import SiteStaff
from shared.chronology import OUT_OF_ORDER
from shared.problems import NOT_RANDOMIZED, UNKNOWN_SUBJECT, WRITE_CONFLICT, problem_responses
from shared.protocol.language import SubjectId
from shared.service import recorded_event, service_router

router = service_router("randomization")

OF_ANY_ERROR = (UNKNOWN_SUBJECT, NOT_RANDOMIZED, OUT_OF_ORDER, WRITE_CONFLICT)


@router.post(
    "/subjects/{subject}/randomization-error",
    status_code=201,
    name="markRandomizationInError",
    responses=problem_responses(*OF_ANY_ERROR, allocation_errors.ERROR_ON_RECORD),
)
async def mark_randomization_in_error(subject: SubjectId, body: ErroneousRandomization, call: SiteStaff) -> Written:
    """Record that the subject should not have been randomized. It stays in its arm and in the trial."""
    call.require_subject(subject)
    rules = following(call.runtime.protocols, allocation_errors.randomization_in_error)
    outcome = await call.handle(rules, MarkRandomizationInError.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/stratum-correction",
    status_code=201,
    name="correctStratum",
    responses=problem_responses(*OF_ANY_ERROR, allocation_errors.STRATUM_UNCHANGED),
)
async def correct_stratum(subject: SubjectId, body: StratumCorrection, call: SiteStaff) -> CorrectedStratum:
    """Record the stratum that the subject truly belongs to. The arm stays, and the stratum that was used is kept."""
    call.require_subject(subject)
    rules = following(call.runtime.protocols, allocation_errors.stratum_correction)
    outcome = await call.handle(rules, CorrectStratum.about(body, subject=subject))
    return CorrectedStratum.of(recorded_event(outcome, StratumCorrected), outcome.position)


@router.post(
    "/subjects/{subject}/wrong-treatment",
    status_code=201,
    name="recordWrongTreatment",
    responses=problem_responses(*OF_ANY_ERROR, allocation_errors.TREATMENT_AS_ALLOCATED, allocation_errors.UNKNOWN_ARM),
)
async def record_wrong_treatment(subject: SubjectId, body: WrongTreatment, call: SiteStaff) -> Written:
    """Record that the subject was given the treatment of another arm. It stays in its own."""
    call.require_subject(subject)
    rules = following(call.runtime.protocols, allocation_errors.wrong_treatment)
    outcome = await call.handle(rules, RecordWrongTreatment.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/duplicate-randomization",
    status_code=201,
    name="markRandomizedTwice",
    responses=problem_responses(
        *OF_ANY_ERROR,
        allocation_errors.ERROR_ON_RECORD,
        allocation_errors.NOT_THE_LATER,
        allocation_errors.DUPLICATE_OF_DUPLICATE,
        allocation_errors.OTHER_SITE,
    ),
)
async def mark_randomized_twice(subject: SubjectId, body: DuplicateRandomization, call: SiteStaff) -> Written:
    """Record that the subject had been randomized before under another number of the site: the first is kept."""
    call.require_subject(subject)
    rules = following(call.runtime.protocols, allocation_errors.duplicate_randomization)
    outcome = await call.handle(rules, MarkRandomizedTwice.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)
