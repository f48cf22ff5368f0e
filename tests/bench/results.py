"""POST /labs/results: a report of one result, 32 connections, in requests a second, one uvicorn worker each.

Compared are the laboratory service as it is run (token checked, decided, durable when answered, its projection
following in the same process), the same service with a log that stores nothing (`storeless`: the ceiling), and what one
would write instead (`peer`: FastAPI and SQLModel, a synchronous session, a row and an audit row, commit). All read the
same body. The services log each request, as they do by default; the peer has no access log.

Under the same load a sampler posts a report of its own now and then, and asks for its subject's results with the
`Log-Position` of the answer: that is answered once the read model is as new. The service's own histogram tells how
long after its recording each event was queryable.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from statistics import median

from services.labs.api import SERVICE
from services.labs.events import LabReportRecorded
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import Query, QueryItem
from shared.identity import Role
from shared.settings import Settings
from tests.bench.ground import Ground, serving, token
from tests.bench.history import fill
from tests.bench.http_load import REPORTS, WRK, Answers, post, reports
from tests.bench.lag import Percentiles, counted_lags, percentiles, percentiles_between, sampled
from tests.bench.report import Table, number, runs, versus
from tests.bench.rounds import Contestant, Scale, alternate

SECONDS = {Scale.FULL: 6.0, Scale.QUICK: 3.0, Scale.TINY: 1.0}
LAG_SECONDS = {Scale.FULL: 12.0, Scale.QUICK: 4.0, Scale.TINY: 1.0}
REPETITIONS = {Scale.FULL: 5, Scale.QUICK: 3, Scale.TINY: 1}

TIMES_CEILING = 0.5
TIMES_PEER = 5.0

CONNECTIONS = 32
_runs = count(1)


def run(ground: Ground, scale: Scale) -> list[Table]:
    settings = Settings(home=ground.folder / "home", database_url=ground.database(SERVICE.component))
    asyncio.run(_screen_subjects(settings))
    lab = token(settings, Role.LAB)
    with ExitStack() as stack:

        def served(application: str, ready: str, database_url: str | None) -> str:
            environment = {"MARROW_HOME": str(settings.home), "MARROW_DATABASE_URL": database_url or ""}
            log = ground.folder / "services.log"
            return stack.enter_context(serving(application, ready, environment, log))

        service = served("services.labs.api:app", "/labs/health/ready", settings.database_url)
        storeless = served("tests.bench.storeless:app", "/labs/health/ready", ground.database(SERVICE.component))
        peer = served("tests.bench.peer:app", "/health", ground.database())
        contestants = {"Marrow labs": service, "the same, storing nothing": storeless, "FastAPI + SQLModel": peer}
        answers = alternate(
            {name: _contestant(url, lab) for name, url in contestants.items()},
            repetitions=REPETITIONS[scale],
            seconds=SECONDS[scale],
            warm_up=SECONDS[scale] / 2,
        )
        lags = _measure_lags(service, lab, token(settings, Role.COORDINATOR), LAG_SECONDS[scale])
    acknowledged = sum(each.answered for each in answers["Marrow labs"])
    asyncio.run(_require_recorded(settings, acknowledged))
    return [_throughput(answers, acknowledged), _lag_table(lags)]


def _contestant(url: str, lab: str) -> Contestant[Answers]:
    return lambda seconds: post(url, lab, reports(f"r{next(_runs)}-"), connections=CONNECTIONS, seconds=seconds)


async def _screen_subjects(settings: Settings) -> None:
    async with PostgresLog(settings.database_url or "") as log:
        await fill(log, reports=0)


async def _require_recorded(settings: Settings, acknowledged: int) -> None:
    """Raises RuntimeError where a report that was answered 201 is not in the log."""
    reports = Query((QueryItem((LabReportRecorded.name,)),))
    async with PostgresLog(settings.database_url or "") as log:
        recorded = sum([1 async for _ in log.stream(reports)])
    if recorded < acknowledged:
        raise RuntimeError(f"{acknowledged} reports were acknowledged and {recorded} are in the log")


def _throughput(answers: dict[str, list[Answers]], acknowledged: int) -> Table:
    rates = {name: median(each.per_second for each in own) for name, own in answers.items()}
    ours, *others = rates.values()
    ratios = [("", "")]
    ratios += [versus(ours, theirs, target) for theirs, target in zip(others, (TIMES_CEILING, TIMES_PEER), strict=True)]
    rows = [
        (
            name,
            number(rates[name]),
            runs([each.per_second for each in own]),
            number(median(each.p50_ms for each in own)),
            number(median(each.p99_ms for each in own)),
            *ratio,
        )
        for (name, own), ratio in zip(answers.items(), ratios, strict=True)
    ]
    return Table(
        f"results: POST {REPORTS} with one result, {CONNECTIONS} connections",
        ("service", "requests/s, median", "runs", "p50 ms", "p99 ms", "Marrow is", "target"),
        rows,
        (f"load by {WRK or 'a client in Python'}; {acknowledged} reports acknowledged, and found in the log",),
    )


@dataclass(frozen=True)
class Lags:
    """What was measured under one load."""

    requests_per_second: float
    samples: int
    own_write: Percentiles
    nothing: Percentiles
    counted: Percentiles


def _measure_lags(service: str, lab: str, coordinator: str, seconds: float) -> Lags:
    before = counted_lags(service, SERVICE.name)
    with sampled(service, coordinator, f"s{next(_runs)}-") as waits:
        answers = _contestant(service, lab)(seconds)
    return Lags(
        requests_per_second=answers.per_second,
        samples=len(waits.for_own_write_ms),
        own_write=percentiles(waits.for_own_write_ms),
        nothing=percentiles(waits.for_nothing_ms),
        counted=percentiles_between(before, counted_lags(service, SERVICE.name)),
    )


def _lag_table(lags: Lags) -> Table:
    rows = [
        ("recorded → queryable (the service's histogram)", *map(number, lags.counted)),
        ("write answered → read with its Log-Position answered", *map(number, lags.own_write)),
        ("a read that waits for nothing", *map(number, lags.nothing)),
    ]
    return Table(
        f"results: lag of the projection under that load, {number(lags.requests_per_second)} requests/s",
        ("from → to", "p50 ms", "p99 ms"),
        rows,
        (f"{lags.samples} samples by a caller; the histogram is interpolated within its buckets",),
    )
