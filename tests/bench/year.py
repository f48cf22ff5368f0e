"""The year of every subject: how long a thousand take to be read again, and whether ten thousand make an answer slower.

The read model is filled by `marrow rebuild visits`, a process of its own whose memory is taken at its highest. Then one
worker process serves, and one caller asks it about one subject after the other: the whole schedule, a page of what is
due, whether there is a second dose, and an evaluation of the year's end, which is judged again and recorded.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import httpx
import psycopg

from services.visits.api import SERVICE
from shared.eventstore.log import PostgresLog
from shared.identity import Role
from shared.service import create_service
from shared.settings import Settings
from tests.bench.ground import ROOT, Ground, serving, token
from tests.bench.history import APPEND_EVENTS
from tests.bench.lag import Percentiles, percentiles
from tests.bench.report import Table, number
from tests.bench.rounds import Scale
from tests.bench.subject_year import subjects, years

FEW = 30
MANY = {Scale.FULL: 10_000, Scale.QUICK: 2_000, Scale.TINY: 40}
REPLAYED = {Scale.FULL: 1_000, Scale.QUICK: 300, Scale.TINY: 10}
SAMPLES = {Scale.FULL: 300, Scale.QUICK: 100, Scale.TINY: 5}
TIMES_SLOWER_MAX = 2.0
SEED = 20100501
WARM_UP = 10

app = create_service(replace(SERVICE, policies=(), clock_jobs=()))
"""What serves: without what would go through the whole log beside the answers, once for each event and each day."""

QUESTIONS: Mapping[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "GET …/schedule": lambda client, subject: client.get(f"/visits/subjects/{subject}/schedule"),
    "GET /visits/due": lambda client, subject: client.get(
        "/visits/due", params={"site": subject[:2], "after": f"{subject}/2000-01-01/W1"}
    ),
    "GET …/second-dose": lambda client, subject: client.get(f"/visits/subjects/{subject}/second-dose"),
    "POST …/evaluations": lambda client, subject: client.post(
        f"/visits/subjects/{subject}/evaluations", json={"timepoint": "M12", "reason": "judged again"}
    ),
}


@dataclass(frozen=True)
class Trial:
    """A log of whole years, and how its read model was filled."""

    settings: Settings
    subjects: list[str]
    events: int
    seconds: float
    memory_mb: float


def run(ground: Ground, scale: Scale) -> list[Table]:
    replayed = _trial(ground, REPLAYED[scale])
    few, many = (_latencies(ground, _trial(ground, size), SAMPLES[scale]) for size in (FEW, MANY[scale]))
    rows = []
    for name in QUESTIONS:
        ratio = many[name][0] / few[name][0]
        verdict = f"≤ {TIMES_SLOWER_MAX:g} × {'met' if ratio <= TIMES_SLOWER_MAX else 'MISSED'}"
        rows.append((name, *map(number, (*few[name], *many[name])), f"{number(ratio)} ×", verdict))
    sizes = [f"{number(size) if size >= 100 else size} subjects" for size in (FEW, MANY[scale])]
    columns = ("one caller", *(f"{sizes[0]}: p50 ms", "p99 ms", f"{sizes[1]}: p50 ms", "p99 ms"), "ratio", "target")
    return [
        Table(
            "year: the visits service's read model from zero",
            ("subjects, a year each", "events", "seconds", "events/s", "memory at most, MB"),
            [
                (
                    number(len(replayed.subjects)),
                    number(replayed.events),
                    number(replayed.seconds),
                    number(replayed.events / replayed.seconds),
                    number(replayed.memory_mb),
                )
            ],
        ),
        Table("year: whether many subjects make an answer slower", columns, rows),
    ]


def _trial(ground: Ground, size: int) -> Trial:
    url, everybody = ground.database(SERVICE.component), subjects(size)
    settings = Settings(home=ground.folder / "home", database_url=url)
    events = asyncio.run(_fill(url, everybody))
    seconds, memory_mb = _rebuild(settings)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    return Trial(settings, everybody, events, seconds, memory_mb)


async def _fill(url: str, numbers: list[str]) -> int:
    async with PostgresLog(url) as log:
        batch, written = [], 0
        for event in years(numbers):
            batch.append(event)
            if len(batch) == APPEND_EVENTS:
                written += len(await log.append(batch))
                batch.clear()
        return written + (len(await log.append(batch)) if batch else 0)


def _rebuild(settings: Settings) -> tuple[float, float]:
    """The seconds that the rebuild says it took, and the memory of its process at its highest in MB."""
    environment = {**os.environ, "MARROW_HOME": str(settings.home), "MARROW_DATABASE_URL": settings.database_url or ""}
    command = [sys.executable, "-m", "services.cli", "rebuild", SERVICE.name]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    told = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = re.search(r"events in ([0-9.]+) s", told)
    if process.returncode or seconds is None:
        raise RuntimeError(f"the rebuild ended with {process.returncode}: {told}")
    return float(seconds[1]), usage.ru_maxrss / 1000


def _latencies(ground: Ground, trial: Trial, samples: int) -> dict[str, Percentiles]:
    chance = random.Random(SEED)
    environment = {
        "MARROW_HOME": str(trial.settings.home),
        "MARROW_DATABASE_URL": trial.settings.database_url or "",
    }
    headers = {"Authorization": f"Bearer {token(trial.settings, Role.INVESTIGATOR)}"}
    with (
        serving("tests.bench.year:app", "/visits/health/ready", environment, ground.folder / "services.log") as url,
        httpx.Client(base_url=url, headers=headers, timeout=60) as client,
    ):
        took_ms = {
            name: [_ms(client, ask, chance.choice(trial.subjects)) for _ in range(WARM_UP + samples)]
            for name, ask in QUESTIONS.items()
        }
    return {name: percentiles(each[WARM_UP:]) for name, each in took_ms.items()}


def _ms(client: httpx.Client, ask: Callable[[httpx.Client, str], httpx.Response], subject: str) -> float:
    started = time.perf_counter()
    ask(client, subject).raise_for_status()
    return 1000 * (time.perf_counter() - started)
