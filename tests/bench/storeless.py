"""The laboratory service with a log that stores nothing: what the same requests cost without a store."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

from fastapi import FastAPI

from services.labs.api import SERVICE
from shared.clock import system_clock
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import EVERYTHING, AppendCondition, EventLog, NewEvent, Query, ReadResult, StoredEvent
from shared.eventstore.record import draft, format_instant, leaf_hash
from shared.runtime import open_runtime
from shared.service import create_service
from shared.settings import settings_from_environment
from shared.telemetry import configure_logging
from tests.bench.history import SUBJECTS, screening


def _stored(event: NewEvent, position: int) -> StoredEvent:
    recorded_at = system_clock()
    record = draft(event).seal(format_instant(recorded_at).encode())
    return StoredEvent(position, event.type, event.tags, recorded_at, record, leaf_hash(record))


class StorelessLog:
    """An `EventLog` in which the subjects have been screened and nothing else ever happens. No call of it waits."""

    def __init__(self) -> None:
        self._screenings = {
            f"subject:{subject}": _stored(screening(subject), position)
            for position, subject in enumerate(SUBJECTS, start=1)
        }
        self._positions = itertools.count(len(SUBJECTS) + 1)

    async def append(self, events: Sequence[NewEvent], condition: AppendCondition | None = None) -> list[StoredEvent]:  # noqa: ARG002
        """The events as they would have been stored."""
        return [_stored(event, next(self._positions)) for event in events]

    async def read(self, query: Query = EVERYTHING, *, after: int = 0, limit: int | None = None) -> ReadResult:  # noqa: ARG002
        """The screenings of the subjects that the query names."""
        tags = (tag for item in query.items for tag in item.tags)
        return ReadResult([self._screenings[tag] for tag in tags if tag in self._screenings], len(SUBJECTS))

    async def at(self, positions: Collection[int]) -> list[StoredEvent]:
        """The screenings at some positions."""
        return [event for event in self._screenings.values() if event.position in positions]

    async def head(self) -> int:
        return len(SUBJECTS)

    async def stream(
        self, query: Query = EVERYTHING, *, after: int = 0, until: int | None = None
    ) -> AsyncIterator[StoredEvent]:
        """The screenings of the subjects that the query names."""
        for event in (await self.read(query, after=after)).events:
            if until is None or event.position <= until:
                yield event

    async def follow(
        self, query: Query = EVERYTHING, *, after: int = 0, batch: int = 1000
    ) -> AsyncIterator[ReadResult]:
        """Nothing, for ever."""
        yield await self.read(query, after=after, limit=batch)
        await asyncio.Event().wait()


app = create_service(SERVICE)
_follow_log = app.router.lifespan_context


@asynccontextmanager
async def _lifespan(application: FastAPI) -> AsyncIterator[None]:
    settings = settings_from_environment()
    configure_logging(settings.log_level)
    log: EventLog = StorelessLog()
    async with open_runtime(settings, [SERVICE.component]) as runtime:
        application.state.runtime = replace(runtime, log=cast("PostgresLog", log))
        async with _follow_log(application):
            yield


app.router.lifespan_context = _lifespan
