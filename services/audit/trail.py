"""What was recorded: which events answer a question, what they say, and what was known of a subject at some time.

The index says where events stand; what they say comes from the log itself, byte for byte as it was recorded.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

import orjson
from pydantic import BaseModel, Field
from sqlalchemy import false, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.audit.domain import LoggedRecord
from services.audit.projections import PROJECTION, TrailEntry
from shared.eventstore.model import EventLog, Query, QueryItem, StoredEvent
from shared.identity import Actor
from shared.projection import read_progress
from shared.protocol.language import SiteId, SubjectId

NEIGHBOURS_MAX = 16
"""Events that are read and passed over, rather than asking the log once more."""

RecordedInstant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""An instant exactly as it stands in the record: RFC 3339, UTC, with microseconds."""

LeafHash = Annotated[str, Field(description="RFC 9162 leaf hash of the record's bytes, base64.")]


class Author(BaseModel):
    """Who recorded an event, as they were at that time."""

    id: str
    name: str
    role: str
    org: str


class EventItem(BaseModel):
    """One event of the log. Sealed content stays sealed."""

    position: int
    type: str
    version: int
    occurred_at: RecordedInstant
    recorded_at: RecordedInstant
    by: Author
    reason: str | None
    tags: list[str]
    data: dict[str, Any]
    leaf_hash: LeafHash
    id: str
    protocol: Annotated[str, Field(description="Version of the protocol that it was decided under.")]
    cause: Annotated[int | None, Field(description="Position of the event that caused it.")]
    trace: Annotated[str | None, Field(description="The request that it came from (W3C trace id).")]

    @classmethod
    def of(cls, stored: StoredEvent, **more: object) -> Self:
        """What a stored event says."""
        record = orjson.loads(stored.record)
        return cls(**record, position=stored.position, leaf_hash=base64.b64encode(stored.leaf_hash).decode(), **more)


class EventDetail(EventItem):
    """One event, with the exact text whose UTF-8 bytes are its leaf, and the signatures over it."""

    record: str
    signatures: Annotated[list[int], Field(description="Positions of the signatures over this event.")]


class EventPage(BaseModel):
    """One page of events in position order; `next` is the cursor (`after`) of the page after, if any."""

    items: list[EventItem]
    next: int | None


class Latest(BaseModel):
    """The latest of a subject's events of one type."""

    position: int
    occurred_at: RecordedInstant
    data: dict[str, Any]


class SubjectAsOf(BaseModel):
    """A subject as it was known at one time to have been at another."""

    subject: SubjectId
    recorded: Annotated[datetime | None, Field(description="What the log knew by then; null: all that it knows.")]
    occurred: Annotated[datetime | None, Field(description="What had happened by then; null: all that happened.")]
    state: Annotated[dict[str, Latest], Field(description="The latest event of each type.")]
    events: list[EventItem]


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


async def events_at(log: EventLog, positions: Sequence[int]) -> list[StoredEvent]:
    """The events at some positions, given in order; those that the log does not hold are left out."""
    events: list[StoredEvent] = []
    for run in _runs(positions):
        wanted = set(run)
        read = await log.read(after=run[0] - 1, limit=run[-1] - run[0] + 1)
        events += [stored for stored in read.events if stored.position in wanted]
    return events


def _runs(positions: Sequence[int]) -> Iterator[list[int]]:
    """The positions in groups that stand near each other."""
    run: list[int] = []
    for position in positions:
        if run and position - run[-1] > NEIGHBOURS_MAX:
            yield run
            run = []
        run.append(position)
    if run:
        yield run


def about_subject(subject: str) -> Query:
    """Everything that any service has recorded about a subject."""
    return Query((QueryItem(tags=(f"subject:{subject}",)),))


def page_of(events: Sequence[StoredEvent], limit: int) -> EventPage:
    """A page of at most `limit` events, of which one more was looked for."""
    items = [EventItem.of(stored) for stored in events[:limit]]
    return EventPage(items=items, next=items[-1].position if len(events) > limit else None)


def logged(stored: StoredEvent) -> LoggedRecord:
    """What the rules need to know of a stored event."""
    record = orjson.loads(stored.record)
    return LoggedRecord(
        position=stored.position,
        leaf_hash=stored.leaf_hash,
        type=stored.type,
        tags=frozenset(stored.tags),
        reason=record["reason"],
    )


def as_of(
    subject: str, events: Iterable[StoredEvent], recorded: datetime | None, occurred: datetime | None
) -> SubjectAsOf:
    """The subject's events that were recorded by one instant and had happened by another, and what they come to.

    Both are inclusive. The state is generic: of each type the event that happened last, of those that happened at the
    same instant the one that was recorded last, which is the correction. What a type's events mean together, such as a
    medical history, each service tells of its own.
    """
    items = [EventItem.of(stored) for stored in events if recorded is None or stored.recorded_at <= recorded]
    if occurred is not None:
        items = [item for item in items if datetime.fromisoformat(item.occurred_at) <= occurred]
    state: dict[str, Latest] = {}
    for item in sorted(items, key=lambda item: (item.occurred_at, item.position)):
        state[item.type] = Latest(position=item.position, occurred_at=item.occurred_at, data=item.data)
    return SubjectAsOf(subject=subject, recorded=recorded, occurred=occurred, state=state, events=items)
