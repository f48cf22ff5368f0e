"""The visits service over HTTP: treatment, observation, safety, response, and the schedule that they follow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Query

from services.visits import api_ciclosporin, api_views, domain, dosing, evaluation, second_dose
from services.visits.answers import (
    DueList,
    InfusedProduct,
    MadeEvaluation,
    PreparedDose,
    ReportedAdverseEvent,
    SecondDose,
    SubjectSchedule,
)
from services.visits.commands import (
    AdverseEvent,
    BloodTransfusion,
    CellsPerMl,
    CheckInfusionSafety,
    CivilDate,
    EvaluateSubject,
    Evaluation,
    InfuseProduct,
    Infusion,
    RecordTransfusion,
    ReportAdverseEvent,
    SafetyLook,
    ScoreSymptoms,
    Symptoms,
    ViabilityPct,
    WeightKg,
)
from services.visits.events import AdverseEventReported, ProductInfused, SubjectEvaluated
from services.visits.policies import POLICIES
from services.visits.projections import PROJECTION
from services.visits.questions import CURSOR, arm_of, calendar_of, due_at_site, subject_in_log
from services.visits.subject import OF_A_SUBJECT, OTHER_TREATMENT, require_randomized
from shared.answers import Written
from shared.call import Call, Reader, SiteStaff, may_write
from shared.chronology import OUT_OF_ORDER
from shared.decision import CLOCK_SKEW_MAX
from shared.identity import Role
from shared.problems import (
    IN_FUTURE,
    NOT_RANDOMIZED,
    REASON_REQUIRED,
    UNKNOWN_SUBJECT,
    WRITE_CONFLICT,
    problem_responses,
)
from shared.protocol.language import SiteId, SubjectId, site_of
from shared.service import Service, create_service, recorded_event, service_router

router = service_router("visits")

Investigator = Annotated[Call, may_write(Role.INVESTIGATOR, Role.ADMIN)]


@router.post(
    "/subjects/{subject}/infusions",
    status_code=201,
    name="infuseProduct",
    responses=problem_responses(
        *OF_A_SUBJECT,
        OTHER_TREATMENT,
        domain.LOT_NOT_RELEASED,
        domain.DOSE_GIVEN,
        domain.DOSE_NOT_PLANNED,
        domain.FIRST_DOSE_MISSING,
        domain.SECOND_DOSE_NOT_ELIGIBLE,
    ),
)
async def infuse_product(subject: SubjectId, body: Infusion, call: SiteStaff) -> InfusedProduct:
    """Record a dose of stem cells. A lot that fails a criterion of release is refused, and the criterion named."""
    call.require_subject(subject)
    rules = domain.infusion(call.runtime.protocol)
    outcome = await call.handle(rules, InfuseProduct.about(body, subject=subject))
    return InfusedProduct.of(recorded_event(outcome, ProductInfused), outcome.position)


@router.post(
    "/subjects/{subject}/infusion-safety",
    status_code=201,
    name="checkInfusionSafety",
    responses=problem_responses(*OF_A_SUBJECT, domain.LOOK_NOT_PLANNED),
)
async def check_infusion_safety(subject: SubjectId, body: SafetyLook, call: SiteStaff) -> Written:
    """Record that the subject was looked at after an infusion. What was seen is an adverse event of its own."""
    call.require_subject(subject)
    rules = domain.infusion_safety(call.runtime.protocol)
    outcome = await call.handle(rules, CheckInfusionSafety.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/symptoms",
    status_code=201,
    name="scoreSymptoms",
    responses=problem_responses(*OF_A_SUBJECT, domain.WEEK_NOT_PLANNED, REASON_REQUIRED),
)
async def score_symptoms(subject: SubjectId, body: Symptoms, call: SiteStaff) -> Written:
    """Record the symptoms of a week. A changed score of the same week needs a reason."""
    call.require_subject(subject)
    rules = domain.symptoms(call.runtime.protocol)
    outcome = await call.handle(rules, ScoreSymptoms.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/transfusions",
    status_code=201,
    name="recordTransfusion",
    responses=problem_responses(*OF_A_SUBJECT),
)
async def record_transfusion(subject: SubjectId, body: BloodTransfusion, call: SiteStaff) -> Written:
    """Record that the subject was given blood."""
    call.require_subject(subject)
    outcome = await call.handle(
        domain.transfusion(call.runtime.protocol), RecordTransfusion.about(body, subject=subject)
    )
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/adverse-events",
    status_code=201,
    name="reportAdverseEvent",
    responses=problem_responses(
        UNKNOWN_SUBJECT,
        NOT_RANDOMIZED,
        OUT_OF_ORDER,
        WRITE_CONFLICT,
        domain.SERIOUSNESS_INVALID,
        domain.ONSET_IMPLAUSIBLE,
        IN_FUTURE,
    ),
)
async def report_adverse_event(subject: SubjectId, body: AdverseEvent, call: SiteStaff) -> ReportedAdverseEvent:
    """Record an adverse event, also after a withdrawal, and learn by when it is to be reported."""
    call.require_subject(subject)
    if body.aware_at > call.runtime.clock() + CLOCK_SKEW_MAX:
        raise IN_FUTURE("aware_at lies in the future.")
    rules = domain.adverse_events(call.runtime.protocol)
    outcome = await call.handle(rules, ReportAdverseEvent.about(body, subject=subject))
    return ReportedAdverseEvent.of(recorded_event(outcome, AdverseEventReported), outcome.position)


@router.post(
    "/subjects/{subject}/evaluations",
    status_code=201,
    name="evaluateSubject",
    responses=problem_responses(
        *OF_A_SUBJECT, evaluation.EVALUATION_NOT_OPEN, evaluation.TIMEPOINT_NOT_PLANNED, REASON_REQUIRED
    ),
)
async def evaluate_subject(subject: SubjectId, body: Evaluation, call: Investigator) -> MadeEvaluation:
    """Judge the response at a timepoint by the protocol's rule set, on what the log holds.

    To evaluate the same timepoint again, as when a later count may confirm a response, needs a reason.
    """
    call.require_subject(subject)
    rules = evaluation.evaluation(call.runtime.protocol)
    outcome = await call.handle(rules, EvaluateSubject.about(body, subject=subject))
    return MadeEvaluation.of(recorded_event(outcome, SubjectEvaluated), outcome.position)


@router.get(
    "/subjects/{subject}/dose",
    name="getDose",
    responses=problem_responses(UNKNOWN_SUBJECT, NOT_RANDOMIZED, OTHER_TREATMENT),
)
async def get_dose(
    subject: SubjectId,
    call: Reader,
    weight_kg: Annotated[WeightKg, Query(description="As old as the protocol allows at most.")],
    cells_per_mL: Annotated[CellsPerMl, Query(description="All cells of the product, dead ones too.")],  # noqa: N803
    viability_pct: ViabilityPct,
) -> PreparedDose:
    """The dose of stem cells for a body weight: cells, and the volume of this product that holds them."""
    call.require_subject(subject)
    protocol = call.runtime.protocol
    async with call.read(PROJECTION) as session:
        arm = await arm_of(session, subject)
    if protocol.dose is None or protocol.arm(arm).treatment != "msc-infusion":
        raise OTHER_TREATMENT(arm=arm)
    prepared = dosing.prepare(
        protocol.dose, weight_kg=weight_kg, cells_per_mL=cells_per_mL, viability_pct=viability_pct
    )
    return PreparedDose(cells=prepared.cells, volume_mL=prepared.volume_mL)


@router.get(
    "/subjects/{subject}/second-dose",
    name="getSecondDose",
    responses=problem_responses(UNKNOWN_SUBJECT, NOT_RANDOMIZED),
)
async def get_second_dose(subject: SubjectId, call: Reader) -> SecondDose:
    """Whether the subject may be given a second infusion today, and the events that it rests on.

    Answered from the log itself, by the rule that the infusion has to pass: a treatment must not hang on a read model
    that lags.
    """
    call.require_subject(subject)
    protocol = call.runtime.protocol
    known = await subject_in_log(call, subject, *second_dose.NEEDS)
    require_randomized(known)
    decision = second_dose.second_dose_of(protocol, known, protocol.civil_date(call.runtime.clock(), site_of(subject)))
    return SecondDose(subject=subject, state=decision.state, because=list(second_dose.status_reasons(decision)))


@router.get(
    "/subjects/{subject}/schedule",
    name="getSchedule",
    responses=problem_responses(UNKNOWN_SUBJECT, NOT_RANDOMIZED),
)
async def get_schedule(
    subject: SubjectId,
    call: Reader,
    as_of: Annotated[CivilDate | None, Query(description="A day at the site, past or future; default: today.")] = None,
) -> SubjectSchedule:
    """Everything that the protocol plans for the subject, when it may be done, and how it stands on a day."""
    call.require_subject(subject)
    protocol = call.runtime.protocol
    async with call.read(PROJECTION) as session:
        calendar = await calendar_of(session, protocol, subject)
    return SubjectSchedule.of(calendar, as_of or protocol.civil_date(call.runtime.clock(), site_of(subject)))


@router.get("/due", name="listDue")
async def list_due(
    call: Reader,
    site: SiteId,
    on: Annotated[CivilDate | None, Query(description="A day at the site; default: today.")] = None,
    after: Annotated[str | None, Query(pattern=CURSOR, description="Cursor: the `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> DueList:
    """What is due at a site, and what is overdue: planned, its window closed, and not done."""
    call.actor.require_site(site)
    protocol = call.runtime.protocol
    day = on or protocol.civil_date(call.runtime.clock(), site)
    async with call.read(PROJECTION) as session:
        return await due_at_site(session, protocol, site, day, after, limit)


SERVICE = Service(
    name="visits",
    summary="What happens to a subject, and when.",
    description="Treatment, symptoms, transfusions, adverse events, response, the second dose, and the schedule.",
    routers=(router, api_ciclosporin.router, api_views.router),
    projection=PROJECTION,
    migrations=Path(__file__).parent / "migrations",
    policies=POLICIES,
)

app = create_service(SERVICE)
