"""What the log speaks of: events to append, stored events, queries over types and tags, append conditions.

The vocabulary is that of Dynamic Consistency Boundaries (dcb.events) and of `eventsourcing.dcb.api`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class QueryItem:
    """Matches an event whose type is one of `types` (any, when empty) and that bears all of `tags`.

    The first tag is the one that is looked up: name the rarest first.
    """

    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def matches(self, event_type: str, tags: Collection[str]) -> bool:
        """Whether an event of that type with those tags matches."""
        return (not self.types or event_type in self.types) and all(tag in tags for tag in self.tags)


@dataclass(frozen=True, slots=True)
class Query:
    """Matches an event that matches at least one item; without items, every event."""

    items: tuple[QueryItem, ...] = ()

    def __or__(self, other: Query) -> Query:
        return Query(self.items + other.items)


EVERYTHING = Query()


@dataclass(frozen=True, slots=True)
class AppendCondition:
    """The append fails if an event at a position greater than `after` matches the query."""

    fail_if_events_match: Query
    after: int = 0


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append.

    `document` is the whole record but for `recorded_at`, which the writer stamps under the lock. It holds JSON
    values only; numbers that are measurements are strings. Its serialised bytes are what is stored and hashed.
    """

    type: str
    tags: tuple[str, ...]
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One row of the log. `record` is the exact bytes whose RFC 9162 leaf hash is `leaf_hash`."""

    position: int
    type: str
    tags: tuple[str, ...]
    recorded_at: datetime
    record: bytes
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class ReadResult:
    """Events in position order, and the position up to which they are all that match.

    That is the head of the log in the same snapshot (0 when it is empty), or the last event's position when a limit
    was reached.
    """

    events: list[StoredEvent]
    head: int


class AppendConflict(Exception):  # noqa: N818 (a conflict is the field's word for it, and no fault)
    """An event that the condition excludes stands in the log."""


class LogSaturated(Exception):  # noqa: N818
    """The queue of waiting appends is full; nothing was written. Try again after `retry_after_s`."""

    def __init__(self, retry_after_s: int = 1) -> None:
        super().__init__("the queue of waiting appends is full")
        self.retry_after_s = retry_after_s


class LogUnavailable(Exception):  # noqa: N818
    """The database cannot be reached; nothing was written. Try again later."""


class EventLog(Protocol):
    """The one log, as deciders and followers see it."""

    async def append(self, events: Sequence[NewEvent], condition: AppendCondition | None = None) -> list[StoredEvent]:
        """Append all events or none, at consecutive positions, and return them as stored and durable.

        Raises AppendConflict, LogSaturated or LogUnavailable; in each case nothing was written.
        """
        ...

    async def read(self, query: Query = EVERYTHING, *, after: int = 0, limit: int | None = None) -> ReadResult:
        """Read the matching events at positions greater than `after`, in order, at most `limit`."""
        ...

    async def at(self, positions: Collection[int]) -> list[StoredEvent]:
        """The events at some positions, in order, each once; positions that the log does not hold are left out."""
        ...

    async def head(self) -> int:
        """The last position; 0 when the log is empty."""
        ...

    def stream(
        self, query: Query = EVERYTHING, *, after: int = 0, until: int | None = None
    ) -> AsyncIterator[StoredEvent]:
        """The matching events of (after, until] in order, up to the head when `until` is None, in bounded memory."""
        ...

    def follow(self, query: Query = EVERYTHING, *, after: int = 0, batch: int = 1000) -> AsyncIterator[ReadResult]:
        """Yield the matching events after `after` in batches, then wait for more; never ends, never skips.

        Each result's head is the position reached; one without events tells that others were appended up to there.
        """
        ...
