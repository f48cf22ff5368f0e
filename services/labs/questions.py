"""What is asked of the read models: a subject's results, and the quarantined messages. Pages go by keyset cursor."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from sqlalchemy import and_, or_, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.labs.events import LabReportRecorded
from services.labs.projections import QuarantinedMessage, Result, Subject
from shared.events import decode
from shared.eventstore.model import EventLog, Query, QueryItem
from shared.eventstore.record import format_instant
from shared.problems import INVALID, UNKNOWN_SUBJECT

CURSOR = r"^(19|20|21)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z~[A-Z][A-Z0-9_]{0,15}~[0-9a-f]{32}~[1-9][0-9]{0,8}$"
"""The place of a result in a list: its time of collection, analyte, key and version."""


async def results_of(
    session: AsyncSession,
    subject: str,
    *,
    codes: Collection[str] | None,
    collected_from: datetime | None,
    collected_to: datetime | None,
    current_only: bool,
    after: str | None,
    limit: int,
) -> tuple[list[Result], str | None]:
    """A page of the subject's results by collection, analyte and result, its newest version first; and the cursor.

    Both bounds of time belong to the range. Raises UNKNOWN_SUBJECT, or INVALID for what is no cursor.
    """
    if await session.get(Subject, subject) is None:
        raise UNKNOWN_SUBJECT(subject=subject)
    place = tuple_(col(Result.collected_at), col(Result.code), col(Result.key))
    question = select(Result).where(Result.subject == subject)
    if codes is not None:
        question = question.where(col(Result.code).in_(codes))
    if collected_from is not None:
        question = question.where(Result.collected_at >= collected_from)
    if collected_to is not None:
        question = question.where(Result.collected_at <= collected_to)
    if current_only:
        question = question.where(col(Result.current))
    if after is not None:
        *before, version = _read_cursor(after)
        same_result = and_(place == tuple_(*before), col(Result.version) < version)
        question = question.where(or_(place > tuple_(*before), same_result))
    order = (col(Result.collected_at), col(Result.code), col(Result.key), col(Result.version).desc())
    rows = list((await session.exec(question.order_by(*order).limit(limit + 1))).all())
    return rows[:limit], _cursor(rows[limit - 1]) if len(rows) > limit else None


async def result_version(session: AsyncSession, key: str, version: int | None) -> Result | None:
    """A version of a result, by default the one that counts; None where there is none."""
    if version is not None:
        return await session.get(Result, (key, version))
    counts = select(Result).where(Result.key == key, col(Result.current))
    return (await session.exec(counts)).one_or_none()


async def report_at(log: EventLog, position: int) -> LabReportRecorded | None:
    """The report that was recorded at a position, None where something else was."""
    read = await log.read(Query((QueryItem((LabReportRecorded.name,)),)), after=position - 1, limit=1)
    for stored in read.events:
        event = decode(stored).event
        if stored.position == position and isinstance(event, LabReportRecorded):
            return event
    return None


def _cursor(row: Result) -> str:
    return f"{format_instant(row.collected_at)}~{row.code}~{row.key}~{row.version}"


def _read_cursor(cursor: str) -> tuple[datetime, str, str, int]:
    """The place that a text of the form CURSOR names. Raises INVALID where it names no instant."""
    at, code, key, version = cursor.split("~")
    try:
        return datetime.fromisoformat(at), code, key, int(version)
    except ValueError:
        raise INVALID("query/after: this is no cursor of this list.") from None


async def quarantined_messages(
    session: AsyncSession,
    sites: Collection[str] | None,
    *,
    state: Literal["quarantined", "released", "all"],
    after: int,
    limit: int,
) -> tuple[list[QuarantinedMessage], int | None]:
    """A page of the quarantined messages of some sites (None: all), in the order of arrival; and the cursor."""
    question = select(QuarantinedMessage).where(col(QuarantinedMessage.position) > after)
    if sites is not None:
        question = question.where(col(QuarantinedMessage.site).in_(sites))
    if state == "quarantined":
        question = question.where(col(QuarantinedMessage.released_at).is_(None))
    elif state == "released":
        question = question.where(col(QuarantinedMessage.released_at).is_not(None))
    rows = list((await session.exec(question.order_by(col(QuarantinedMessage.position)).limit(limit + 1))).all())
    return rows[:limit], rows[limit - 1].position if len(rows) > limit else None
