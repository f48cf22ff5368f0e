"""The randomization service over HTTP: from screening to allocation and withdrawal, and the CONSORT flow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Query, Response

from services.randomization import (
    api_allocation_errors,
    api_flow,
    api_schemes,
    api_sites,
    domain,
    follow_up,
    screening,
)
from services.randomization.answers import (
    AllocatedArm,
    AssessedEligibility,
    RescreenedSubject,
    ScreenedSubject,
    Status,
    SubjectDetail,
    SubjectList,
)
from services.randomization.commands import (
    AssessEligibility,
    Consent,
    Contact,
    Eligibility,
    Enrolment,
    EnrolSubject,
    LoseSubject,
    LossToFollowUp,
    ObtainConsent,
    Randomization,
    RandomizeSubject,
    RegainContact,
    Rescreening,
    RescreenSubject,
    Screening,
    ScreenSubject,
    Withdrawal,
    WithdrawSubject,
)
from services.randomization.events import EligibilityAssessed, SubjectRandomized, SubjectRescreened, SubjectScreened
from services.randomization.projections import PROJECTION
from services.randomization.questions import capped_scopes, detail_of, page_of_subjects
from services.randomization.scheme import SCHEME_OUTDATED, SCHEME_REVEALED
from services.randomization.sealing import scheme_in_effect
from services.randomization.sites import CAP_REACHED, SITE_CLOSED
from services.randomization.subject import RESCREENED
from services.randomization.versions import following
from shared.answers import Written
from shared.call import Reader, SiteStaff
from shared.chronology import OUT_OF_ORDER
from shared.problems import (
    NOT_RANDOMIZED,
    REASON_REQUIRED,
    UNKNOWN_SUBJECT,
    WITHDRAWN,
    WRITE_CONFLICT,
    problem_responses,
)
from shared.protocol.language import ArmCode, SiteId, SubjectId, site_of
from shared.service import Service, create_service, recorded_event, service_router
from shared.versioned_rules import at_site

router = service_router("randomization")

OF_A_SUBJECT = (UNKNOWN_SUBJECT, RESCREENED, WITHDRAWN, OUT_OF_ORDER, WRITE_CONFLICT)


@router.post(
    "/subjects",
    status_code=201,
    name="screenSubject",
    responses=problem_responses(
        SITE_CLOSED, screening.SITE_FULL, screening.BIRTH_YEAR_IMPLAUSIBLE, OUT_OF_ORDER, WRITE_CONFLICT
    ),
)
async def screen_subject(body: Screening, call: SiteStaff, response: Response) -> ScreenedSubject:
    """Take a person into screening under the site's next number."""
    call.actor.require_site(body.site)
    outcome = await call.handle(
        at_site(call.runtime.protocols, screening.screening, body.site), ScreenSubject.about(body)
    )
    screened = recorded_event(outcome, SubjectScreened)
    response.headers["Location"] = f"/randomization/subjects/{screened.subject}"
    return ScreenedSubject(subject=screened.subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/rescreening",
    status_code=201,
    name="rescreenSubject",
    responses=problem_responses(*OF_A_SUBJECT, screening.NOT_SCREEN_FAILED, SITE_CLOSED, screening.SITE_FULL),
)
async def rescreen_subject(
    subject: SubjectId, body: Rescreening, call: SiteStaff, response: Response
) -> RescreenedSubject:
    """Take a person who failed screening into it again, under the site's next number. Both numbers name each other."""
    call.require_subject(subject)
    rules = at_site(call.runtime.protocols, screening.rescreening, site_of(subject))
    outcome = await call.handle(rules, RescreenSubject.about(body, subject=subject))
    rescreened = recorded_event(outcome, SubjectRescreened)
    response.headers["Location"] = f"/randomization/subjects/{rescreened.subject}"
    return RescreenedSubject.of(rescreened, outcome.position)


@router.post(
    "/subjects/{subject}/consent", status_code=201, name="obtainConsent", responses=problem_responses(*OF_A_SUBJECT)
)
async def obtain_consent(subject: SubjectId, body: Consent, call: SiteStaff) -> Written:
    """Record the subject's informed consent to a version of the form."""
    call.require_subject(subject)
    outcome = await call.handle(
        following(call.runtime.protocols, domain.consent), ObtainConsent.about(body, subject=subject)
    )
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/eligibility",
    status_code=201,
    name="assessEligibility",
    responses=problem_responses(
        *OF_A_SUBJECT, domain.NOT_CONSENTED, domain.ALREADY_ENROLLED, domain.STRATUM_UNDEFINED, REASON_REQUIRED
    ),
)
async def assess_eligibility(subject: SubjectId, body: Eligibility, call: SiteStaff) -> AssessedEligibility:
    """Check the findings of screening against the criteria of the protocol."""
    call.require_subject(subject)
    rules = following(call.runtime.protocols, domain.eligibility)
    outcome = await call.handle(rules, AssessEligibility.about(body, subject=subject))
    assessed = recorded_event(outcome, EligibilityAssessed)
    return AssessedEligibility.of(assessed, outcome.position)


