"""The log behind the `eventsourcing` library's own interface, whose test case it has to pass.

The library is synchronous: the log runs in an event loop of its own, in a thread. Its events hold bytes of any kind,
which stand in our records as base64.
"""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, Self, TypeVar
from uuid import uuid4

import orjson
from eventsourcing.dcb.api import (
    DCBAppendCondition,
    DCBEvent,
    DCBQuery,
    DCBReadResponse,
    DCBRecorder,
    DCBSequencedEvent,
    DCBSubscription,
)
from eventsourcing.persistence import IntegrityError, ProgrammingError

from shared.eventstore.log import PostgresLog
from shared.eventstore.model import (
    AppendCondition,
    AppendConflict,
    NewEvent,
    Query,
    QueryItem,
    ReadResult,
    StoredEvent,
)

T = TypeVar("T")


class MarrowDCBRecorder(DCBRecorder):
    """A `DCBRecorder` over a migrated database. Open it with `with`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="marrow log", daemon=True)
        self._log: PostgresLog

    def __enter__(self) -> Self:
        self._thread.start()
        self._log = self.run(self._opened())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._log.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _opened(self) -> PostgresLog:
        return await PostgresLog(self._url).__aenter__()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin some work of the log in its thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work of the log in its thread and wait for it."""
        return self.start(work).result()

    def follow(self, query: DCBQuery | None, after: int) -> AsyncIterator[ReadResult]:
        """Follow the log, in its thread."""
        return self._log.follow(_query(query), after=after)

    def append(self, events: Sequence[DCBEvent], condition: DCBAppendCondition | None = None) -> int:
        """Append all events or none; returns the position of the last.

        Raises IntegrityError when the condition does not hold, ProgrammingError when there are no events.
        """
        if not events:
            raise ProgrammingError("an append has at least one event")
        under = None
        if condition is not None:
            under = AppendCondition(_query(condition.fail_if_events_match), condition.after or 0)
        try:
            stored = self.run(self._log.append([_new_event(event) for event in events], under))
        except AppendConflict as error:
            raise IntegrityError(condition) from error
        return stored[-1].position

    def read(
        self, query: DCBQuery | None = None, *, after: int | None = None, limit: int | None = None
    ) -> DCBReadResponse:
        """The matching events after a position; the library's head of an empty answer under a limit is None."""
        result = self.run(self._log.read(_query(query), after=after or 0, limit=limit))
        head = result.head if limit is None or result.events else None
        return _Response(iter(result.events), head or None)

    def subscribe(self, query: DCBQuery | None = None, *, after: int | None = None) -> MarrowSubscription:
        """The matching events after a position, and then those that are yet to come."""
        return MarrowSubscription(self, query, after)


class MarrowSubscription(DCBSubscription[MarrowDCBRecorder]):
    """Gives each matching event once, in order, and blocks until there is another; ends when it is stopped."""

    def __init__(self, recorder: MarrowDCBRecorder, query: DCBQuery | None, after: int | None) -> None:
        super().__init__(recorder, query, after)
        self._results = recorder.follow(query, after or 0)
        self._events: Iterator[StoredEvent] = iter(())
        self._waiting: Future[ReadResult] | None = None

    def __next__(self) -> DCBSequencedEvent:
        while not self._has_been_stopped:
            for event in self._events:
                return _sequenced(event)
            self._waiting = self._recorder.start(_next(self._results))
            if self._has_been_stopped:  # just now, by another thread
                self._waiting.cancel()
            with suppress(CancelledError):
                self._events = iter(self._waiting.result().events)
        raise StopIteration

    def stop(self) -> None:
        """End the subscription; whoever waits for its next event gets StopIteration."""
        super().stop()
        if self._waiting is not None:
            self._waiting.cancel()


async def _next(results: AsyncIterator[ReadResult]) -> ReadResult:
    return await anext(results)


class _Response(DCBReadResponse):
    def __init__(self, events: Iterator[StoredEvent], head: int | None) -> None:
        self._events = events
        self._head = head

    @property
    def head(self) -> int | None:
        return self._head

    def __next__(self) -> DCBSequencedEvent:
        return _sequenced(next(self._events))


def _query(query: DCBQuery | None) -> Query:
    items = query.items if query else []
    return Query(tuple(QueryItem(tuple(item.types), tuple(item.tags)) for item in items))


def _new_event(event: DCBEvent) -> NewEvent:
    document = {
        "id": uuid4().hex,
        "type": event.type,
        "tags": event.tags,
        "data": base64.b64encode(event.data).decode(),
    }
    return NewEvent(event.type, tuple(event.tags), document)


def _sequenced(stored: StoredEvent) -> DCBSequencedEvent:
    data = base64.b64decode(orjson.loads(stored.record)["data"])
    return DCBSequencedEvent(DCBEvent(stored.type, data, list(stored.tags)), stored.position)
