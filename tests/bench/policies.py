"""How soon a policy has concluded: from an evaluation to the eligibility for the second dose, under load of results.

A laboratory service is kept busy by reports while evaluations of responders come in at an even pace. The policy runs
in the visits service, a process of its own, as it is run. Both events bear the database's time of recording; what lies
between the two is the lag: to see the evaluation, to decide, and to record.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from time import monotonic

import httpx

from services.labs.api import SERVICE as LABS
from services.visits.api import SERVICE as VISITS
from services.visits.events import SecondDoseEligible, SubjectEvaluated
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import NewEvent, Query, QueryItem
from shared.identity import Role
from shared.settings import Settings
from tests.bench.ground import Ground, serving, token
from tests.bench.history import fill, of_today, screening
from tests.bench.http_load import Answers, post, reports
from tests.bench.lag import percentiles
from tests.bench.report import Table, number
from tests.bench.rounds import Scale
from tests.randomization.examples import randomized
from tests.scenario import DAY_0, At
from tests.visits.examples import BASELINE, RESPONSE, infused

SECONDS = {Scale.FULL: 30.0, Scale.QUICK: 8.0, Scale.TINY: 1.0}
PAUSE_S = 0.1
CONNECTIONS = 32
CONCLUDED_WITHIN_S = 60
LAG_MAX_MS = 1000


def run(ground: Ground, scale: Scale) -> list[Table]:
    settings = Settings(home=ground.folder / "home", database_url=ground.database(LABS.component, VISITS.component))
    url = settings.database_url or ""
    environment = {"MARROW_HOME": str(settings.home), "MARROW_DATABASE_URL": url}
    subjects = [f"{2 + place // 999:02d}-{1 + place % 999:03d}" for place in range(round(SECONDS[scale] / PAUSE_S))]
    asyncio.run(_begin(url, subjects))
    lab, investigator = token(settings, Role.LAB), token(settings, Role.INVESTIGATOR)
    with ExitStack() as stack:
        log = ground.folder / "services.log"
        labs, visits = (
            stack.enter_context(serving(f"services.{name}.api:app", f"/{name}/health/ready", environment, log))
            for name in ("labs", "visits")
        )
        stop = threading.Event()
        with ThreadPoolExecutor() as pool:
            evaluated = pool.submit(_evaluate, visits, investigator, subjects, stop)
            try:
                answers = post(labs, lab, reports("p"), connections=CONNECTIONS, seconds=SECONDS[scale])
            finally:
                stop.set()
        lags_ms = asyncio.run(_lags_ms(url, evaluated.result()))
    return [_table(answers, lags_ms)]


async def _begin(url: str, subjects: Sequence[str]) -> None:
    """Those that are reported of, and responders at other sites, who may be evaluated."""
    async with PostgresLog(url) as log:
        await fill(log, reports=0)
        for place, subject in enumerate(subjects):
            await log.append(list(_responder(subject, place)))


def _responder(subject: str, place: int) -> Iterator[NewEvent]:
    of = {"subject": subject, "site": subject[:2]}
    yield screening(subject)
    yield of_today(randomized(subject, place, "MSC"), DAY_0)
    for each in (*BASELINE, At(infused()), *RESPONSE):
        yield of_today(each.event.model_copy(update=of), DAY_0 + timedelta(days=each.days))


def _evaluate(url: str, investigator: str, subjects: Sequence[str], stop: threading.Event) -> int:
    """Evaluate one after the other at an even pace, until there are no more or it is told to stop; how many it were."""
    body = {"timepoint": "M3", "occurred_at": (DAY_0 + timedelta(days=93)).isoformat()}
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {investigator}"}, timeout=30) as client:
        for done, subject in enumerate(subjects, start=1):
            client.post(f"/visits/subjects/{subject}/evaluations", json=body).raise_for_status()
            if stop.wait(PAUSE_S):
                return done
    return len(subjects)


async def _lags_ms(url: str, expected: int) -> list[float]:
    """The lag of each conclusion. Raises RuntimeError where an evaluation is not concluded on once, and once alone."""
    by_type = Query((QueryItem((SubjectEvaluated.name, SecondDoseEligible.name)),))
    deadline = monotonic() + CONCLUDED_WITHIN_S
    async with PostgresLog(url) as log:
        while True:
            made: dict[str, datetime] = {}
            lags: list[timedelta] = []
            async for stored in log.stream(by_type):
                subject = next(tag for tag in stored.tags if tag.startswith("subject:"))
                if stored.type == SubjectEvaluated.name:
                    made[subject] = stored.recorded_at
                else:
                    lags.append(stored.recorded_at - made[subject])
            if len(lags) >= expected:
                break
            if monotonic() > deadline:
                raise RuntimeError(f"{expected} evaluations were made and {len(lags)} concluded on")
            await asyncio.sleep(PAUSE_S)
    if len(lags) > expected:
        raise RuntimeError(f"{expected} evaluations were concluded on {len(lags)} times")
    return [lag / timedelta(milliseconds=1) for lag in lags]


def _table(answers: Answers, lags_ms: list[float]) -> Table:
    p50, p99 = percentiles(lags_ms)
    reached = "met" if p99 < LAG_MAX_MS else "MISSED"
    row = (
        "second-dose",
        number(answers.per_second),
        str(len(lags_ms)),
        number(p50),
        number(p99),
        f"< {LAG_MAX_MS} ms {reached}",
    )
    return Table(
        f"policies: from an evaluation to the eligibility, under load of reports, {CONNECTIONS} connections",
        ("policy", "reports/s", "evaluations", "p50 ms", "p99 ms", "target of p99"),
        [row],
        ("each evaluation was concluded on once; times of recording are the database's",),
    )
