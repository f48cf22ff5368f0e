"""Read models: tables that an event log fills, in batches, and that can be thrown away and filled again.

A service declares a `Projection`: its tables, the events it reads and a pure `apply(rows, recorded)` that says which
rows an event changes. The `Projector` follows the log and writes each batch together with the position that it
reflects, in one transaction. Any number of processes may run one; the row of the position is their lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, partial
from time import perf_counter
from typing import Any, Protocol

import orjson
import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, TextClause, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import SQLModel

from shared.clock import Clock
from shared.events import Event, Recorded, decode
from shared.eventstore.model import EVERYTHING, EventLog, Query, QueryItem, ReadResult, StoredEvent

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


class Rows:
    """The row changes of one batch, folded in memory so that each row is written once."""

    def __init__(self) -> None:
        self._whole: Changes = {}
        self._partial: Changes = {}
        self._first: Changes = {}

    def put(self, model: type[SQLModel], **values: object) -> None:
        """Insert a row, or replace the one with the same primary key; columns not given have the model's defaults.

        Values, not an object of the model: to make one would take most of the time of a rebuild.
        """
        table, key_names, defaults = _shape(model)
        values = {**defaults, **values}
        key = (table, tuple([values[name] for name in key_names]))
        self._partial.pop(key, None)
        self._first.pop(key, None)
        self._whole[key] = values

    def change(self, model: type[SQLModel], *key: object, **values: object) -> None:
        """Set some columns of the row with that primary key; nothing happens when there is none."""
        table = _table(model)
        whole = self._whole.get((table, key))
        if whole is not None:
            whole.update(values)
        else:
            self._partial.setdefault((table, key), {}).update(values)

    def first(self, model: type[SQLModel], *key: object, **values: object) -> None:
        """Set those of the columns that are still empty: the first event counts, later ones do not."""
        table = _table(model)
        whole = self._whole.get((table, key))
        if whole is not None:
            whole.update({name: value for name, value in values.items() if whole.get(name) is None})
        else:
            self._first[table, key] = values | self._first.get((table, key), {})

    async def write(self, connection: AsyncConnection) -> None:
        """Write all changes: one statement a table and set of columns, whatever the number of rows."""
        for table, rows in _by_table(self._whole).items():
            await _execute(connection, _upsert(table), [values for _, values in rows])
        for changes, only_empty in ((self._partial, False), (self._first, True)):
            for table, rows in _by_table(changes).items():
                by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
                for key, values in rows:
                    named_key = {c.name: part for c, part in zip(table.primary_key, key, strict=True)}
                    by_columns.setdefault(tuple(sorted(values)), []).append(values | named_key)
                for columns, same in by_columns.items():
                    await _execute(connection, _update(table, columns, only_empty=only_empty), same)


Changes = dict[tuple[Table, tuple[Any, ...]], dict[str, Any]]
"""Column values by table and primary key."""


def _by_table(changes: Changes) -> dict[Table, list[tuple[tuple[Any, ...], dict[str, Any]]]]:
    tables: dict[Table, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {}
    for (table, key), values in changes.items():
        tables.setdefault(table, []).append((key, values))
    return tables


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


@cache
def _shape(model: type[SQLModel]) -> tuple[Table, tuple[str, ...], dict[str, object]]:
    """A model's table, the columns of its primary key, and what stands in columns that nothing is said of."""
    table = _table(model)
    computed = {column.name for column in table.columns if column.computed is not None}
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if name not in computed and not field.is_required()
    }
    return table, tuple(column.name for column in table.primary_key), defaults


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]  # set by SQLModel on every table class
    return table


# Rows travel as one JSON text, which PostgreSQL reads by the columns' own types: a statement a batch, not a row.
async def _execute(connection: AsyncConnection, statement: TextClause, rows: list[dict[str, Any]]) -> None:
    await connection.execute(statement, {"rows": orjson.dumps(rows, default=_written).decode()})


def _written(value: object) -> str:
    """A value that JSON has no form for, as PostgreSQL reads it from text."""
    match value:
        case bytes():
            return f"\\x{value.hex()}"
        case Decimal():
            return str(value)
        case _:
            raise TypeError(f"no column holds a {type(value).__name__}")


@cache
def _upsert(table: Table) -> TextClause:
    names = [column.name for column in table.columns if column.computed is None]
    key = ", ".join(column.name for column in table.primary_key)
    others = ", ".join(f"{name} = excluded.{name}" for name in names if name not in table.primary_key)
    return text(
        f"INSERT INTO {table.fullname} ({', '.join(names)}) SELECT {', '.join(names)} FROM {_given(table)} AS new "  # noqa: S608 (names of our own tables)
        f"ON CONFLICT ({key}) DO {f'UPDATE SET {others}' if others else 'NOTHING'}"
    )


@cache
def _update(table: Table, columns: tuple[str, ...], *, only_empty: bool) -> TextClause:
    new = {name: f"coalesce(old.{name}, new.{name})" if only_empty else f"new.{name}" for name in columns}
    key = " AND ".join(f"old.{column.name} = new.{column.name}" for column in table.primary_key)
    changes = ", ".join(f"{name} = {value}" for name, value in new.items())
    return text(f"UPDATE {table.fullname} AS old SET {changes} FROM {_given(table)} AS new WHERE {key}")  # noqa: S608


def _given(table: Table) -> str:
    return f"jsonb_populate_recordset(NULL::{table.fullname}, CAST(:rows AS jsonb))"
