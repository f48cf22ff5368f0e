"""Adverse events over HTTP: their reports and follow-ups, what is due to the sponsor and the authority, and errors."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query

from services.visits import adverse_events
from services.visits.answers_safety import (
    AdverseEventList,
    DueSafetyReportList,
    FollowedUpAdverseEvent,
    ReportedAdverseEvent,
    SubmittedReport,
)
from services.visits.commands_safety import (
    AdverseEvent,
    AdverseEventFollowUp,
    FollowUpAdverseEvent,
    Nullification,
    NullifyAdverseEvent,
    ReportAdverseEvent,
    ReportSubmission,
    SubmitSafetyReport,
)
from services.visits.events import AdverseEventFollowedUp, AdverseEventReported, SafetyReportSubmitted
from services.visits.projections import PROJECTION
from services.visits.questions_safety import REPORT_CURSOR, cases_in_log, due_reports
from services.visits.versions import following
from shared.answers import Written
from shared.call import POSITION_MAX, Call, Reader, SiteStaff, may_write
from shared.chronology import OUT_OF_ORDER
from shared.clock import Instant
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
from shared.protocol.language import SiteId, SubjectId
from shared.service import recorded_event, service_router

router = service_router("visits")

Reporter = Annotated[Call, may_write(Role.COORDINATOR, Role.INVESTIGATOR, Role.MONITOR, Role.ADMIN)]
"""Site staff, who report to the sponsor, and the sponsor's own, who report to the authority."""

Number = Annotated[int, Path(ge=1, le=POSITION_MAX, description="The log position of the adverse event's report.")]

OF_A_SUBJECT = (UNKNOWN_SUBJECT, NOT_RANDOMIZED, OUT_OF_ORDER, WRITE_CONFLICT)
OF_AN_ADVERSE_EVENT = (*OF_A_SUBJECT, adverse_events.UNKNOWN_ADVERSE_EVENT, adverse_events.NULLIFIED)
"""What any record of safety may be refused with. It is taken after a withdrawal too."""


@router.post(
    "/subjects/{subject}/adverse-events",
    status_code=201,
    name="reportAdverseEvent",
    responses=problem_responses(
        *OF_A_SUBJECT, adverse_events.SERIOUSNESS_INVALID, adverse_events.ONSET_IMPLAUSIBLE, IN_FUTURE
    ),
)
async def report_adverse_event(subject: SubjectId, body: AdverseEvent, call: SiteStaff) -> ReportedAdverseEvent:
    """Record an adverse event, also after a withdrawal, and learn by when it is to be reported.

    The position that is answered names the adverse event from now on.
    """
    call.require_subject(subject)
    _require_known_by_now(call, body.aware_at)
    rules = following(call.runtime.protocols, adverse_events.adverse_events)
    outcome = await call.handle(rules, ReportAdverseEvent.about(body, subject=subject))
    return ReportedAdverseEvent.of(recorded_event(outcome, AdverseEventReported), outcome.position)


def _require_known_by_now(call: Call, aware_at: Instant) -> None:
    if aware_at > call.runtime.clock() + CLOCK_SKEW_MAX:
        raise IN_FUTURE("aware_at lies in the future.")


@router.post(
    "/subjects/{subject}/adverse-events/{adverse_event}/follow-ups",
    status_code=201,
    name="followUpAdverseEvent",
    responses=problem_responses(
        *OF_AN_ADVERSE_EVENT,
        adverse_events.UNCHANGED,
        adverse_events.SERIOUSNESS_INVALID,
        adverse_events.RESOLUTION_IMPLAUSIBLE,
        REASON_REQUIRED,
        IN_FUTURE,
    ),
)
async def follow_up_adverse_event(
    subject: SubjectId, adverse_event: Number, body: AdverseEventFollowUp, call: SiteStaff
) -> FollowedUpAdverseEvent:
    """Record what more became known, and learn which reports are due because of it.

    An upgrade starts clocks of its own from its own awareness. What was due before stays due.
    """
    call.require_subject(subject)
    _require_known_by_now(call, body.aware_at)
    rules = following(call.runtime.protocols, adverse_events.follow_ups)
    command = FollowUpAdverseEvent.about(body, subject=subject, adverse_event=adverse_event)
    outcome = await call.handle(rules, command)
    return FollowedUpAdverseEvent.of(recorded_event(outcome, AdverseEventFollowedUp), outcome.position)


@router.post(
    "/subjects/{subject}/adverse-events/{adverse_event}/nullification",
    status_code=201,
    name="nullifyAdverseEvent",
    responses=problem_responses(*OF_AN_ADVERSE_EVENT),
)
async def nullify_adverse_event(
    subject: SubjectId, adverse_event: Number, body: Nullification, call: SiteStaff
) -> Written:
    """Record that the adverse event was reported in error. It stays on record and bears on nothing any more."""
    call.require_subject(subject)
    rules = following(call.runtime.protocols, adverse_events.nullification)
    command = NullifyAdverseEvent.about(body, subject=subject, adverse_event=adverse_event)
    outcome = await call.handle(rules, command)
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/adverse-events/{adverse_event}/reports",
    status_code=201,
    name="submitSafetyReport",
    responses=problem_responses(*OF_AN_ADVERSE_EVENT, adverse_events.REPORT_NOT_DUE),
)
async def submit_safety_report(
    subject: SubjectId, adverse_event: Number, body: ReportSubmission, call: Reporter
) -> SubmittedReport:
    """Record that a report was handed in at `occurred_at`. It answers all clocks of its kind that ran by that day."""
    call.require_subject(subject)
    rules = following(call.runtime.protocols, adverse_events.report_submission)
    command = SubmitSafetyReport.about(body, subject=subject, adverse_event=adverse_event)
    outcome = await call.handle(rules, command)
    return SubmittedReport.of(recorded_event(outcome, SafetyReportSubmitted), outcome.position)


@router.get(
    "/subjects/{subject}/adverse-events",
    name="listAdverseEvents",
    responses=problem_responses(UNKNOWN_SUBJECT, NOT_RANDOMIZED),
)
async def list_adverse_events(subject: SubjectId, call: Reader) -> AdverseEventList:
    """The subject's adverse events as they are judged now, with their reports and all that was recorded of them.

    Answered from the log itself: a report must not hang on a read model that lags.
    """
    call.require_subject(subject)
    return await cases_in_log(call, subject)


@router.get("/safety-reports/due", name="listDueSafetyReports")
async def list_due_safety_reports(
    call: Reader,
    site: SiteId | None = None,
    subject: SubjectId | None = None,
    state: Literal["due", "overdue"] | None = None,
    as_of: Annotated[Instant | None, Query(description="Default: now.")] = None,
    after: Annotated[
        str | None, Query(pattern=REPORT_CURSOR, description="Cursor: the `next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> DueSafetyReportList:
    """The reports that are due or overdue at the sites that the caller may see, the most urgent first.

    Pages of one list are asked for as of one instant: that of the first page.
    """
    if site is not None:
        call.actor.require_site(site)
    if subject is not None:
        call.require_subject(subject)
    async with call.read(PROJECTION) as session:
        return await due_reports(
            session,
            call.runtime.protocols.latest,
            call.actor.sites,
            site=site,
            subject=subject,
            state=state,
            as_of=as_of or call.runtime.clock(),
            after=after,
            limit=limit,
        )
