"""The schedules over HTTP: one subject's on any day, and what is due at the sites of the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from services.visits.answers_schedule import DueList, SubjectSchedule
from services.visits.commands import CivilDate
from services.visits.projections import PROJECTION
from services.visits.questions_schedule import CURSOR, due_items, known_of
from shared.call import Reader
from shared.problems import NOT_RANDOMIZED, UNKNOWN_SUBJECT, problem_responses
from shared.protocol.language import SiteId, SubjectId, site_of
from shared.service import service_router

router = service_router("visits")


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
    """Everything that the protocol plans for the subject, when it may be done, and how it stands on a day.

    A day of the past is answered as it is known by now: what happened by then, also where it was recorded later.
    """
    call.require_subject(subject)
    protocol = call.runtime.protocol
    async with call.read(PROJECTION) as session:
        known = await known_of(session, protocol, subject)
    today = protocol.civil_date(call.runtime.clock(), site_of(subject))
    return SubjectSchedule.of(known.calendar, as_of or today)


@router.get("/due", name="listDue")
async def list_due(
    call: Reader,
    site: Annotated[SiteId | None, Query(description="Default: every site that the caller may see.")] = None,
    on: Annotated[CivilDate | None, Query(description="A day; default: today at each site.")] = None,
    after: Annotated[str | None, Query(pattern=CURSOR, description="Cursor: the `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> DueList:
    """What is due, and what is overdue: planned, its window closed by its own site's calendar, and not done.

    A page may hold fewer items than asked for, also none; the list ends where `next` is null.
    """
    if site is not None:
        call.actor.require_site(site)
    sites = call.actor.sites if site is None else frozenset({site})
    protocol, now = call.runtime.protocol, call.runtime.clock()
    async with call.read(PROJECTION) as session:
        return await due_items(
            session, protocol, sites, lambda each: on or protocol.civil_date(now, each), after, limit
        )
