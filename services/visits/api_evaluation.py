"""Evaluations over HTTP: they are made, signed with their making or later, and shown with what has changed since."""

from __future__ import annotations

from typing import Annotated

from services.audit.events import RecordsSigned
from services.visits import evaluation
from services.visits.answers_evaluation import EvaluationItem, EvaluationList, MadeEvaluation
from services.visits.commands import EvaluateSubject, Evaluation
from services.visits.events import EvaluationInputsChanged, SubjectEvaluated
from services.visits.questions import followed_now, subject_in_log
from services.visits.subject import OF_A_SUBJECT, require_randomized
from services.visits.versions import following
from shared.call import Call, Reader, may_write
from shared.identity import Role
from shared.problems import FORBIDDEN, NOT_RANDOMIZED, REASON_REQUIRED, UNKNOWN_SUBJECT, problem_responses
from shared.protocol.language import SubjectId
from shared.service import recorded_event, service_router
from shared.signing import AUTHENTICATION_NOT_FRESH

router = service_router("visits")

Investigator = Annotated[Call, may_write(Role.INVESTIGATOR, Role.ADMIN)]


@router.post(
    "/subjects/{subject}/evaluations",
    status_code=201,
    name="evaluateSubject",
    responses=problem_responses(
        *OF_A_SUBJECT,
        FORBIDDEN,
        AUTHENTICATION_NOT_FRESH,
        REASON_REQUIRED,
        evaluation.EVALUATION_NOT_OPEN,
        evaluation.TIMEPOINT_NOT_PLANNED,
        evaluation.UNKNOWN_LINEAGE,
        evaluation.OVERRIDE_CHANGES_NOTHING,
    ),
)
async def evaluate_subject(subject: SubjectId, body: Evaluation, call: Investigator) -> MadeEvaluation:
    """Judge the response at a timepoint by the protocol's rule set, on what the log holds.

    An investigator who authenticated within the last five minutes signs it by this; else it stands unsigned until an
    investigator signs its position by `POST /audit/signatures`. To evaluate the same timepoint again, as when a later
    count may confirm a response, needs a reason. So does an override of the rule set, which an investigator alone may
    make, and only signed; it leaves a progression what it is.
    """
    call.require_subject(subject)
    actor, now = call.actor, call.runtime.clock()
    rules = following(call.runtime.protocols, lambda protocol: evaluation.evaluation(protocol, actor, now))
    outcome = await call.handle(rules, EvaluateSubject.about(body, subject=subject))
    return MadeEvaluation.of(recorded_event(outcome, SubjectEvaluated), outcome.position)


@router.get(
    "/subjects/{subject}/evaluations",
    name="listEvaluations",
    responses=problem_responses(UNKNOWN_SUBJECT, NOT_RANDOMIZED),
)
async def list_evaluations(subject: SubjectId, call: Reader) -> EvaluationList:
    """Every evaluation of the subject: what it rests on, whether its signature is valid, and what changed since.

    Answered from the log itself, as the second dose is.
    """
    call.require_subject(subject)
    known = await subject_in_log(call, subject, SubjectEvaluated, EvaluationInputsChanged, RecordsSigned)
    require_randomized(known)
    protocol = followed_now(call, subject, known.entry)
    return EvaluationList(subject=subject, items=[EvaluationItem.of(protocol, each) for each in known.evaluations])
