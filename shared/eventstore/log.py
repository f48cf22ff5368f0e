"""The one log on PostgreSQL: a group-committing writer, a reader, and followers that never skip."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Self

from shared.clock import Clock
from shared.eventstore.follower import Follower
from shared.eventstore.model import EVERYTHING, AppendCondition, NewEvent, Query, ReadResult, StoredEvent
from shared.eventstore.reader import Reader
from shared.eventstore.writer import Writer

QUEUE_MAX = 1024


class PostgresLog:
    """An `EventLog` over a migrated database. Open it with `async with`, in the event loop that uses it.

    `clock` replaces the database's clock as the source of `recorded_at`, for simulations; `recorded_at` never goes
    back along positions in either case.
    """

    def __init__(self, url: str, *, clock: Clock | None = None, queue_max: int = QUEUE_MAX) -> None:
        self._writer = Writer(url, clock, queue_max)
        self._reader = Reader(url)
        self._follower = Follower(url, self._reader)

    async def __aenter__(self) -> Self:
        await self._reader.open()
        await self._writer.open()
        await self._follower.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._follower.close()
        await self._writer.close()
        await self._reader.close()

    async def append(self, events: Sequence[NewEvent], condition: AppendCondition | None = None) -> list[StoredEvent]:
        """See EventLog.append. Raises ValueError for events that cannot be stored."""
        return await self._writer.append(events, condition)

    async def read(self, query: Query = EVERYTHING, *, after: int = 0, limit: int | None = None) -> ReadResult:
        """See EventLog.read. Raises LogUnavailable."""
        return await self._reader.read(query, after, limit)

    async def at(self, positions: Collection[int]) -> list[StoredEvent]:
        """See EventLog.at. Raises LogUnavailable."""
        return await self._reader.at(positions)

    async def head(self) -> int:
        """See EventLog.head. Raises LogUnavailable."""
        return await self._reader.head()

    def stream(
        self, query: Query = EVERYTHING, *, after: int = 0, until: int | None = None
    ) -> AsyncIterator[StoredEvent]:
        """See EventLog.stream. Raises LogUnavailable."""
        return self._reader.stream(query, after, until)

    def follow(self, query: Query = EVERYTHING, *, after: int = 0, batch: int = 1000) -> AsyncIterator[ReadResult]:
        """See EventLog.follow."""
        return self._follower.follow(query, after, batch)
