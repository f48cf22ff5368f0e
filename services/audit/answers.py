"""What the calls of this service answer with: events as they were recorded, proofs, and signatures over records."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field

from services.audit.commands import POSITIONS_MAX
from services.audit.events import RecordsSigned, SignedRecord
from shared.eventstore.model import StoredEvent
from shared.protocol.language import SubjectId
from shared.signing import SignatureMeaning

RecordedInstant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""An instant exactly as it stands in the record: RFC 3339, UTC, with microseconds."""

LeafHash = Annotated[str, Field(description="RFC 9162 leaf hash of the record's bytes, base64.")]

Hash = Annotated[str, Field(description="SHA-256, base64.")]


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

    @classmethod
    def of(cls, events: Sequence[StoredEvent], limit: int) -> Self:
        """A page of at most `limit` events, of which one more was looked for."""
        items = [EventItem.of(stored) for stored in events[:limit]]
        return cls(items=items, next=items[-1].position if len(events) > limit else None)


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

    @classmethod
    def of(
        cls, subject: str, events: Iterable[StoredEvent], recorded: datetime | None, occurred: datetime | None
    ) -> Self:
        """The subject's events that were recorded by one instant and had happened by another, and what they come to.

        Both are inclusive. The state is generic: of each type the event that happened last, of those that happened at
        the same instant the one that was recorded last, which is the correction. What a type's events mean together,
        such as a medical history, each service tells of its own.
        """
        items = [EventItem.of(stored) for stored in events if recorded is None or stored.recorded_at <= recorded]
        if occurred is not None:
            items = [item for item in items if datetime.fromisoformat(item.occurred_at) <= occurred]
        state: dict[str, Latest] = {}
        for item in sorted(items, key=lambda item: (item.occurred_at, item.position)):
            state[item.type] = Latest(position=item.position, occurred_at=item.occurred_at, data=item.data)
        return cls(subject=subject, recorded=recorded, occurred=occurred, state=state, events=items)


class InclusionProof(BaseModel):
    """The audit path of one leaf, lowest sibling first (RFC 9162 §2.1.3)."""

    leaf_index: Annotated[int, Field(description="Position − 1.")]
    tree_size: int
    leaf_hash: LeafHash
    root: Hash
    proof: list[Hash]


class ConsistencyProof(BaseModel):
    """That the tree of `from` leaves is a prefix of that of `to` (RFC 9162 §2.1.4)."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    first: Annotated[int, Field(alias="from")]
    last: Annotated[int, Field(alias="to")]
    root_from: Hash
    root_to: Hash
    proof: list[Hash]


class SignedRecords(BaseModel):
    """A signature that was recorded, and where."""

    position: Annotated[int, Field(description="The log position of the signature.")]
    positions: Annotated[list[int], Field(description="What was signed.", max_length=POSITIONS_MAX)]
    meaning: SignatureMeaning
    printed_name: str

    @classmethod
    def of(cls, signed: RecordsSigned, position: int, **more: Any) -> Self:  # noqa: ANN401 (the fields of a subclass)
        """What was signed by the event at a position."""
        return cls(
            position=position,
            positions=[record.position for record in signed.records],
            meaning=signed.meaning,
            printed_name=signed.printed_name,
            **more,
        )


class Signature(SignedRecords):
    """A signature as it stands: printed name, time and meaning (21 CFR 11.50), and what became of what was signed."""

    by: Author
    signed_at: RecordedInstant
    records: list[SignedRecord]
    status: Annotated[Literal["valid", "superseded"], Field(description="Superseded once a signed record was changed.")]
    superseded_by: Annotated[list[int], Field(description="Positions of the events that changed a signed record.")]
