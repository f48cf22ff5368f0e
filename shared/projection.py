"""Read models: tables that an event log fills, in batches, and that can be thrown away and filled again.

A service declares a `Projection`: its tables, the events it reads and a pure `apply(rows, recorded)` that says which
rows an event changes. The `Projector` follows the log and writes each batch together with the position that it
reflects, in one transaction. Any number of processes may run one; the row of the position is their lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, Protocol

import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.clock import Clock
from shared.events import Event, Recorded, decode
from shared.eventstore.model import EVERYTHING, EventLog, Query, QueryItem, ReadResult, StoredEvent
from shared.rows import Rows

REBUILD_BATCH = 500
RETRY_AFTER_S = 0.5

POSITION = Gauge("marrow_projection_position", "Log position that a read model reflects.", ["projection"])
LAG = Histogram(
    "marrow_projection_lag_seconds",
    "Time from an event's recording to its being queryable.",
    ["projection"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
FAILURES = Counter("marrow_projection_failures_total", "Batches that failed and were tried again.", ["projection"])

_log = structlog.get_logger("marrow.projection")


def position_table(metadata: MetaData) -> Table:
    """The table in which a service keeps the log positions that its read model and its policies have reached."""
    return Table("progress", metadata, Column("name", Text, primary_key=True), Column("position", BigInteger))


Apply = Callable[[Rows, Recorded], None]
Write = Callable[[AsyncConnection], Coroutine[Any, Any, None]]


class WriteStored(Protocol):
    """Writes what events change, inside the transaction of the connection."""

    async def __call__(self, connection: AsyncConnection, events: Sequence[StoredEvent]) -> None: ...


@dataclass(frozen=True)
class Projection:
    """A service's read model: its name (also its PostgreSQL schema), tables, events, and what an event changes.

    A read model of the log as such has `write_stored` instead of `events` and `apply`. It gets every event as it is
    stored, also of types that no class is known for, in batches without a gap, inside the batch's transaction.
    """

    name: str
    metadata: MetaData
    events: tuple[type[Event], ...] = ()
    apply: Apply | None = None
    write_stored: WriteStored | None = None
    progress: Table = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "progress", position_table(self.metadata))

    @property
    def query(self) -> Query:
        if self.write_stored is not None:
            return EVERYTHING
        return Query((QueryItem(types=tuple(event.name for event in self.events)),))

    def changes(self, events: Sequence[StoredEvent]) -> Write:
        """What a batch of events changes, ready to be written inside a transaction."""
        if self.write_stored is not None:
            return partial(self.write_stored, events=events)
        rows = Rows()
        if self.apply is not None:
            for stored in events:
                self.apply(rows, decode(stored))
        return rows.write


class Projector:
    """Keeps one projection up with the log until it is cancelled; a failure is logged and tried again."""

    def __init__(self, projection: Projection, log: EventLog, engine: AsyncEngine, clock: Clock) -> None:
        self._projection = projection
        self._log = log
        self._engine = engine
        self._clock = clock
        self.failing = False

    async def run(self) -> None:
        while True:
            try:
                await self._follow()
            except Exception as error:
                # Also a defect, such as an event that does not decode, must be seen and must not end the projector.
                self.failing = True
                FAILURES.labels(self._projection.name).inc()
                _log.error("projection retries", projection=self._projection.name, exc_info=error)
                await asyncio.sleep(RETRY_AFTER_S)

    async def _follow(self) -> None:
        async with self._engine.begin() as connection:
            after = await read_progress(connection, self._projection.progress, self._projection.name)
        async for result in self._log.follow(self._projection.query, after=after):
            if not result.events and await self._move_on(after, result.head):
                after = result.head
                self._observe((), after)
                continue
            async with self._engine.begin() as connection:
                reached = await read_progress(
                    connection, self._projection.progress, self._projection.name, for_update=True
                )
                if reached < after:
                    return  # a rebuild has set it back: follow anew from there
                # Another process may have applied some of these meanwhile.
                events = [stored for stored in result.events if stored.position > reached]
                after = max(result.head, reached)
                if after > reached:
                    await self._projection.changes(events)(connection)
                    await write_progress(connection, self._projection.progress, self._projection.name, after)
            self._observe(events, after)

    async def _move_on(self, after: int, head: int) -> bool:
        """Past events that the projection does not read: one statement, if nobody else has moved the position."""
        progress = self._projection.progress
        ours = (progress.c.name == self._projection.name) & (progress.c.position == after)
        async with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            moved = await connection.execute(update(progress).where(ours).values(position=head))
        return bool(moved.rowcount)

    def _observe(self, events: Sequence[StoredEvent], position: int) -> None:
        self.failing = False
        POSITION.labels(self._projection.name).set(position)
        now = self._clock()
        for stored in events:
            LAG.labels(self._projection.name).observe(max(0.0, (now - stored.recorded_at).total_seconds()))


async def rebuild(projection: Projection, log: EventLog, engine: AsyncEngine) -> tuple[int, float]:
    """Fill the read model from zero, in one transaction: readers see the old rows until the new ones are whole.

    Returns the number of events of the log that were gone through, and the seconds it took.
    """
    started = perf_counter()
    async with engine.begin() as connection:
        await read_progress(connection, projection.progress, projection.name, for_update=True)
        for table in reversed(projection.metadata.sorted_tables):
            if table is not projection.progress:
                await connection.execute(delete(table))
        position = await _fill(connection, projection, log)
        await write_progress(connection, projection.progress, projection.name, position)
    return position, perf_counter() - started


async def _fill(connection: AsyncConnection, projection: Projection, log: EventLog) -> int:
    """Write what all events change, page by page; the position that is reached then.

    While the rows of a page are made here, the database writes those of the page before and reads the page after.
    """

    def read(after: int) -> asyncio.Task[ReadResult]:
        return asyncio.create_task(log.read(projection.query, after=after, limit=REBUILD_BATCH))

    reading = read(0)
    writing = asyncio.create_task(asyncio.sleep(0))
    try:
        while True:
            page = await reading
            is_last = len(page.events) < REBUILD_BATCH
            if not is_last:
                reading = read(page.events[-1].position)
                await asyncio.sleep(0)  # it goes out now
            changes = projection.changes(page.events)
            await writing
            writing = asyncio.create_task(changes(connection))
            if is_last:
                await writing
                return page.head
    finally:
        for task in (reading, writing):
            task.cancel()
        await asyncio.wait((reading, writing))


async def read_progress(connection: AsyncConnection, progress: Table, name: str, *, for_update: bool = False) -> int:
    """The position reached under a name, 0 at first. With `for_update` its row is there, and locked until the commit.

    Only with it is anything written: of two readers who found no row, the snapshot of one would forbid it.
    """
    question = select(progress.c.position).where(progress.c.name == name)
    position = (await connection.execute(question.with_for_update() if for_update else question)).scalar()
    if position is not None or not for_update:
        return int(position or 0)
    await connection.execute(insert(progress).values(name=name, position=0).on_conflict_do_nothing())
    return await read_progress(connection, progress, name, for_update=True)


async def write_progress(connection: AsyncConnection, progress: Table, name: str, position: int) -> None:
    """Set the position reached under a name."""
    await connection.execute(update(progress).where(progress.c.name == name).values(position=position))
