"""Reads that wait together are answered together: one statement, one snapshot, one round trip for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import orjson
import psycopg
import structlog

from shared.eventstore.connection import INDEX_PLANS
from shared.eventstore.model import LogUnavailable, QueryItem, ReadResult, StoredEvent
from shared.eventstore.session import Row, Session, Statement

LANES = 2
"""Connections that answer, so that one long answer does not hold up all others."""
GROUP_MAX = 64
PATIENCE_S = 5.0
"""How long a read waits for a database that is away."""
PAUSE_S = 0.25
"""Between attempts to connect."""

_log = structlog.get_logger("marrow.eventstore")

_READ = Statement(
    "read",
    """
SELECT -1, coalesce(max(position), 0), NULL, NULL, NULL, NULL, NULL FROM log.event
UNION ALL
SELECT found.read, e.position, e.type, e.tags, e.recorded_at, e.record, e.leaf_hash
FROM (
  -- An event may match many items of a read; its record travels once.
  SELECT DISTINCT asked.read, matching.position
  FROM jsonb_to_recordset($1::text::jsonb) AS asked (read int, types text[], tags text[], after bigint)
  CROSS JOIN LATERAL (
  SELECT t.position FROM log.event_tag t JOIN log.event e USING (position)
  WHERE t.tag = asked.tags[1] AND t.position > asked.after
    AND (cardinality(asked.tags) = 1 OR e.tags @> asked.tags)
    AND (cardinality(asked.types) = 0 OR e.type = ANY (asked.types))
  ) AS matching
) AS found JOIN log.event e USING (position)
""",
)


@dataclass(eq=False, slots=True)
class WaitingRead:
    """A read on its way, and the caller who waits for its answer."""

    items: Sequence[QueryItem]
    after: int
    deadline: float
    answer: asyncio.Future[ReadResult]


class GroupReader:
    """Answers reads by tags from any number of tasks of one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._queue: deque[WaitingRead] = deque()
        self._wake = asyncio.Event()
        self._lanes: list[asyncio.Task[None]] = []
        self._closed = False

    async def open(self) -> None:
        self._lanes = [asyncio.create_task(self._run(), name=f"log reader {number}") for number in range(LANES)]

    async def close(self) -> None:
        self._closed = True
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        _refuse(self._queue)

    async def read(self, items: Sequence[QueryItem], after: int) -> ReadResult:
        """The events after a position that match one of the items, each of which has tags; and the head.

        Raises LogUnavailable.
        """
        if self._closed:
            raise LogUnavailable("the log is closed")
        answer: asyncio.Future[ReadResult] = asyncio.get_running_loop().create_future()
        self._queue.append(WaitingRead(items, after, monotonic() + PATIENCE_S, answer))
        self._wake.set()
        return await answer

    async def _run(self) -> None:
        session: Session | None = None
        try:
            while True:
                group = await self._take()
                try:
                    session = session or await Session.open(self._url, (_READ,), INDEX_PLANS)
                    rows = await _ask(session, group)
                except (psycopg.Error, OSError) as error:
                    _log.warning("reads were interrupted", reads=len(group), error=type(error).__name__)
                    await _close(session)
                    session = None
                    self._put_back(group)
                    await asyncio.sleep(PAUSE_S)
                else:
                    _tell(group, rows)
        finally:
            await _close(session)

    async def _take(self) -> list[WaitingRead]:
        """The reads that wait; those whose caller went away are dropped."""
        while True:
            group: list[WaitingRead] = []
            while self._queue and len(group) < GROUP_MAX:
                read = self._queue.popleft()
                if not read.answer.done():
                    group.append(read)
            if group:
                return group
            self._wake.clear()
            await self._wake.wait()

    def _put_back(self, group: Sequence[WaitingRead]) -> None:
        """Let reads wait for the next attempt, but for those that have waited for too long."""
        now = monotonic()
        self._queue.extendleft(read for read in reversed(group) if read.deadline >= now)
        _refuse([read for read in group if read.deadline < now])
        self._wake.set()


async def _ask(session: Session, group: Sequence[WaitingRead]) -> list[Row]:
    asked = [
        {"read": number, "types": item.types, "tags": item.tags, "after": read.after}
        for number, read in enumerate(group)
        for item in read.items
    ]
    (rows,) = await session.run((_READ, (orjson.dumps(asked),)))
    return rows


def _tell(group: Sequence[WaitingRead], rows: Sequence[Row]) -> None:
    """Give each read its events, once each and in order, and the head that all of them share."""
    found: list[dict[int, StoredEvent]] = [{} for _ in group]
    head = 0
    for number, position, event_type, tags, recorded_at, record, leaf_hash in rows:
        if number < 0:
            head = position
        else:
            found[number][position] = StoredEvent(position, event_type, tuple(tags), recorded_at, record, leaf_hash)
    for read, events in zip(group, found, strict=True):
        if not read.answer.done():
            read.answer.set_result(ReadResult([events[position] for position in sorted(events)], head))


def _refuse(reads: Iterable[WaitingRead]) -> None:
    for read in reads:
        if not read.answer.done():
            read.answer.set_exception(LogUnavailable("the database cannot be reached"))


async def _close(session: Session | None) -> None:
    if session is not None:
        with suppress(psycopg.Error, OSError):
            await session.close()
