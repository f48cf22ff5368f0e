"""The group commit: all waiting appends of a process become one transaction, each under its own condition.

One round trip takes the lock, answers every condition and reads the head; the second inserts, notifies and commits.
Positions are taken under the lock, so they have no gaps and are committed in order, with any number of processes.
An append whose commit was not acknowledged is looked up before anybody is told of its fate.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from time import monotonic, perf_counter

import orjson
import psycopg
import structlog

from shared.clock import Clock
from shared.eventstore import metrics
from shared.eventstore.batch import Decided, WaitingAppend, conditions_of, decide
from shared.eventstore.connection import APPEND_LOCK, CHANNEL, PLANNING, LogConnection, connect
from shared.eventstore.model import (
    AppendCondition,
    AppendConflict,
    LogSaturated,
    LogUnavailable,
    NewEvent,
    StoredEvent,
)
from shared.eventstore.record import TAG_SEPARATOR, check

BATCH_EVENTS_MAX = 512
UNAVAILABLE_AFTER_S = 5.0
"""How long an append waits for a database that is away."""
IDLE_LIMIT = {"idle_in_transaction_session_timeout": "5s"}
"""A writer that hangs between its two round trips would hold the lock; the server ends its session instead."""
RECONNECT_S = (0.05, 1.0)
"""The first and the longest pause between attempts to connect."""

_log = structlog.get_logger("marrow.eventstore")

TAKE_LOCK = f"SELECT pg_advisory_xact_lock({APPEND_LOCK})"

READ_HEAD_AND_CONDITIONS = """
SELECT coalesce(head.position, 0), head.recorded_at, clock_timestamp(), ARRAY(
  SELECT DISTINCT c.append
  FROM jsonb_to_recordset(%b::jsonb) AS c (append int, types text[], tags text[], after bigint)
  WHERE CASE
    WHEN cardinality(c.tags) > 0 THEN EXISTS (
      SELECT FROM log.event_tag t JOIN log.event e USING (position)
      WHERE t.tag = c.tags[1] AND t.position > c.after AND e.tags @> c.tags
        AND (cardinality(c.types) = 0 OR e.type = ANY (c.types)))
    WHEN cardinality(c.types) > 0 THEN EXISTS (
      SELECT FROM log.event e WHERE e.type = ANY (c.types) AND e.position > c.after)
    ELSE EXISTS (SELECT FROM log.event e WHERE e.position > c.after)
  END)
FROM (VALUES (true)) AS always (row)
LEFT JOIN LATERAL (SELECT position, recorded_at FROM log.event ORDER BY position DESC LIMIT 1) AS head ON true
"""

INSERT_EVENTS = """
INSERT INTO log.event (position, type, tags, recorded_at, record, leaf_hash)
SELECT position, type, string_to_array(tags, %b), %b, record, leaf_hash
FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::bytea[], %b::bytea[])
  AS new (position, type, tags, record, leaf_hash)
