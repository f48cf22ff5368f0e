"""Filling a read model from zero: in batches, as `marrow rebuild` does, against one transaction an event.

One transaction an event is how the eventsourcing library's ProjectionRunner keeps a view (the view's change and the
tracked position commit together, event by event). It is run here on the same log, tables and code, so that only the
batching differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from statistics import median
from time import perf_counter

from sqlalchemy import delete
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.labs.api import SERVICE
from shared.eventstore.log import PostgresLog
from shared.migrations import APPLICATION_ROLE
from shared.projection import read_progress, rebuild, write_progress
from tests.bench.ground import Ground
from tests.bench.history import fill
from tests.bench.report import Table, number, runs
from tests.bench.rounds import Scale

REPORTS = {Scale.FULL: 50_000, Scale.QUICK: 10_000, Scale.TINY: 200}
ONE_BY_ONE = {Scale.FULL: 3_000, Scale.QUICK: 1_000, Scale.TINY: 50}
REPETITIONS = {Scale.FULL: 3, Scale.QUICK: 3, Scale.TINY: 1}
TARGET = 20


def run(ground: Ground, scale: Scale) -> Iterator[Table]:
    """One table: events per second of both ways, in turn."""
    batched, single = asyncio.run(_measure(ground.database(SERVICE.component), scale))
    ratio = median(batched) / median(single)
    rows = [
        ["batches in one transaction", number(median(batched)), runs(batched), "", ""],
        [
            "one transaction an event",
            number(median(single)),
            runs(single),
            f"{ratio:.1f} ×",
            f"≥ {TARGET} × {'met' if ratio >= TARGET else 'MISSED'}",
        ],
    ]
    yield Table(
        f"rebuild: the read model of labs from {REPORTS[scale]:,} reports".replace(",", " "),
        ["way", "events/s, median", "runs", "batches are", "target"],
        rows,
        [f"one by one was run over {ONE_BY_ONE[scale]} events of the same log; every transaction durable"],
    )


async def _measure(url: str, scale: Scale) -> tuple[list[float], list[float]]:
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"), connect_args={"options": f"-c role={APPLICATION_ROLE}"}
    )
    batched: list[float] = []
    single: list[float] = []
    async with PostgresLog(url) as log:
        await fill(log, REPORTS[scale])
        for _ in range(REPETITIONS[scale]):
            events, seconds = await rebuild(SERVICE.projection, log, engine)
            batched.append(events / seconds)
            single.append(await _one_by_one(log, engine, ONE_BY_ONE[scale]))
    await engine.dispose()
    return batched, single


async def _one_by_one(log: PostgresLog, engine: AsyncEngine, events: int) -> float:
    """Events per second when each is applied and committed with its position before the next."""
    projection = SERVICE.projection
    async with engine.begin() as connection:
        for table in reversed(projection.metadata.sorted_tables):
            if table is not projection.progress:
                await connection.execute(delete(table))
        await write_progress(connection, projection.progress, projection.name, 0)
    page = await log.read(projection.query, limit=events)
    started = perf_counter()
    for stored in page.events:
        async with engine.begin() as connection:
            await read_progress(connection, projection.progress, projection.name, for_update=True)
            await projection.write(connection, [stored])
            await write_progress(connection, projection.progress, projection.name, stored.position)
    return len(page.events) / (perf_counter() - started)
