"""The schedules over HTTP: one subject's on any day, calendar feeds, and what is due at the sites of the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query, Request, Response

from services.visits import icalendar_feed
from services.visits.answers_schedule import DueList, SubjectSchedule
from services.visits.commands import CivilDate
from services.visits.projections import PROJECTION
from services.visits.questions_schedule import CURSOR, Known, due_items, known_at_site, known_of
from shared.call import Call, Reader
from shared.conditional import holds, weak_entity_tag
from shared.negotiation import require_preferred
from shared.problems import NOT_ACCEPTABLE, NOT_RANDOMIZED, UNKNOWN_SUBJECT, problem_responses
from shared.protocol.language import SiteId, SubjectId, site_of
from shared.service import service_router

router = service_router("visits")

FEED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An iCalendar feed (RFC 5545).",
        "content": {icalendar_feed.MEDIA_TYPE: {"schema": {"type": "string"}}},
        "headers": {"ETag": {"schema": {"type": "string"}}},
    },
    304: {"description": "The `ETag` in `If-None-Match` is that of this feed: the caller holds it already."},
    **problem_responses(NOT_ACCEPTABLE),
}


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
    protocols = call.runtime.protocols
    async with call.read(PROJECTION) as session:
        known = await known_of(session, protocols, subject)
    today = protocols.civil_date(call.runtime.clock(), site_of(subject))
    return SubjectSchedule.of(known.calendar, as_of or today)


@router.get(
    "/subjects/{subject}/schedule.ics",
    name="getScheduleFeed",
    response_class=Response,
    responses={**FEED, **problem_responses(UNKNOWN_SUBJECT, NOT_RANDOMIZED)},
)
async def get_schedule_feed(request: Request, subject: SubjectId, call: Reader) -> Response:
    """The subject's schedule for a calendar application: an all-day event for each item, by codes alone."""
    call.require_subject(subject)
    require_preferred(request, icalendar_feed.MEDIA_TYPE)
    async with call.read(PROJECTION) as session:
        known = await known_of(session, call.runtime.protocols, subject)
    return await _feed(request, call, subject, [known])


@router.get("/sites/{site}/schedule.ics", name="getSiteScheduleFeed", response_class=Response, responses=FEED)
async def get_site_schedule_feed(request: Request, site: SiteId, call: Reader) -> Response:
    """The schedules of all randomized subjects of a site in one feed, each event as in the feed of its subject."""
    call.actor.require_site(site)
    require_preferred(request, icalendar_feed.MEDIA_TYPE)
    async with call.read(PROJECTION) as session:
        known = await known_at_site(session, call.runtime.protocols, site)
    return await _feed(request, call, f"Site {site}", known)


async def _feed(request: Request, call: Call, name: str, subjects: Sequence[Known]) -> Response:
    """The feed, or 304 where the caller holds it. It is written beside the requests of others: a site's is long."""
    protocols, now = call.runtime.protocols, call.runtime.clock()
    entries = [
        entry
        for calendar, known_at in subjects
        for entry in icalendar_feed.entries(calendar, known_at, protocols.civil_date(now, calendar.standing.site))
    ]
    tag = weak_entity_tag(name, entries)
    headers = {**call.response.headers, "ETag": tag, "Cache-Control": "private, no-cache"}
    if holds(request.headers.get("If-None-Match"), tag):
        return Response(status_code=304, headers=headers)
    content = await asyncio.to_thread(icalendar_feed.feed, name, entries)
    return Response(content, media_type=f"{icalendar_feed.MEDIA_TYPE}; charset=utf-8", headers=headers)


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
    protocols, now = call.runtime.protocols, call.runtime.clock()
    async with call.read(PROJECTION) as session:
        return await due_items(
            session, protocols, sites, lambda each: on or protocols.civil_date(now, each), after, limit
        )
