"""Clock jobs: what follows from the passing of time alone, looked for at intervals and recorded once.

A policy answers to an event; a clock job to there having been none. Any number of processes may run one: what it
records is decided on what the log holds, so that the second to come finds nothing to record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from shared.runtime import Runtime

_log = structlog.get_logger("marrow.clock")


@dataclass(frozen=True)
class ClockJob:
    """A named job. It is given when it last ran whole, None for never, and returns how many events it recorded."""

    name: str
    run: Callable[[Runtime, datetime | None], Awaitable[int]]


async def run_clock_job(job: ClockJob, runtime: Runtime) -> None:
    """Run a job until cancelled, each time after `clock_interval_s`; a failure is logged and the whole tried again."""
    last_run_at: datetime | None = None
    while True:
        began_at = runtime.clock()
        try:
            recorded = await job.run(runtime, last_run_at)
        except Exception as error:
            _log.error("clock job failed", job=job.name, exc_info=error)
        else:
            last_run_at = began_at
            if recorded:
                _log.info("clock job recorded", job=job.name, events=recorded)
        await asyncio.sleep(runtime.settings.clock_interval_s)
