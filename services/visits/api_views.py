"""The views over HTTP: what happened to a subject, what a site has to do, how arms respond, and a swimmer plot."""

from __future__ import annotations

from datetime import date
from functools import reduce
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Query, Request, Response

from services.visits import swimmer_chart, worklist
from services.visits import timeline as timelines
from services.visits.answers_views import ResponseTable, SwimmerPlot, TaskKind, Timeline, Worklist
from services.visits.commands import CivilDate
from services.visits.projections import PROJECTION
from services.visits.questions import history_in_log
from services.visits.questions_responses import randomized_by_arm, tallies_of
from services.visits.questions_swimmer import courses_after
from services.visits.questions_worklist import dossiers_from
from services.visits.response_table import response_table
from services.visits.subject import Subject, day_0_of, evolve
from services.visits.swimmer import lane
from shared.call import Call, Reader
from shared.negotiation import require_preferred
from shared.problems import NOT_ACCEPTABLE, UNKNOWN_SUBJECT, problem_responses
from shared.protocol.language import SiteId, SubjectId, site_of
from shared.service import service_router

router = service_router("visits")

MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z/[0-9]{19}$"
TASK = (
    r"^[0-9]{2}-[0-9]{3}"
    r"(/[01]/[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{2}-[0-9]{3}/[a-z-]{1,40}/[A-Za-z][A-Za-z0-9_-]{0,31}/[0-9]{1,18})?$"
)
PLACE = r"^[0-9]{1,5}/[0-9]{2}-[0-9]{3}$"
"""How the cursors of timelines, work lists and swimmer plots are written."""

CURSOR = "Cursor: the `next` of the page before."

OneSite = Annotated[SiteId | None, Query(description="Only this site; default: all that the caller may see.")]


@router.get("/subjects/{subject}/timeline", name="getTimeline", responses=problem_responses(UNKNOWN_SUBJECT))
async def get_timeline(
    subject: SubjectId,
    call: Reader,
    after: Annotated[str | None, Query(pattern=MOMENT, description=CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 500,
) -> Timeline:
    """Everything clinical that happened to the subject, in the order of occurrence, from the log itself."""
    call.require_subject(subject)
    protocol = call.runtime.protocols.latest
    history = await history_in_log(call, subject, *timelines.NEEDS)
    known = reduce(evolve, history, Subject())
    if not known.known:
        raise UNKNOWN_SUBJECT()
    day_0 = day_0_of(protocol, known)
    moments = timelines.timeline(protocol, site_of(subject), day_0, history)
    items, following = timelines.page_after(moments, after, limit)
    return Timeline(subject=subject, arm=known.arm, day_0=day_0, items=items, next=following)


@router.get("/sites/{site}/worklist", name="getWorklist")
async def get_worklist(
    site: SiteId,
    call: Reader,
    on: Annotated[CivilDate | None, Query(description="A day at the site; default: today.")] = None,
    kind: Annotated[TaskKind | None, Query(description="Only tasks of this kind.")] = None,
    after: Annotated[str | None, Query(pattern=TASK, description=CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Worklist:
    """What the site's staff have to do: visits, judgements, second doses, safety reports, and advice to be acted on.

    Of so many subjects at a time, what had or has to be done first comes first, and missed visits last. A page may hold
    fewer tasks than asked for, or none: only one without `next` is the last. What is overdue is so by its last day.
    """
    call.actor.require_site(site)
    protocols = call.runtime.protocols
    day = on or protocols.civil_date(call.runtime.clock(), site)
    protocol = protocols.in_effect(day, site).readable
    first, _, place = (after or "").partition("/")
    async with call.read(PROJECTION) as session:
        dossiers, following = await dossiers_from(session, protocols, protocol, site, day, first)
    tasks = [task for task in worklist.worklist(protocol, dossiers) if kind is None or task.kind == kind]
    items, last = worklist.page_after(tasks, place or None, limit)
    onward = following if last is None else f"{first or f'{site}-000'}/{last}"
    return Worklist(site=site, on=day, items=items, next=onward)


@router.get("/response-table", name="getResponseTable")
async def get_response_table(call: Reader, site: OneSite = None) -> ResponseTable:
    """Responses and lineages by timepoint and arm, over the caller's sites, by intention to treat."""
    protocol, sites = call.runtime.protocols.latest, _sites_of(call, site)
    async with call.read(PROJECTION) as session:
        randomized, tallies = await randomized_by_arm(session, sites), await tallies_of(session, protocol, sites)
    timepoints = [evaluation.timepoint for evaluation in protocol.response.evaluations]
    rows = response_table(timepoints, call.runtime.protocols.arm_codes, randomized, tallies)
    return ResponseTable(sites=None if sites is None else tuple(sorted(sites)), items=rows)


@router.get(
    "/swimmer-plot",
    name="getSwimmerPlot",
    response_model=SwimmerPlot,
    responses={
        200: {"content": {swimmer_chart.MEDIA_TYPE: {"schema": {"type": "string"}}}},
        **problem_responses(NOT_ACCEPTABLE),
    },
)
async def get_swimmer_plot(
    request: Request,
    call: Reader,
    site: OneSite = None,
    as_of: Annotated[CivilDate | None, Query(description="A day; default: today. Name it again on each page.")] = None,
    after: Annotated[str | None, Query(pattern=PLACE, description=CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> SwimmerPlot | Response:
    """A lane a subject, the longest on study first: treatment, response, transfusions and severe adverse events.

    As JSON, or as a picture.
    """
    media = require_preferred(request, "application/json", swimmer_chart.MEDIA_TYPE)
    protocol, sites = call.runtime.protocols.latest, _sites_of(call, site)
    day = as_of or _today(call)
    async with call.read(PROJECTION) as session:
        courses, last = await courses_after(session, protocol, sites, day, _place(after), limit)
    plot = SwimmerPlot(
        as_of=day,
        lanes=tuple(lane(protocol, course, day) for course in courses),
        next=None if last is None else f"{last[0]}/{last[1]}",
    )
    call.response.headers["Vary"] = "Accept"
    if media != swimmer_chart.MEDIA_TYPE:
        return plot
    picture = swimmer_chart.draw(plot, call.runtime.protocols.arm_codes, protocol.schedule.days_per_month)
    return Response(picture, media_type=media, headers=dict(call.response.headers))


def _sites_of(call: Call, site: str | None) -> frozenset[str] | None:
    """The site that was asked for, else all that the caller may see (None: all). Raises FORBIDDEN."""
    if site is None:
        return call.actor.sites
    call.actor.require_site(site)
    return frozenset({site})


def _today(call: Call) -> date:
    """The latest date of any site, so that nothing that has happened lies in the future."""
    protocol, now = call.runtime.protocols.latest, call.runtime.clock()
    zones = {protocol.sites.default_zone, *(site.zone for site in protocol.sites.known)}
    return max(now.astimezone(ZoneInfo(zone)).date() for zone in zones)


def _place(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    days, _, subject = cursor.partition("/")
    return int(days), subject
