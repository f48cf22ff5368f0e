"""What is asked of the read model, and of the log where an answer must not lag. Pages go by keyset cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import reduce

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits.answers import DueItem, DueList
from services.visits.calendar import Calendar
from services.visits.projections import Collected, Performed
from services.visits.projections import Subject as SubjectRow
from services.visits.subject import Subject, evolve, subject_query
from shared.call import LOG_POSITION, Call
from shared.events import Event, Recorded, decode
from shared.problems import NOT_RANDOMIZED, NOT_YET_PROJECTED, UNKNOWN_SUBJECT
from shared.protocol import Protocol

SUBJECTS_AT_ONCE = 50

CURSOR = r"^[0-9]{2}-[0-9]{3}/[0-9]{4}-[0-9]{2}-[0-9]{2}/[A-Z][A-Z0-9-]{0,11}$"
"""How the cursor of a due item is written."""


async def arm_of(session: AsyncSession, subject: str) -> str:
    """The arm of a randomized subject. Raises UNKNOWN_SUBJECT or NOT_RANDOMIZED."""
    row = await session.get(SubjectRow, subject)
    if row is None:
        raise UNKNOWN_SUBJECT()
    if row.arm is None:
        raise NOT_RANDOMIZED()
    return row.arm


async def calendar_of(session: AsyncSession, protocol: Protocol, subject: str) -> Calendar:
    """The calendar of a randomized subject. Raises UNKNOWN_SUBJECT or NOT_RANDOMIZED."""
    await arm_of(session, subject)
    (calendar,) = await _calendars(session, protocol, [subject])
    return calendar


async def due_at_site(
    session: AsyncSession, protocol: Protocol, site: str, on: date, after: str | None, limit: int
) -> DueList:
    """What is due or overdue at a site on a day, from a cursor on; subjects are gone through until the page is full."""
    first = (after or "").partition("/")[0]
    question = select(SubjectRow.id).where(col(SubjectRow.site) == site, col(SubjectRow.id) >= first)
    ids = (await session.exec(question.order_by(col(SubjectRow.id)))).all()
    found: list[DueItem] = []
    for start in range(0, len(ids), SUBJECTS_AT_ONCE):
        for calendar in await _calendars(session, protocol, ids[start : start + SUBJECTS_AT_ONCE]):
            items = sorted(_due(calendar, on), key=lambda item: item.cursor)
            found += [item for item in items if after is None or item.cursor > after]
            if len(found) > limit:
                return DueList(items=found[:limit], next=found[limit - 1].cursor)
    return DueList(items=found, next=None)


def _due(calendar: Calendar, on: date) -> Iterator[DueItem]:
    for item in calendar.states(on):
        if item.state in {"due", "missed"}:
            yield DueItem.of(item, subject=calendar.subject.id)


async def calendars_at_site(session: AsyncSession, protocol: Protocol, site: str) -> list[Calendar]:
    """The calendars of all randomized subjects of a site, in the order of their numbers."""
    question = select(SubjectRow.id).where(col(SubjectRow.site) == site)
    return await _calendars(session, protocol, (await session.exec(question)).all())


async def _calendars(session: AsyncSession, protocol: Protocol, ids: Sequence[str]) -> list[Calendar]:
    """The calendars of those subjects that are randomized, in the order of their numbers."""
    question = select(SubjectRow).where(col(SubjectRow.id).in_(ids)).order_by(col(SubjectRow.id))
    subjects = (await session.exec(question)).all()
    performed = (await session.exec(select(Performed).where(col(Performed.subject).in_(ids)))).all()
    collected = (await session.exec(select(Collected).where(col(Collected.subject).in_(ids)))).all()
    return [
        Calendar(
            protocol,
            subject,
            subject.arm,
            subject.randomized_at,
            [row for row in performed if row.subject == subject.id],
            [row for row in collected if row.subject == subject.id],
        )
        for subject in subjects
        if subject.arm is not None and subject.randomized_at is not None
    ]


async def subject_in_log(call: Call, subject: str, *needs: type[Event]) -> Subject:
    """What the log knows of a subject by some kinds of events, at least as new as the caller asked for.

    Raises NOT_YET_PROJECTED where the log has not reached the position that the caller has seen.
    """
    return reduce(evolve, await history_in_log(call, subject, *needs), Subject())


async def history_in_log(call: Call, subject: str, *needs: type[Event]) -> list[Recorded]:
    """A subject's standing and the events about it of some kinds, in order, at least as new as the caller asked for.

    Raises NOT_YET_PROJECTED where the log has not reached the position that the caller has seen.
    """
    read = await call.runtime.log.read(subject_query(subject, *needs))
    if read.head < (call.at_least or 0):
        raise NOT_YET_PROJECTED(headers={"Retry-After": "1"}, position=read.head)
    call.response.headers[LOG_POSITION] = str(read.head)
    return [decode(stored) for stored in read.events]
