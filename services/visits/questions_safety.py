"""What is asked about safety: a subject's cases in the log, which reports are due, what departed from the protocol."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import reduce

from sqlalchemy import ColumnElement, DateTime, Tuple, and_, cast, func, or_, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits.adverse_events import ABOUT_CASES
from services.visits.answers_safety import (
    AdverseEventDetail,
    AdverseEventList,
    DeviationList,
    DueSafetyReport,
    DueSafetyReportList,
    RecordedDeviation,
)
from services.visits.events import AdverseEventReported
from services.visits.projections import Deviation, SafetyReport
from services.visits.questions import followed_now
from services.visits.safety import is_late, sponsor_day
from services.visits.subject import Subject, evolve, require_randomized, subject_query
from shared.call import LOG_POSITION, Call
from shared.events import Recorded, decode
from shared.problems import NOT_YET_PROJECTED
from shared.protocol import Protocol

REPORT_CURSOR = r"^[0-9]{1,18}/(sponsor|authority|authority-follow-up)$"
"""How the cursor of a due report is written: what started its clock, and its kind."""


async def cases_in_log(call: Call, subject: str) -> AdverseEventList:
    """A subject's adverse events, at least as new as the caller asked for: whoever is to report must not read a lag.

    Raises UNKNOWN_SUBJECT, NOT_RANDOMIZED, and NOT_YET_PROJECTED where the log has not reached the caller's position.
    """
    read = await call.runtime.log.read(subject_query(subject, *ABOUT_CASES))
    if read.head < (call.at_least or 0):
        raise NOT_YET_PROJECTED(headers={"Retry-After": "1"}, position=read.head)
    call.response.headers[LOG_POSITION] = str(read.head)
    recorded = [decode(stored) for stored in read.events]
    known = reduce(evolve, recorded, Subject())
    require_randomized(known)
    protocol, now = followed_now(call, subject, known.entry), call.runtime.clock()
    return AdverseEventList(
        subject=subject,
        items=[
            AdverseEventDetail.of(protocol, number, case, [each for each in recorded if _case_of(each) == number], now)
            for number, case in known.adverse_events.items()
        ],
    )


def _case_of(recorded: Recorded) -> int | None:
    """The adverse event that an event of the log tells of."""
    if isinstance(recorded.event, AdverseEventReported):
        return recorded.position
    return getattr(recorded.event, "adverse_event", None)


async def due_reports(
    session: AsyncSession,
    protocol: Protocol,
    sites: Collection[str] | None,
    *,
    site: str | None,
    subject: str | None,
    state: str | None,
    as_of: datetime,
    after: str | None,
    limit: int,
) -> DueSafetyReportList:
    """The reports of some sites (None: of all) that were due at an instant, by their deadlines, from a cursor on."""
    deadline = _deadline(protocol)
    question = (
        select(SafetyReport)
        .where(col(SafetyReport.aware_at) <= as_of)
        .where(or_(col(SafetyReport.ended_at).is_(None), col(SafetyReport.ended_at) > as_of))
        .order_by(deadline, col(SafetyReport.started_by), col(SafetyReport.report))
        .limit(limit + 1)
    )
    if sites is not None:
        question = question.where(col(SafetyReport.site).in_(sites))
    for column, wanted in ((SafetyReport.site, site), (SafetyReport.subject, subject)):
        if wanted is not None:
            question = question.where(col(column) == wanted)
    if state is not None:
        overdue = or_(
            col(SafetyReport.due_by) < as_of,
            and_(col(SafetyReport.due_by).is_(None), col(SafetyReport.due_on) < sponsor_day(protocol, as_of)),
        )
        question = question.where(overdue if state == "overdue" else ~func.coalesce(overdue, False))
    if after is not None:
        question = question.where(
            tuple_(deadline, col(SafetyReport.started_by), col(SafetyReport.report))
            > await _place(session, deadline, after)
        )
    rows = (await session.exec(question)).all()
    items = [
        DueSafetyReport.of(row, overdue=is_late(protocol, as_of, due_by=row.due_by, due_on=row.due_on))
        for row in rows[:limit]
    ]
    last = rows[limit - 1] if len(rows) > limit else None
    return DueSafetyReportList(as_of=as_of, items=items, next=f"{last.started_by}/{last.report}" if last else None)


def _deadline(protocol: Protocol) -> ColumnElement[datetime]:
    """The instant after which a report is late: its own, or the end of its last day in the sponsor's zone."""
    end_of_day = func.timezone(protocol.sponsor.zone, cast(col(SafetyReport.due_on) + 1, DateTime()))
    return func.coalesce(col(SafetyReport.due_by), end_of_day)


async def _place(session: AsyncSession, deadline: ColumnElement[datetime], cursor: str) -> Tuple:
    """Where a cursor stands in the order of deadlines; a cursor that no page gave stands at the end."""
    started_by, _, report = cursor.partition("/")
    question = select(deadline).where(
        col(SafetyReport.started_by) == int(started_by), col(SafetyReport.report) == report
    )
    at = (await session.exec(question)).first()
    return tuple_(at, int(started_by), report)


async def deviations_at(
    session: AsyncSession,
    sites: Collection[str] | None,
    *,
    site: str | None,
    subject: str | None,
    grade: str | None,
    after: int | None,
    limit: int,
) -> DeviationList:
    """The deviations at some sites (None: at all) that match the filters, in the order of their records."""
    question = select(Deviation).order_by(col(Deviation.position)).limit(limit + 1)
    if sites is not None:
        question = question.where(col(Deviation.site).in_(sites))
    for column, wanted in ((Deviation.site, site), (Deviation.subject, subject), (Deviation.grade, grade)):
        if wanted is not None:
            question = question.where(col(column) == wanted)
    if after is not None:
        question = question.where(col(Deviation.position) > after)
    rows = (await session.exec(question)).all()
    items = [RecordedDeviation.of(row) for row in rows[:limit]]
    return DeviationList(items=items, next=str(items[-1].deviation) if len(rows) > limit else None)
