"""Read models are disposable: thrown away and filled again from the log, every row is as it was."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.app import SERVICES
from services.labs.metrics import QUARANTINE_AGE
from shared.eventstore.model import EventLog
from shared.projection import Projection, read_progress, rebuild
from shared.runtime import open_runtime
from tests.journeys.subjects import a_bit_of_everything
from tests.journeys.trial import As, Trial

CATCH_UP_S = 20
REST_S = 1.5
"""Longer than a policy that nothing wakes is late."""


async def rows_of(engine: AsyncEngine, projection: Projection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of a read model."""

    async def rows(table: Table) -> list[tuple[Any, ...]]:
        async with engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(select(table).order_by(*table.primary_key))]

    tables = [table for table in projection.metadata.sorted_tables if table is not projection.progress]
    return {table.name: await rows(table) for table in tables}


async def caught_up(engine: AsyncEngine, projection: Projection, head: int) -> None:
    """Wait until the read model reflects the log's head."""
    deadline = monotonic() + CATCH_UP_S
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        while (position := await read_progress(connection, projection.progress, projection.name)) < head:
            assert monotonic() < deadline, f"{projection.name} stands at {position} of {head} after {CATCH_UP_S} s"
            await asyncio.sleep(0.02)


ONLY_OBSERVE = (QUARANTINE_AGE,)
"""Clock jobs that set a metric and record nothing."""


async def settled(log: EventLog) -> int:
    """The head of the log, once the policies have recorded what follows from it."""
    before = -1
    while (head := await log.head()) != before:
        before = head
        await asyncio.sleep(REST_S)
    return head


@pytest.mark.parametrize("name", SERVICES)
async def test_a_rebuilt_read_model_equals_the_live_one(trial: Trial, speaking_as: As, site: str, name: str) -> None:
    await a_bit_of_everything(speaking_as, site)
    projection = SERVICES[name].projection
    async with open_runtime(trial.settings) as runtime:
        await caught_up(runtime.engine, projection, await runtime.log.head())
        for job in SERVICES[name].clock_jobs:
            assert await job.run(runtime, None) > 0 or job in ONLY_OBSERVE
        await caught_up(runtime.engine, projection, await settled(runtime.log))
        live = await rows_of(runtime.engine, projection)
        assert [table for table, rows in live.items() if not rows] == []
        recorded = {stored.type async for stored in runtime.log.stream()}
        assert {event.name for event in projection.events} - recorded == set()
        events, _ = await rebuild(projection, runtime.log, runtime.engine)
        assert events > 0
        assert await rows_of(runtime.engine, projection) == live
