"""The randomization service over HTTP: from screening to allocation and withdrawal, and the CONSORT flow."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Query, Response
from pydantic import BaseModel, Field
from sqlmodel import col, select

from services.randomization import domain
from services.randomization.commands import (
    AssessEligibility,
    Consent,
    Eligibility,
    EnrolSubject,
    Nothing,
    ObtainConsent,
    RandomizeSubject,
    Screening,
    ScreenSubject,
    Withdrawal,
    WithdrawSubject,
)
from services.randomization.events import EligibilityAssessed, Sex, SubjectRandomized, SubjectScreened
from services.randomization.flow import Flow, consort_flow
from services.randomization.projections import PROJECTION, Subject
from shared.call import Call, may_read, may_write
from shared.chronology import OUT_OF_ORDER
from shared.identity import Role
from shared.problems import REASON_REQUIRED, UNKNOWN_SUBJECT, WITHDRAWN, WRITE_CONFLICT, problem_responses
from shared.protocol.language import ArmCode, SiteId, SubjectId
from shared.service import Service, create_service, recorded_event, service_router

router = service_router("randomization")

SiteStaff = Annotated[Call, may_write(Role.COORDINATOR, Role.INVESTIGATOR, Role.ADMIN)]
Reader = Annotated[Call, may_read(*(role for role in Role if role not in {Role.LAB, Role.SYSTEM}))]

Status = Literal[
    "screened",
    "consented",
    "eligible",
    "screen-failed",
    "enrolled",
    "randomized",
    "on-treatment",
    "completed",
    "withdrawn",
    "died",
    "lost",
]


class Written(BaseModel):
    """A step that was recorded, and where."""

    subject: SubjectId
    position: Annotated[
        int, Field(description="The log position of what was recorded, or the head where nothing was new.")
    ]


class ScreenedSubject(Written):
    """The number that the person goes by from now on."""

    status: Literal["screened"] = "screened"


class AssessedEligibility(Written):
    """What the criteria say, the failed ones by their codes."""

    eligible: bool
    stratum: str | None
    failed_criteria: list[str]


class AllocatedArm(Written):
    """The arm that the subject belongs to, for good."""

    arm: ArmCode
    randomization_number: str


class SubjectDetail(BaseModel):
    """Where a subject stands, as the read model knows it."""

    subject: SubjectId
    site: SiteId
    status: Status
    birth_year: int
    sex: Sex
    stratum: str | None
    failed_criteria: list[str]
    arm: ArmCode | None
    randomization_number: str | None
    consent_version: str | None
    screened_at: datetime
    consented_at: datetime | None
    assessed_at: datetime | None
    enrolled_at: datetime | None
    randomized_at: datetime | None
    treated_at: datetime | None
    evaluated_at: datetime | None
    completed_at: datetime | None
    withdrawn_from_treatment_at: datetime | None
    withdrawn_from_study_at: datetime | None


class SubjectList(BaseModel):
    """One page of subjects in the order of their numbers; `next` is the cursor of the page after, if any."""

    items: list[SubjectDetail]
    next: str | None


@router.post(
    "/subjects",
    status_code=201,
    name="screenSubject",
    responses=problem_responses(domain.SITE_FULL, domain.BIRTH_YEAR_IMPLAUSIBLE, OUT_OF_ORDER, WRITE_CONFLICT),
)
async def screen_subject(body: Screening, call: SiteStaff, response: Response) -> ScreenedSubject:
    """Take a person into screening under the site's next number."""
    call.actor.require_site(body.site)
    outcome = await call.handle(domain.screening(call.runtime.protocol), ScreenSubject.about(body))
    screened = recorded_event(outcome, SubjectScreened)
    response.headers["Location"] = f"/randomization/subjects/{screened.subject}"
    return ScreenedSubject(subject=screened.subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/consent",
    status_code=201,
    name="obtainConsent",
    responses=problem_responses(UNKNOWN_SUBJECT, WITHDRAWN, OUT_OF_ORDER, WRITE_CONFLICT),
)
async def obtain_consent(subject: SubjectId, body: Consent, call: SiteStaff) -> Written:
    """Record the subject's informed consent to a version of the form."""
    call.require_subject(subject)
    outcome = await call.handle(domain.consent(call.runtime.protocol), ObtainConsent.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/eligibility",
    status_code=201,
    name="assessEligibility",
    responses=problem_responses(
        UNKNOWN_SUBJECT,
        domain.NOT_CONSENTED,
        domain.ALREADY_ENROLLED,
        WITHDRAWN,
        OUT_OF_ORDER,
        REASON_REQUIRED,
        WRITE_CONFLICT,
    ),
)
async def assess_eligibility(subject: SubjectId, body: Eligibility, call: SiteStaff) -> AssessedEligibility:
    """Check the findings of screening against the criteria of the protocol."""
    call.require_subject(subject)
    rules = domain.eligibility(call.runtime.protocol)
    outcome = await call.handle(rules, AssessEligibility.about(body, subject=subject))
    assessed = recorded_event(outcome, EligibilityAssessed)
    return AssessedEligibility(
        subject=subject,
        position=outcome.position,
        eligible=assessed.eligible,
        stratum=assessed.stratum if assessed.eligible else None,
        failed_criteria=list(assessed.failed_criteria),
    )


