"""What is asked of the trail: which events answer a question, and what was signed or changed since.

The index says where events stand; what they say comes from the log itself, byte for byte as it was recorded.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from sqlalchemy import false, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.audit import export
from services.audit.answers import EventItem, Signature
from services.audit.commands import POSITION_MAX
from services.audit.domain import LoggedRecord, logged, superseding
from services.audit.events import RecordsSigned, signed_tag
from services.audit.projections import PROJECTION, TrailEntry
from shared.events import decode
from shared.eventstore.model import EventLog, Query, QueryItem, StoredEvent
from shared.identity import Actor
from shared.projection import read_progress
from shared.protocol.language import SiteId, SubjectId
from shared.signing import changes_tag

CHUNK_BYTES = 64 * 1024

_NUMBER = re.compile(r"[0-9]{1,19}")


def _number(value: Any) -> int:  # noqa: ANN401 (whatever the address holds)
    if isinstance(value, int):
        return value
    if not _NUMBER.fullmatch(value):
        raise ValueError("a position is a whole number, written in digits")
    return int(value)


_written_in_digits = BeforeValidator(_number)

# The bounds stand before the validator, or the schema would not show them.
Position = Annotated[int, Field(ge=1, le=POSITION_MAX), _written_in_digits]
Size = Annotated[int, Field(ge=0, le=POSITION_MAX), _written_in_digits]
Limit = Annotated[int, Field(ge=1, le=500), _written_in_digits]
EventType = Annotated[str, Field(max_length=100, pattern=r"^[a-z][a-z0-9-]*$")]
ActorId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$")]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are asked for; None admits all. Both ends of the span of recording are inclusive."""

    subject: SubjectId | None = None
    site: SiteId | None = None
    type: str | None = None
    actor: str | None = None
    recorded_from: datetime | None = None
    recorded_to: datetime | None = None


async def reached(session: AsyncSession) -> int:
    """The log position that the read model reflects, which is also the size of the stored tree."""
    return await read_progress(await session.connection(), PROJECTION.progress, PROJECTION.name)


async def find(session: AsyncSession, wanted: Filter, actor: Actor, after: int, limit: int) -> list[int]:
    """The positions after one of the events that are wanted and that the actor may see, in order, at most `limit`."""
    position, recorded_at, tags = col(TrailEntry.position), col(TrailEntry.recorded_at), col(TrailEntry.tags)
    question = select(position).where(position > after).order_by(position).limit(limit)
    named = [f"{kind}:{value}" for kind, value in (("subject", wanted.subject), ("site", wanted.site)) if value]
    if named:
        question = question.where(tags.contains(named))
    if actor.sites is not None:
        question = question.where(or_(false(), *(tags.contains([f"site:{site}"]) for site in sorted(actor.sites))))
    if wanted.type is not None:
        question = question.where(col(TrailEntry.type) == wanted.type)
    if wanted.actor is not None:
        question = question.where(col(TrailEntry.actor) == wanted.actor)
    # The time of recording never goes back along positions, so that a span of time is a range of positions.
    if wanted.recorded_from is not None:
        first = select(position).where(recorded_at >= wanted.recorded_from).order_by(recorded_at, position).limit(1)
        question = question.where(position >= first.scalar_subquery())
    if wanted.recorded_to is not None:
        newest_first = (recorded_at.desc(), position.desc())
        last = select(position).where(recorded_at <= wanted.recorded_to).order_by(*newest_first).limit(1)
        question = question.where(position <= last.scalar_subquery())
    return list((await session.exec(question)).all())


def about_subject(subject: str) -> Query:
    """Everything that any service has recorded about a subject."""
    return Query((QueryItem(tags=(f"subject:{subject}",)),))


async def signatures_over(log: EventLog, position: int) -> list[int]:
    """The positions of the signatures over the event at a position."""
    read = await log.read(Query((QueryItem((RecordsSigned.name,), (signed_tag(position),)),)))
    return [stored.position for stored in read.events]


async def signature(log: EventLog, stored: StoredEvent) -> Signature | None:
    """The signature that an event is, judged on all that was recorded since; None when it is none."""
    if stored.type != RecordsSigned.name:
        return None
    event = decode(stored).event
    if not isinstance(event, RecordsSigned):
        return None
    item = EventItem.of(stored)
    signed = [logged(each) for each in await log.at([record.position for record in event.records])]
    changes = superseding(signed, await _recorded_since(log, stored.position, signed))
    return Signature.of(
        event,
        stored.position,
        by=item.by,
        signed_at=item.recorded_at,
        records=list(event.records),
        status="superseded" if changes else "valid",
        superseded_by=changes,
    )


async def _recorded_since(log: EventLog, position: int, signed: list[LoggedRecord]) -> list[LoggedRecord]:
    """What was recorded after a position that may change a signed record.

    It is of the record's type and about one of its subjects, or names the record by a tag.
    """
    pairs = {(record.type, subject) for record in signed for subject in record.named("subject")}
    of_type = (QueryItem((event_type,), (f"subject:{subject}",)) for event_type, subject in sorted(pairs))
    by_name = (QueryItem(tags=(changes_tag(record.position),)) for record in signed)
    return [logged(stored) for stored in (await log.read(Query((*of_type, *by_name)), after=position)).events]


async def export_lines(log: EventLog, closing: export.Closing) -> AsyncIterator[bytes]:
    """The lines of an export in chunks; memory is bounded by a page of the log."""
    chunk = bytearray()
    async for stored in log.stream(after=closing.first - 1, until=closing.last):
        chunk += export.event_line(stored.position, stored.record, stored.leaf_hash)
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk) + export.closing_line(closing)
