"""A projection from zero: the results of the laboratory service, one row an event, in events a second.

Compared are `shared.projection.rebuild`, which reads the log in pages and writes each page by few statements, all in
one transaction, and what the `eventsourcing` library does: its `ProjectionRunner` over its PostgreSQL DCB recorder, a
transaction an event with a `PostgresTrackingRecorder`. Both read the same records into the same events and fill a table
of the same shape; the library's view writes plain SQL, and may go on where it was stopped instead of from zero.
"""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import version
from statistics import median

from sqlalchemy import func, select

from services.labs.api import SERVICE
from services.labs.projections import PROJECTION, Result
from shared.eventstore.log import PostgresLog
from shared.projection import rebuild
from shared.runtime import open_runtime
from shared.settings import Settings
from tests.bench import library
from tests.bench.ground import Ground
from tests.bench.history import APPEND_EVENTS, fill, report
from tests.bench.report import Table, number, runs, versus
from tests.bench.rounds import Contestant, Scale, alternate

EVENTS = {Scale.FULL: 50_000, Scale.QUICK: 20_000, Scale.TINY: 500}
LIBRARY_SECONDS = {Scale.FULL: 4.0, Scale.QUICK: 2.0, Scale.TINY: 0.3}
REPETITIONS = {Scale.FULL: 3, Scale.QUICK: 3, Scale.TINY: 1}

TIMES_LIBRARY = 20.0


def run(ground: Ground, scale: Scale) -> list[Table]:
    events = EVENTS[scale]
    settings = Settings(home=ground.folder / "home", database_url=ground.database(SERVICE.component))
    theirs = ground.database(SERVICE.component)
    asyncio.run(_fill(settings.database_url or "", events))
    for first in range(0, events, APPEND_EVENTS):
        library.fill(theirs, [report(each) for each in range(first, first + APPEND_EVENTS)])
    names = ("Marrow, rebuild", f"eventsourcing {version('eventsourcing')}, a transaction an event")
    figures = alternate(
        {names[0]: _rebuild(settings, events), names[1]: _library(theirs)},
        repetitions=REPETITIONS[scale],
        seconds=LIBRARY_SECONDS[scale],
        warm_up=LIBRARY_SECONDS[scale] / 2,
    )
    ours, peer = (median(figures[name]) for name in names)
    rows = [
        (names[0], number(ours), runs(figures[names[0]]), "", ""),
        (names[1], number(peer), runs(figures[names[1]]), *versus(ours, peer, TIMES_LIBRARY)),
    ]
    return [
        Table(
            f"rebuild: a projection of {number(events)} events from zero",
            ("projection", "events/s, median", "runs", "Marrow is", "target"),
            rows,
        )
    ]


async def _fill(database_url: str, events: int) -> None:
    async with PostgresLog(database_url) as log:
        await fill(log, reports=events)


def _rebuild(settings: Settings, events: int) -> Contestant[float]:
    async def whole() -> float:
        async with open_runtime(settings, [SERVICE.component]) as runtime:
            gone_through, seconds = await rebuild(PROJECTION, runtime.log, runtime.engine)
            async with runtime.engine.connect() as connection:
                rows = (await connection.execute(select(func.count()).select_from(Result))).scalar_one()
        if rows != events:
            raise RuntimeError(f"{rows} rows of {events} reports")
        return gone_through / seconds

    return lambda _: asyncio.run(whole())


def _library(database_url: str) -> Contestant[float]:
    def run_for(seconds: float) -> float:
        with library.projecting(database_url) as view:
            before, started = view.max_tracking_id(library.Reports.name) or 0, time.perf_counter()
            time.sleep(seconds)
            after = view.max_tracking_id(library.Reports.name) or 0
            return (after - before) / (time.perf_counter() - started)

    return run_for
