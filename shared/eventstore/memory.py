"""The log in memory, for tests of rules: the library's own recorder behind our face."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime

import orjson
from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem, DCBSequencedEvent
from eventsourcing.dcb.popo import InMemoryDCBRecorder
from eventsourcing.persistence import IntegrityError

from shared.clock import Clock, system_clock
from shared.eventstore.model import (
    EVERYTHING,
    AppendCondition,
    AppendConflict,
    NewEvent,
    Query,
    ReadResult,
    StoredEvent,
)
from shared.eventstore.record import draft, format_instant, leaf_hash

POLL_S = 0.01


class MemoryLog:
    """An `EventLog` that forgets everything when it goes."""

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._recorder = InMemoryDCBRecorder()
        self._last_recorded_at = datetime.min.replace(tzinfo=UTC)

    async def append(self, events: Sequence[NewEvent], condition: AppendCondition | None = None) -> list[StoredEvent]:
        """See EventLog.append."""
        if not events:
            raise ValueError("an append has at least one event")
        drafts = [draft(event) for event in events]
        recorded_at = max(self._clock(), self._last_recorded_at)
        instant = format_instant(recorded_at).encode()
        new = [
            DCBEvent(event.type, draft.seal(instant), list(event.tags))
            for event, draft in zip(events, drafts, strict=True)
        ]
        under = None
        if condition is not None:
            under = DCBAppendCondition(_query(condition.fail_if_events_match), condition.after)
        try:
            last = self._recorder.append(new, under)
        except IntegrityError as error:
            raise AppendConflict from error
        self._last_recorded_at = recorded_at
        return [_stored(event) for event in self._recorder.read(after=last - len(new))]

    async def read(self, query: Query = EVERYTHING, *, after: int = 0, limit: int | None = None) -> ReadResult:
        """See EventLog.read."""
        await asyncio.sleep(0)  # a read of a real log lets others run
        response = self._recorder.read(_query(query), after=after, limit=limit)
        events = [_stored(event) for event in response]
        if limit is not None and events and len(events) == limit:
            return ReadResult(events, events[-1].position)
        return ReadResult(events, await self.head())

    async def at(self, positions: Collection[int]) -> list[StoredEvent]:
        """See EventLog.at."""
        wanted = frozenset(positions)
        return [event for event in (await self.read()).events if event.position in wanted]

    async def head(self) -> int:
        """See EventLog.head."""
        return len(self._recorder.events)

    async def stream(
        self, query: Query = EVERYTHING, *, after: int = 0, until: int | None = None
    ) -> AsyncIterator[StoredEvent]:
        """See EventLog.stream."""
        for event in (await self.read(query, after=after)).events:
            if until is None or event.position <= until:
                yield event

    async def follow(
        self, query: Query = EVERYTHING, *, after: int = 0, batch: int = 1000
    ) -> AsyncIterator[ReadResult]:
        """See EventLog.follow."""
        while True:
            result = await self.read(query, after=after, limit=batch)
            if result.head > after:
                yield result
                after = result.head
            else:
                await asyncio.sleep(POLL_S)


def _query(query: Query) -> DCBQuery:
    return DCBQuery([DCBQueryItem(list(item.types), list(item.tags)) for item in query.items])


def _stored(sequenced: DCBSequencedEvent) -> StoredEvent:
    event = sequenced.event
    recorded_at = datetime.fromisoformat(orjson.loads(event.data)["recorded_at"])
    return StoredEvent(
        sequenced.position, event.type, tuple(event.tags), recorded_at, event.data, leaf_hash(event.data)
    )
