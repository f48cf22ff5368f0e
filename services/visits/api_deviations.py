"""Deviations from the protocol over HTTP: what people note, how grave it is after all, and what is on record."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from services.visits import deviations
from services.visits.answers_safety import DeviationList
from services.visits.commands_safety import Deviation, NoteDeviation, RegradeDeviation, Regrading
from services.visits.projections import PROJECTION
from services.visits.questions_safety import deviations_at
from services.visits.versions import following
from shared.answers import Written
from shared.call import POSITION_MAX, Call, Reader, SiteStaff, may_write
from shared.chronology import OUT_OF_ORDER
from shared.identity import Role
from shared.problems import UNKNOWN_SUBJECT, WRITE_CONFLICT, problem_responses
from shared.protocol.deviations import DeviationGrade
from shared.protocol.language import SiteId, SubjectId
from shared.service import service_router

router = service_router("visits")

Judge = Annotated[Call, may_write(Role.INVESTIGATOR, Role.MONITOR, Role.ADMIN)]
"""A monitor who finds a departure tells the site, which notes it; how grave it is a monitor judges too."""


@router.post(
    "/subjects/{subject}/deviations",
    status_code=201,
    name="noteDeviation",
    responses=problem_responses(UNKNOWN_SUBJECT, OUT_OF_ORDER, WRITE_CONFLICT),
)
async def note_deviation(subject: SubjectId, body: Deviation, call: SiteStaff) -> Written:
    """Record a departure from the protocol that no rule finds. Those that rules find are recorded by themselves."""
    call.require_subject(subject)
    rules = following(call.runtime.protocols, deviations.noting)
    outcome = await call.handle(rules, NoteDeviation.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


@router.post(
    "/subjects/{subject}/deviations/{deviation}/grade",
    status_code=201,
    name="regradeDeviation",
    responses=problem_responses(
        UNKNOWN_SUBJECT, deviations.UNKNOWN_DEVIATION, deviations.GRADE_UNCHANGED, WRITE_CONFLICT
    ),
)
async def regrade_deviation(
    subject: SubjectId,
    deviation: Annotated[int, Path(ge=1, le=POSITION_MAX, description="The log position of its record.")],
    body: Regrading,
    call: Judge,
) -> Written:
    """Record that one deviation is more or less grave than it was graded, and why."""
    call.require_subject(subject)
    rules = following(call.runtime.protocols, deviations.regrading)
    outcome = await call.handle(rules, RegradeDeviation.about(body, subject=subject, deviation=deviation))
    return Written(subject=subject, position=outcome.position)


@router.get("/deviations", name="listDeviations")
async def list_deviations(
    call: Reader,
    site: SiteId | None = None,
    subject: SubjectId | None = None,
    grade: DeviationGrade | None = None,
    after: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,18}$", description="Cursor: the `next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> DeviationList:
    """The deviations at the sites that the caller may see, in the order of their records."""
    if site is not None:
        call.actor.require_site(site)
    if subject is not None:
        call.require_subject(subject)
    async with call.read(PROJECTION) as session:
        return await deviations_at(
            session,
            call.actor.sites,
            site=site,
            subject=subject,
            grade=grade,
            after=None if after is None else int(after),
            limit=limit,
        )