@router.post(
    "/subjects/{subject}/enrolment",
    status_code=201,
    name="enrolSubject",
    responses=problem_responses(
        *OF_A_SUBJECT,
        domain.NOT_CONSENTED,
        domain.NOT_ELIGIBLE,
        domain.ALREADY_ENROLLED,
        SITE_CLOSED,
        CAP_REACHED,
    ),
)
async def enrol_subject(subject: SubjectId, body: Enrolment, call: SiteStaff) -> Written:
    """Enter a consenting, eligible subject into the trial, where the site is open and no cap is reached."""
    call.require_subject(subject)
    counted = await capped_scopes(call.runtime.log)
    rules = following(call.runtime.protocols, lambda protocol: domain.enrolment(protocol, counted))
    outcome = await call.handle(rules, EnrolSubject.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/randomization",
    status_code=201,
    name="randomizeSubject",
    responses=problem_responses(
        *OF_A_SUBJECT,
        domain.ALREADY_RANDOMIZED,
        domain.NOT_ENROLLED,
        domain.ALLOCATION_LIST_DIFFERS,
        SCHEME_OUTDATED,
        SCHEME_REVEALED,
    ),
)
async def randomize_subject(subject: SubjectId, body: Randomization, call: SiteStaff) -> AllocatedArm:
    """Allocate the subject to an arm: the next slot of its stratum, given once and never taken back."""
    call.require_subject(subject)
    scheme = await scheme_in_effect(call)
    rules = at_site(call.runtime.protocols, lambda protocol: domain.allocation(protocol, *scheme), site_of(subject))
    outcome = await call.handle(rules, RandomizeSubject.about(body, subject=subject))
    allocated = recorded_event(outcome, SubjectRandomized)
    return AllocatedArm.of(allocated, outcome.position)


@router.post(
    "/subjects/{subject}/withdrawal",
    status_code=201,
    name="withdrawSubject",
    responses=problem_responses(*OF_A_SUBJECT),
)
async def withdraw_subject(subject: SubjectId, body: Withdrawal, call: SiteStaff) -> Written:
    """Record that the subject leaves the treatment or the study. Nothing that was recorded is removed."""
    call.require_subject(subject)
    outcome = await call.handle(
        following(call.runtime.protocols, domain.withdrawal), WithdrawSubject.about(body, subject=subject)
    )
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/loss-to-follow-up",
    status_code=201,
    name="loseSubject",
    responses=problem_responses(
        *OF_A_SUBJECT,
        NOT_RANDOMIZED,
        follow_up.LOST,
        follow_up.COMPLETED,
        follow_up.DIED,
        follow_up.LAST_CONTACT_IMPLAUSIBLE,
    ),
)
async def lose_subject(subject: SubjectId, body: LossToFollowUp, call: SiteStaff) -> Written:
    """Record that the subject can no longer be reached. Contact again takes it back."""
    call.require_subject(subject)
    rules = following(call.runtime.protocols, follow_up.loss_to_follow_up)
    outcome = await call.handle(rules, LoseSubject.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/contact",
    status_code=201,
    name="regainContact",
    responses=problem_responses(*OF_A_SUBJECT, follow_up.NOT_LOST),
)
async def regain_contact(subject: SubjectId, body: Contact, call: SiteStaff) -> Written:
    """Record that a subject who was lost to follow-up was reached again, and is followed as before."""
    call.require_subject(subject)
    outcome = await call.handle(
        following(call.runtime.protocols, follow_up.contact), RegainContact.about(body, subject=subject)
    )
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
    async with call.read(PROJECTION) as session:
        rows = await page_of_subjects(
            session, call.actor.sites, site=site, status=status, arm=arm, after=after, limit=limit + 1
        )
    return SubjectList.of(rows, limit)


@router.get("/subjects/{subject}", name="getSubject", responses=problem_responses(UNKNOWN_SUBJECT))
async def get_subject(subject: SubjectId, call: Reader) -> SubjectDetail:
    """Where one subject stands, each version that it consented to, and what was wrong with its allocation."""
    call.require_subject(subject)
    async with call.read(PROJECTION) as session:
        return await detail_of(session, subject)


SERVICE = Service(
    name="randomization",
    summary="Who is in the trial, and in which arm.",
    description="Screening, informed consent, eligibility, enrolment, allocation and its errors, loss and withdrawal.",
    routers=(router, api_allocation_errors.router, api_flow.router, api_schemes.router, api_sites.router),
    projection=PROJECTION,
    migrations=Path(__file__).parent / "migrations",
)

app = create_service(SERVICE)
