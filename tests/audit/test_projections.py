"""The index and the tree follow the log, whatever it holds, and are the same however they came to be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Table, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.audit import merkle, tiles
from services.audit.api import SERVICE
from services.audit.projections import PROJECTION, Tile, TrailEntry, write_stored
from services.audit.tiles import TileId
from shared.clock import system_clock
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import NewEvent
from shared.migrations import upgrade
from shared.projection import Projector, read_progress, rebuild


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """A database with the tables of this service."""
    upgrade(database_url, SERVICE.component)
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    yield engine
    await engine.dispose()


def event(number: int) -> NewEvent:
    """An event of a type that no class is known for."""
    tags = (f"subject:01-{number:03d}", "site:01", f"key:{number}")
    document: dict[str, Any] = {
        "by": {"id": f"u-{number % 3}", "name": "", "role": "lab", "org": ""},
        "cause": None,
        "data": {"number": number},
        "id": f"{number:032x}",
        "key": None,
        "occurred_at": "2026-03-02T07:30:00.000000Z",
        "protocol": "1.0",
        "reason": None,
        "tags": tags,
        "trace": "",
        "type": "of-another-year",
        "version": 3,
    }
    return NewEvent("of-another-year", tags, document)


async def rows_of(engine: AsyncEngine) -> dict[str, list[tuple[Any, ...]]]:
    async def rows(table: Table) -> list[tuple[Any, ...]]:
        async with engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(select(table).order_by(*table.primary_key))]

    return {table.name: await rows(table) for table in PROJECTION.metadata.sorted_tables}


async def followed(engine: AsyncEngine, head: int) -> None:
    while True:
        async with engine.begin() as connection:
            if await read_progress(connection, PROJECTION.progress, PROJECTION.name) >= head:
                return
        await asyncio.sleep(0.01)


async def test_a_reader_of_a_new_store_is_answered_while_the_projection_begins(engine: AsyncEngine) -> None:
    async with engine.execution_options(isolation_level="REPEATABLE READ").connect() as reader:
        # Given a reader whose snapshot is older than the projection's first row
        await reader.execute(select(1))
        async with engine.begin() as projector:
            await read_progress(projector, PROJECTION.progress, PROJECTION.name, for_update=True)

        assert await read_progress(reader, PROJECTION.progress, PROJECTION.name) == 0


async def test_processes_that_follow_at_once_come_to_what_a_rebuild_comes_to(
    log: PostgresLog, engine: AsyncEngine
) -> None:
    projectors = [asyncio.create_task(Projector(PROJECTION, log, engine, system_clock).run()) for _ in range(3)]
    number = 0
    for count in (1, 2, 250, 3, 1, 64, 300):
        await log.append([event(number := number + 1) for _ in range(count)])
        await asyncio.sleep(0.01)
    await asyncio.wait_for(followed(engine, number), timeout=20)
    for projector in projectors:
        projector.cancel()
    live = await rows_of(engine)
    assert len(live["trail_entry"]) == number
    gone_through, _ = await rebuild(PROJECTION, log, engine)
    assert gone_through == number
    assert await rows_of(engine) == live


async def test_the_stored_tree_is_the_one_of_the_logs_records(log: PostgresLog, engine: AsyncEngine) -> None:
    size = 600
    stored = await log.append([event(number) for number in range(1, size + 1)])
    await rebuild(PROJECTION, log, engine)
    whole = merkle.CompactRange()
    for each in stored:
        whole.append(merkle.leaf_hash(each.record))
    kept = {TileId(level, index): hashes for level, index, hashes in (await rows_of(engine))["tile"]}
    assert merkle.root(size, tiles.node_source(kept.__getitem__)) == whole.root()


async def test_an_event_is_indexed_by_who_and_what_but_not_by_its_request(
    log: PostgresLog, engine: AsyncEngine
) -> None:
    await log.append([event(1)])
    await rebuild(PROJECTION, log, engine)
    columns = [column.name for column in PROJECTION.metadata.tables["audit.trail_entry"].columns]
    (row,) = (await rows_of(engine))["trail_entry"]
    entry = dict(zip(columns, row, strict=True))
    assert (entry["type"], entry["version"], entry["actor"], entry["role"]) == ("of-another-year", 3, "u-1", "lab")
    assert entry["tags"] == ["subject:01-001", "site:01"]


async def test_a_batch_with_a_gap_is_refused(log: PostgresLog, engine: AsyncEngine) -> None:
    stored = await log.append([event(number) for number in (1, 2, 3)])
    with pytest.raises(ValueError, match="gap between 1 and 3"):
        async with engine.begin() as connection:
            await write_stored(connection, [stored[0], stored[2]])
    assert not (await rows_of(engine))[TrailEntry.__tablename__]


async def test_a_batch_that_begins_beyond_the_tree_is_refused(log: PostgresLog, engine: AsyncEngine) -> None:
    stored = await log.append([event(number) for number in (1, 2, 3)])
    with pytest.raises(KeyError):
        async with engine.begin() as connection:
            await write_stored(connection, stored[1:])
    assert not (await rows_of(engine))[Tile.__tablename__]
