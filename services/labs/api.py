"""The laboratory service over HTTP: reports in JSON, messages of HL7 v2, results by subject, the quarantine."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Body, Query, Request, Response
from fastapi import Path as InPath

from services.labs import domain
from services.labs.answers import (
    QuarantinedItem,
    QuarantinedList,
    RecordedReport,
    RefusedReport,
    ReleasedMessage,
    ReleaseOutcomes,
    ReportOutcomes,
    ResultItem,
    ResultList,
    UnreleasedMessage,
)
from services.labs.api_fhir import router as fhir_router
from services.labs.commands import LabReport, Release, ReleaseAll
from services.labs.grading import criteria_of
from services.labs.json_report import Malformed, Reports, read_report
from services.labs.metrics import QUARANTINE_AGE
from services.labs.projections import PROJECTION
from services.labs.questions import CURSOR, quarantined_messages, results_of
from services.labs.receive import criteria_at, receive, require_application
from services.labs.release import release, release_all
from shared.call import LOG_POSITION, Call, Reader, SiteStaff, may_write
from shared.clock import Instant
from shared.decision import CLOCK_SKEW_MAX
from shared.identity import Role
from shared.problems import (
    IN_FUTURE,
    TOO_LARGE,
    UNKNOWN_SUBJECT,
    UNSUPPORTED_MEDIA,
    WRITE_CONFLICT,
    Problem,
    ProblemDocument,
    problem_responses,
)
from shared.protocol.language import AnalyteCode, SiteId, SubjectId, site_of
from shared.service import Service, create_service, service_router

router = service_router("labs")

Reporter = Annotated[Call, may_write(Role.LAB, Role.COORDINATOR, Role.INVESTIGATOR, Role.ADMIN)]
LabSystem = Annotated[Call, may_write(Role.LAB, Role.ADMIN)]

HL7_MEDIA_TYPES = ("application/hl7-v2", "application/hl7-v2+er7", "x-application/hl7-v2+er7", "text/plain")
HL7_ANSWER = "application/hl7-v2; charset=utf-8"


@router.post(
    "/results",
    status_code=201,
    name="recordResults",
    responses={
        207: {"model": ReportOutcomes, "description": "Some of the reports were recorded, the others refused."},
        **problem_responses(
            UNKNOWN_SUBJECT, domain.MESSAGE_ID_REUSED, IN_FUTURE, WRITE_CONFLICT, *domain.UNREADABLE.values()
        ),
    },
)
async def record_results(body: Annotated[Reports, Body()], call: Reporter, response: Response) -> ReportOutcomes:
    """Record one report or several; each for itself. The same report again gets the same answer.

    Where none of several can be recorded, the first one's problem is the answer, and `reports` lists all outcomes.
    """
    if len(body) > 1:
        await call.require_own_key()
    latest = call.runtime.clock() + CLOCK_SKEW_MAX
    outcomes: list[RecordedReport | RefusedReport] = []
    problems: list[Problem] = []
    for index, report in enumerate(body):
        try:
            part = index if len(body) > 1 else None
            outcomes.append(await _record(call, report, part, latest))
        except Problem as problem:
            problems.append(problem)
            message_id = None if isinstance(report, Malformed) else report.message_id
            outcomes.append(RefusedReport.of(problem, index, message_id))
    positions = [outcome.position for outcome in outcomes if isinstance(outcome, RecordedReport)]
    if not positions:
        first = problems[0]
        if len(outcomes) > 1:
            first.members["reports"] = [outcome.model_dump(mode="json") for outcome in outcomes]
        raise first
    response.headers[LOG_POSITION] = str(max(positions))
    if problems:
        response.status_code = 207
    return ReportOutcomes(reports=outcomes)


async def _record(call: Call, report: LabReport | Malformed, part: int | None, latest: datetime) -> RecordedReport:
    if isinstance(report, Malformed):
        raise report.problem()
    call.require_subject(report.subject)
    require_application(call, report.sender.application)
    command = read_report(report, latest, criteria_at(call, site_of(report.subject)))
    try:
        recorded = (await call.handle(domain.REPORT, command, part=part)).events
    except domain.RecordedBefore as before:
        recorded = before.earlier
    return RecordedReport.of(recorded[0])


_ER7: dict[str, Any] = {"schema": {"type": "string"}}


@router.post(
    "/hl7v2",
    name="receiveMessages",
    response_class=Response,
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(HL7_MEDIA_TYPES, _ER7)}},
    responses={
        200: {
            "description": "The acknowledgment: AA once all is recorded, AE where something is quarantined, AR.",
            "content": {"application/hl7-v2": _ER7},
        },
        **problem_responses(TOO_LARGE, UNSUPPORTED_MEDIA, WRITE_CONFLICT),
    },
)
async def receive_messages(request: Request, call: LabSystem) -> Response:
    """Record ORU and OUL messages in ER7. A batch is answered by a batch.

    The token speaks for one site, which the sending facility belongs to. What cannot be read as a known subject's
    result of the trial is quarantined, sealed, until the site's staff release it; the acknowledgment says why.
    """
    charset = _charset_of(request.headers.get("Content-Type", ""))
    answer = await receive(call, await request.body(), charset)
    headers = {LOG_POSITION: position} if (position := call.response.headers.get(LOG_POSITION)) else None
    return Response(answer.encode(), media_type=HL7_ANSWER, headers=headers)


def _charset_of(content_type: str) -> str | None:
    """The charset parameter. Raises UNSUPPORTED_MEDIA for another media type than HL7 v2 comes in."""
    media_type, _, parameters = content_type.partition(";")
    if media_type.strip().lower() not in HL7_MEDIA_TYPES:
        raise UNSUPPORTED_MEDIA(f"HL7 v2 is read as {', '.join(HL7_MEDIA_TYPES)}.")
    match = re.search(r'(?:^|;)\s*charset\s*=\s*"?([^";\s]+)', parameters, re.IGNORECASE)
    return match[1] if match else None


@router.get("/subjects/{subject}/results", name="listResults", responses=problem_responses(UNKNOWN_SUBJECT))
async def list_results(
    subject: SubjectId,
    call: Reader,
    code: AnalyteCode | None = None,
    collected_from: Annotated[Instant | None, Query(alias="from")] = None,
    collected_to: Annotated[Instant | None, Query(alias="to")] = None,
    versions: Annotated[Literal["all", "current"], Query(description="All versions, or those that count.")] = "all",
    after: Annotated[str | None, Query(pattern=CURSOR, description="Cursor: the `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> ResultList:
    """A subject's results by the time of collection; of the versions of one result, the newest first."""
    call.require_subject(subject)
    async with call.read(PROJECTION) as session:
        rows, cursor = await results_of(
            session,
            subject,
            codes=None if code is None else {code},
            collected_from=collected_from,
            collected_to=collected_to,
            current_only=versions == "current",
            after=after,
            limit=limit,
        )
    return ResultList(items=[ResultItem.of(row) for row in rows], next=cursor)