@router.post(
    "/subjects/{subject}/enrolment",
    status_code=201,
    name="enrolSubject",
    responses=problem_responses(
        UNKNOWN_SUBJECT,
        domain.NOT_CONSENTED,
        domain.NOT_ELIGIBLE,
        domain.ALREADY_ENROLLED,
        WITHDRAWN,
        OUT_OF_ORDER,
        WRITE_CONFLICT,
    ),
)
async def enrol_subject(subject: SubjectId, body: Nothing, call: SiteStaff) -> Written:
    """Enter a consenting, eligible subject into the trial."""
    call.require_subject(subject)
    outcome = await call.handle(domain.enrolment(call.runtime.protocol), EnrolSubject.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/randomization",
    status_code=201,
    name="randomizeSubject",
    responses=problem_responses(
        UNKNOWN_SUBJECT,
        domain.ALREADY_RANDOMIZED,
        domain.NOT_ENROLLED,
        domain.OTHER_LIST,
        WITHDRAWN,
        OUT_OF_ORDER,
        WRITE_CONFLICT,
    ),
)
async def randomize_subject(subject: SubjectId, body: Nothing, call: SiteStaff) -> AllocatedArm:
    """Allocate the subject to an arm: the next slot of its stratum, given once and never taken back."""
    call.require_subject(subject)
    rules = domain.allocation(call.runtime.protocol, call.runtime.keys.randomization_seed())
    outcome = await call.handle(rules, RandomizeSubject.about(body, subject=subject))
    allocated = recorded_event(outcome, SubjectRandomized)
    return AllocatedArm(
        subject=subject,
        position=outcome.position,
        arm=allocated.arm,
        randomization_number=allocated.randomization_number,
    )


@router.post(
    "/subjects/{subject}/withdrawal",
    status_code=201,
    name="withdrawSubject",
    responses=problem_responses(UNKNOWN_SUBJECT, WITHDRAWN, OUT_OF_ORDER, WRITE_CONFLICT),
)
async def withdraw_subject(subject: SubjectId, body: Withdrawal, call: SiteStaff) -> Written:
    """Record that the subject leaves the treatment or the study. Nothing that was recorded is removed."""
    call.require_subject(subject)
    outcome = await call.handle(domain.withdrawal(call.runtime.protocol), WithdrawSubject.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


@router.get("/subjects", name="listSubjects")
async def list_subjects(
    call: Reader,
    site: SiteId | None = None,
    status: Status | None = None,
    arm: ArmCode | None = None,
    after: Annotated[SubjectId | None, Query(description="Cursor: the `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> SubjectList:
    """The subjects that the caller may see, in the order of their numbers."""
    if site is not None:
        call.actor.require_site(site)
    question = select(Subject).order_by(col(Subject.id)).limit(limit + 1)
    if call.actor.sites is not None:
        question = question.where(col(Subject.site).in_(call.actor.sites))
    for column, wanted in ((Subject.site, site), (Subject.status, status), (Subject.arm, arm)):
        if wanted is not None:
            question = question.where(col(column) == wanted)
    if after is not None:
        question = question.where(col(Subject.id) > after)
    async with call.read(PROJECTION) as session:
        subjects = list((await session.exec(question)).all())
    more = len(subjects) > limit
    return SubjectList(
        items=[_detail(subject) for subject in subjects[:limit]], next=subjects[limit - 1].id if more else None
    )


@router.get("/subjects/{subject}", name="getSubject", responses=problem_responses(UNKNOWN_SUBJECT))
async def get_subject(subject: SubjectId, call: Reader) -> SubjectDetail:
    """Where one subject stands."""
    call.require_subject(subject)
    async with call.read(PROJECTION) as session:
        row = await session.get(Subject, subject)
    if row is None:
        raise UNKNOWN_SUBJECT()
    return _detail(row)


@router.get("/flow", name="getConsortFlow")
async def get_consort_flow(call: Reader) -> Flow:
    """The flow of participants (CONSORT 2025, item 22), counted over the sites that the caller may see."""
    async with call.read(PROJECTION) as session:
        return await consort_flow(session, call.runtime.protocol, call.actor.sites)


def _detail(row: Subject) -> SubjectDetail:
    return SubjectDetail.model_validate({"subject": row.id, **row.model_dump()}, extra="ignore")


SERVICE = Service(
    name="randomization",
    summary="Who is in the trial, and in which arm.",
    description="Screening, informed consent, eligibility, enrolment, allocation and withdrawal.",
    router=router,
    projection=PROJECTION,
    migrations=Path(__file__).parent / "migrations",
)

app = create_service(SERVICE)
