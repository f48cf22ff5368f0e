"""Clock jobs run at intervals, know when they last ran whole, and outlive a failure."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from shared.clock_job import ClockJob, run_clock_job
from shared.runtime import Runtime, open_runtime
from shared.settings import Settings

MIDNIGHT = datetime(2026, 5, 3, 16, 0, tzinfo=UTC)


async def test_a_job_is_told_when_it_last_ran_whole(database_url: str, tmp_path: Path) -> None:
    ticks = count()
    told: list[datetime | None] = []
    enough = asyncio.Event()

    async def run(_: Runtime, last_run_at: datetime | None) -> int:
        told.append(last_run_at)
        if len(told) == 2:
            raise RuntimeError("the database is away")
        if len(told) == 4:
            enough.set()
        return 0

    settings = Settings(home=tmp_path, database_url=database_url, clock_interval_s=0.01)
    async with open_runtime(settings, clock=lambda: MIDNIGHT + timedelta(hours=next(ticks))) as runtime:
        task = asyncio.create_task(run_clock_job(ClockJob("test", run), runtime))
        await asyncio.wait_for(enough.wait(), 20)
        task.cancel()
    assert told == [None, MIDNIGHT, MIDNIGHT, MIDNIGHT + timedelta(hours=2)]