@router.get("/quarantine", name="listQuarantinedMessages")
async def list_quarantined_messages(
    call: Reader,
    site: SiteId | None = None,
    state: Annotated[Literal["quarantined", "released", "all"], Query()] = "quarantined",
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="Cursor: the `next` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> QuarantinedList:
    """The quarantined messages of the caller's sites, and why each is quarantined."""
    if site is not None:
        call.actor.require_site(site)
    async with call.read(PROJECTION) as session:
        sites = call.actor.sites if site is None else {site}
        rows, cursor = await quarantined_messages(session, sites, state=state, after=after, limit=limit)
    return QuarantinedList(items=[QuarantinedItem.of(row) for row in rows], next=cursor)


@router.post(
    "/quarantine/{id}/release",
    status_code=201,
    name="releaseMessage",
    responses=problem_responses(
        domain.UNKNOWN_QUARANTINE, domain.ALREADY_RELEASED, domain.STILL_UNREADABLE, domain.ERASED, WRITE_CONFLICT
    ),
)
async def release_message(
    quarantine: Annotated[int, InPath(alias="id", ge=1, le=2**63 - 1)], body: Release, call: SiteStaff
) -> ReleasedMessage:
    """Read a quarantined message again, as the subject's and with the mapping that are given, and record it."""
    return ReleasedMessage.of(quarantine, await release(call, quarantine, body))


@router.post("/quarantine/release", name="releaseMessages")
async def release_messages(body: ReleaseAll, call: SiteStaff) -> ReleaseOutcomes:
    """Read quarantined messages again with a mapping, and record those that it settles; the others stay quarantined."""
    outcomes, cursor = await release_all(call, body)
    messages: list[ReleasedMessage | UnreleasedMessage] = [
        UnreleasedMessage(id=number, problem=ProblemDocument.model_validate(outcome.document()))
        if isinstance(outcome, Problem)
        else ReleasedMessage.of(number, outcome)
        for number, outcome in outcomes
    ]
    return ReleaseOutcomes(messages=messages, next=cursor)


SERVICE = Service(
    name="labs",
    summary="Results from hospital systems.",
    description="Reports in JSON, HL7 v2 and FHIR, units, grades, corrections, and the quarantine of what is not sure.",
    routers=(router, fhir_router),
    projection=PROJECTION,
    migrations=Path(__file__).parent / "migrations",
    clock_jobs=(QUARANTINE_AGE,),
    require_protocol=criteria_of,
)

app = create_service(SERVICE)