"""

INSERT_TAGS = """
INSERT INTO log.event_tag (tag, position)
SELECT tag, position FROM unnest(%b::text[], %b::bigint[]) AS new (tag, position)
"""

READ_LEAF_HASH = "SELECT leaf_hash FROM log.event WHERE position = %b"


class Writer:
    """Takes appends from any number of tasks of one event loop and commits them in groups."""

    def __init__(self, url: str, clock: Clock | None, queue_max: int) -> None:
        self._url = url
        self._clock = clock
        self._queue_max = queue_max
        self._queue: deque[WaitingAppend] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._connection: LogConnection | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._connection = await connect(self._url, PLANNING | IDLE_LIMIT)
        self._task = asyncio.create_task(self._run(), name="log writer")

    async def close(self) -> None:
        """Commit what waits, then end."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._disconnect()

    async def append(self, events: Sequence[NewEvent], condition: AppendCondition | None) -> list[StoredEvent]:
        """Join the next group commit and wait for its outcome."""
        if not events:
            raise ValueError("an append has at least one event")
        for event in events:
            check(event.document, event.tags)
        if self._closing:
            raise LogUnavailable("the log is closing")
        if len(self._queue) >= self._queue_max:
            metrics.SATURATED.inc()
            raise LogSaturated
        fate: asyncio.Future[list[StoredEvent]] = asyncio.get_running_loop().create_future()
        self._queue.append(WaitingAppend(events, condition, fate))
        self._wake.set()
        return await fate

    async def _run(self) -> None:
        while self._queue or not self._closing:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            metrics.QUEUED.set(len(self._queue))
            batch = self._take()
            if batch:
                await self._commit(batch)

    def _take(self) -> list[WaitingAppend]:
        """The next batch; whose caller went away before it began is dropped."""
        batch: list[WaitingAppend] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].events) <= BATCH_EVENTS_MAX):
            append = self._queue.popleft()
            if not append.fate.done():
                batch.append(append)
                size += len(append.events)
        return batch

    async def _commit(self, batch: list[WaitingAppend]) -> None:
        """Bring a batch to its end: every append of it gets its fate."""
        started = perf_counter()
        deadline = monotonic() + UNAVAILABLE_AFTER_S
        pause_s = RECONNECT_S[0]
        in_doubt: Decided | None = None
        while True:
            try:
                connection = self._connection or await self._reconnect()
                if in_doubt is not None and await self._is_stored(connection, in_doubt):
                    break
                in_doubt = None
                decided = await self._begin(connection, batch)
                if decided.accepted:
                    in_doubt = decided
                    await self._store(connection, decided.events)
                else:
                    await connection.execute("ROLLBACK")
                in_doubt = decided
                break
            except (psycopg.Error, OSError) as error:
                if await self._refused_by_server(error):
                    await self._fail_or_split(batch, error)
                    return
                await self._disconnect()
                metrics.RECONNECTS.inc()
                # What may have been committed is never given up: its fate is looked up, however long that takes.
                if in_doubt is None and (monotonic() > deadline or self._closing):
                    self._fail([*batch, *self._drain()], LogUnavailable("the database cannot be reached"))
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RECONNECT_S[1])
        metrics.COMMIT_SECONDS.observe(perf_counter() - started)
        self._tell(in_doubt)

    async def _begin(self, connection: LogConnection, batch: Sequence[WaitingAppend]) -> Decided:
        """First round trip: the lock, the conditions, the head and the time."""
        questions = orjson.dumps(conditions_of(batch)).decode()
        async with connection.pipeline():
            await connection.execute("BEGIN")
            await connection.execute(TAKE_LOCK)
            answers = await connection.execute(READ_HEAD_AND_CONDITIONS, [questions], prepare=True)
            row = await answers.fetchone()
        if row is None:
            raise psycopg.InterfaceError("the head of the log was not answered")
        head, last_recorded_at, database_now, conflicting = row
        now: datetime = self._clock() if self._clock else database_now
        recorded_at = max(now, last_recorded_at) if last_recorded_at else now
        return decide(batch, set(conflicting), head, recorded_at)

    async def _store(self, connection: LogConnection, events: Sequence[StoredEvent]) -> None:
        """Second round trip: rows, tags, the notification and the commit."""
        tags = [(tag, event.position) for event in events for tag in event.tags]
        async with connection.pipeline():
            await connection.execute(
                INSERT_EVENTS,
                [
                    TAG_SEPARATOR,
                    events[0].recorded_at,
                    [event.position for event in events],
                    [event.type for event in events],
                    [TAG_SEPARATOR.join(event.tags) for event in events],
                    [event.record for event in events],
                    [event.leaf_hash for event in events],
                ],
                prepare=True,
            )
            if tags:
                await connection.execute(
                    INSERT_TAGS, [[tag for tag, _ in tags], [position for _, position in tags]], prepare=True
                )
            await connection.execute(f"NOTIFY {CHANNEL}")
            await connection.execute("COMMIT")

    async def _is_stored(self, connection: LogConnection, in_doubt: Decided) -> bool:
        """Whether a commit that was not acknowledged took place.

        The lock is free only when the lost transaction has ended; every record bears an id of its own, so an equal
        leaf hash at the position means ours.
        """
        last = in_doubt.events[-1]
        async with connection.pipeline():
            await connection.execute("BEGIN")
            await connection.execute(TAKE_LOCK)
            answer = await connection.execute(READ_LEAF_HASH, [last.position], prepare=True)
            row = await answer.fetchone()
            await connection.execute("ROLLBACK")
        stored = row is not None and row[0] == last.leaf_hash
        _log.warning("a commit in doubt was looked up", position=last.position, stored=stored)
        return stored

    async def _refused_by_server(self, error: Exception) -> bool:
        """Whether the server said no over a living connection: then certainly nothing was committed."""
        connection = self._connection
        if not isinstance(error, psycopg.DatabaseError) or connection is None or connection.closed:
            return False
        try:
            await connection.execute("ROLLBACK")
        except psycopg.Error:
            return False
        return True

    async def _fail_or_split(self, batch: list[WaitingAppend], error: Exception) -> None:
        """An append that the server refuses must not take its batch along."""
        if len(batch) > 1:
            for append in batch:
                await self._commit([append])
            return
        _log.error("an append was refused by the database", exc_info=error)
        unavailable = LogUnavailable("the database refused the append")
        unavailable.__cause__ = error
        self._fail(batch, unavailable)

    def _tell(self, decided: Decided) -> None:
        metrics.observe_commit(len(decided.accepted), len(decided.events), len(decided.conflicting))
        for append, events in decided.accepted:
            if not append.fate.done():
                append.fate.set_result(events)
        for append in decided.conflicting:
            self._fail([append], AppendConflict())

    def _fail(self, appends: Sequence[WaitingAppend], error: Exception) -> None:
        for append in appends:
            if not append.fate.done():
                append.fate.set_exception(error)

    def _drain(self) -> list[WaitingAppend]:
        waiting = list(self._queue)
        self._queue.clear()
        return waiting

    async def _reconnect(self) -> LogConnection:
        self._connection = await connect(self._url, PLANNING | IDLE_LIMIT)
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()
