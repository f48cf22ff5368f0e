"""The visits service over HTTP: treatment, observation and response; `api_schedule` and `api_safety` hold the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Query

from services.visits import (
    api_ciclosporin,
    api_deviations,
    api_evaluation,
    api_protocol,
    api_safety,
    api_schedule,
    api_views,
    domain,
    dosing,
    second_dose,
)
from services.visits.answers import (
    InfusedProduct,
    PreparedDose,
    SecondDose,
)
from services.visits.clock_jobs import MISSED_ITEMS
from services.visits.commands import (
    BloodTransfusion,
    CellsPerMl,
    CheckInfusionSafety,
    InfuseProduct,
    Infusion,
    RecordTransfusion,
    SafetyLook,
    ScoreSymptoms,
    Symptoms,
    ViabilityPct,
    WeightKg,
)
from services.visits.events import ProductInfused
from services.visits.policies import POLICIES
from services.visits.projections import PROJECTION
from services.visits.questions import arm_of, entry_of, followed_now, subject_in_log
from services.visits.subject import OF_A_SUBJECT, OTHER_TREATMENT, require_randomized
from services.visits.versions import following
from shared.answers import Written
from shared.call import Reader, SiteStaff
from shared.problems import (
    NOT_RANDOMIZED,
    REASON_REQUIRED,
    UNKNOWN_SUBJECT,
    problem_responses,
)
from shared.protocol.language import SubjectId, site_of
from shared.service import Service, create_service, recorded_event, service_router

router = service_router("visits")


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
    rules = following(call.runtime.protocols, domain.infusion)
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
    rules = following(call.runtime.protocols, domain.infusion_safety)
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
    rules = following(call.runtime.protocols, domain.symptoms)
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
    rules = following(call.runtime.protocols, domain.transfusion)
    outcome = await call.handle(rules, RecordTransfusion.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


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
    async with call.read(PROJECTION) as session:
        arm, entry = await arm_of(session, subject), await entry_of(session, subject)
    protocol = followed_now(call, subject, entry)
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
    known = await subject_in_log(call, subject, *second_dose.NEEDS)
    require_randomized(known)
    protocol = followed_now(call, subject, known.entry)
    decision = second_dose.second_dose_of(protocol, known, protocol.civil_date(call.runtime.clock(), site_of(subject)))
    return SecondDose(subject=subject, state=decision.state, because=list(second_dose.status_reasons(decision)))


SERVICE = Service(
    name="visits",
    summary="What happens to a subject, and when.",
    description="Treatment, observations, adverse events, deviations, response, the second dose, and the schedule.",
    routers=(
        router,
        api_ciclosporin.router,
        api_evaluation.router,
        api_safety.router,
        api_deviations.router,
        api_schedule.router,
        api_views.router,
        api_protocol.router,
    ),
    projection=PROJECTION,
    migrations=Path(__file__).parent / "migrations",
    policies=POLICIES,
    clock_jobs=(MISSED_ITEMS,),
)

app = create_service(SERVICE)
