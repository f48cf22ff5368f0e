"""What a signature over records says today: who signed what, with which meaning, and whether it still holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from services.audit.commands import POSITIONS_MAX
from services.audit.domain import LoggedRecord, superseding
from services.audit.events import Meaning, RecordsSigned, SignedRecord, signed_tag
from services.audit.trail import Author, EventItem, RecordedInstant, events_at, logged
from shared.events import decode
from shared.eventstore.model import EventLog, Query, QueryItem, StoredEvent


class SignedRecords(BaseModel):
    """A signature that was recorded, and where."""

    position: Annotated[int, Field(description="The log position of the signature.")]
    positions: Annotated[list[int], Field(description="What was signed.", max_length=POSITIONS_MAX)]
    meaning: Meaning
    printed_name: str


class Signature(SignedRecords):
    """A signature as it stands: printed name, time and meaning (21 CFR 11.50), and what became of what was signed."""

    by: Author
    signed_at: RecordedInstant
    records: list[SignedRecord]
    status: Annotated[Literal["valid", "superseded"], Field(description="Superseded once a signed record was changed.")]
    superseded_by: Annotated[list[int], Field(description="Positions of the events that changed a signed record.")]


def signed_records(position: int, signed: RecordsSigned) -> SignedRecords:
    """What was signed by the event at a position."""
    return SignedRecords(
        position=position,
        positions=[record.position for record in signed.records],
        meaning=signed.meaning,
        printed_name=signed.printed_name,
    )


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
    signed = [logged(each) for each in await events_at(log, [record.position for record in event.records])]
    changes = superseding(signed, await _recorded_since(log, stored.position, signed))
    return Signature(
        **signed_records(stored.position, event).model_dump(),
        by=item.by,
        signed_at=item.recorded_at,
        records=list(event.records),
        status="superseded" if changes else "valid",
        superseded_by=changes,
    )


async def _recorded_since(log: EventLog, position: int, signed: list[LoggedRecord]) -> list[LoggedRecord]:
    """What was recorded after a position about the subjects of signed records, of the types of these."""
    pairs = {(record.type, subject) for record in signed for subject in record.named("subject")}
    if not pairs:
        return []  # a query without items would match everything
    items = (QueryItem((event_type,), (f"subject:{subject}",)) for event_type, subject in sorted(pairs))
    return [logged(stored) for stored in (await log.read(Query(tuple(items)), after=position)).events]
