"""What is asked of the read model about schedules: one subject's, and what is due at the sites of a caller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import fields
from datetime import date, datetime
from inspect import signature
from typing import NamedTuple, TypeVar

from sqlalchemy import select as select_columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits.answers_schedule import DueItem, DueList
from services.visits.calendar import Calendar
from services.visits.followed import Deed, Specimen, Standing
from services.visits.item_state import Miss
from services.visits.projections import Collected, Consented, Missed, Performed
from services.visits.projections import Subject as SubjectRow
from services.visits.questions import arm_of
from services.visits.read_model import ReadModel
from services.visits.schedule import DateWindow
from services.visits.visit_numbers import VisitNumbers
from shared.protocol import Protocols
from shared.protocol.versions import Signed

SUBJECTS_AT_ONCE = 50
SUBJECTS_A_PAGE_MAX = 200
"""A page ends after so many subjects, full or not: what it costs does not hang on how many have nothing due."""

CURSOR = r"^[0-9]{2}-[0-9]{3}(/[0-9]{4}-[0-9]{2}-[0-9]{2}/[A-Z][A-Z0-9-]{0,11})?$"
"""How the cursor of a due item is written, or of a subject that a page ended at."""

DayAt = Callable[[str], date]
"""The civil day that is asked about at a site."""

T = TypeVar("T")


class Known(NamedTuple):
    """A subject's calendar, and when the log last learned anything that bears on it."""

    calendar: Calendar
    known_at: datetime


async def known_of(session: AsyncSession, protocols: Protocols, subject: str) -> Known:
    """The calendar of a randomized subject. Raises UNKNOWN_SUBJECT or NOT_RANDOMIZED."""
    await arm_of(session, subject)
    (known,) = await _known(session, protocols, [subject])
    return known


async def known_at_site(session: AsyncSession, protocols: Protocols, site: str) -> list[Known]:
    """The calendars of a site's randomized subjects, by number."""
    return await _known(session, protocols, await _subjects(session, "", None, [site]))


async def calendars_from(
    session: AsyncSession, protocols: Protocols, first: str, limit: int, sites: Collection[str] | None
) -> tuple[list[Calendar], str | None]:
    """The calendars of the next subjects, from a number on, and the number to go on from; None at the end.

    Not every subject is randomized: there may be fewer calendars than subjects.
    """
    subjects = await _subjects(session, first, limit + 1, sites)
    calendars = [known.calendar for known in await _known(session, protocols, subjects[:limit])]
    return calendars, subjects[limit] if len(subjects) > limit else None


async def sites_of(session: AsyncSession) -> list[str]:
    """The sites that have subjects."""
    return list((await session.exec(select(SubjectRow.site).distinct())).all())


async def due_items(
    session: AsyncSession,
    protocols: Protocols,
    sites: Collection[str] | None,
    day_at: DayAt,
    after: str | None,
    limit: int,
) -> DueList:
    """What is due or overdue at some sites (None: all), from a cursor on, each item by the day at its own site.

    Subjects are gone through until the page is full, or has seen as many as a page may.
    """
    numbers = VisitNumbers.of(protocols.readable)
    found: list[DueItem] = []
    first, seen = (after or "").partition("/")[0], 0
    while seen < SUBJECTS_A_PAGE_MAX:
        wanted = min(SUBJECTS_AT_ONCE, limit - len(found) + 1)
        calendars, following = await calendars_from(session, protocols, first, wanted, sites)
        for calendar in calendars:
            items = sorted(_due(calendar, numbers, day_at), key=lambda item: item.cursor)
            found += [item for item in items if after is None or item.cursor > after]
            if len(found) > limit:
                return DueList(items=found[:limit], next=found[limit - 1].cursor)
        if following is None:
            return DueList(items=found, next=None)
        first, seen = following, seen + wanted
    return DueList(items=found, next=first)


def _due(calendar: Calendar, numbers: VisitNumbers, day_at: DayAt) -> Iterator[DueItem]:
    for item in calendar.states(day_at(calendar.standing.site)):
        if item.state in {"due", "missed"}:
            yield DueItem.of(item, numbers, subject=calendar.standing.id)


async def _subjects(session: AsyncSession, first: str, limit: int | None, sites: Collection[str] | None) -> list[str]:
    """Numbers of subjects in order, from one on; sites stand at their beginning, so that a site's lie together."""
    if sites is not None:
        first = max(first, min(sites, default=""))
    question = select(SubjectRow.id).where(col(SubjectRow.id) >= first).order_by(col(SubjectRow.id)).limit(limit)
    if sites is not None:
        question = question.where(col(SubjectRow.site).in_(sites))
    return list((await session.exec(question)).all())


async def _known(session: AsyncSession, protocols: Protocols, subjects: Sequence[str]) -> list[Known]:
    """The calendars of those subjects that are randomized, in the order of their numbers."""
    question = select(SubjectRow).where(col(SubjectRow.id).in_(subjects)).order_by(col(SubjectRow.id))
    rows = (await session.exec(question)).all()
    deeds = await _by_subject(session, subjects, Performed, Deed)
    specimens = await _by_subject(session, subjects, Collected, Specimen)
    misses = await _by_subject(session, subjects, Missed, _miss)
    signed = await _by_subject(session, subjects, Consented, Signed)
    known = []
    for row in rows:
        standing = Standing(**{each.name: getattr(row, each.name) for each in fields(Standing)})
        known_of_it = deeds[row.id], specimens[row.id], misses[row.id], signed[row.id]
        calendar = Calendar.of(protocols, standing, *known_of_it)
        if calendar is not None:
            known.append(Known(calendar, row.known_at or calendar.randomized_at))
    return known


async def _by_subject(
    session: AsyncSession, subjects: Sequence[str], table: type[ReadModel], make: Callable[..., T]
) -> dict[str, list[T]]:
    """What is made of the rows of a table, by subject. Columns, not objects of the table, which would take longer."""
    columns = [getattr(table, name) for name in ("subject", *signature(make).parameters)]
    connection = await session.connection()
    found: dict[str, list[T]] = defaultdict(list)
    for subject, *values in await connection.execute(select_columns(*columns).where(columns[0].in_(subjects))):
        found[subject].append(make(*values))
    return found


def _miss(code: str, opens_on: date, closes_on: date, recorded_at: datetime, position: int) -> Miss:
    return Miss(code, DateWindow(opens_on, closes_on), recorded_at, position)
