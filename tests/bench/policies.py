"""How soon a policy has concluded: from an evaluation to the eligibility for the second dose, under load of results.

A laboratory service is kept busy by reports while evaluations of responders come in at an even pace. The policy runs
in the visits service, a process of its own, as it is run. Both events bear the database's time of recording; what lies
between the two is the lag: to see the evaluation, to decide, and to record.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from time import monotonic

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
from tests.visits.examples import evaluated, infused

SECONDS = {Scale.FULL: 30.0, Scale.QUICK: 8.0, Scale.TINY: 1.0}
PAUSE_S = 0.05
CONNECTIONS = 32
CONCLUDED_WITHIN_S = 60
LAG_MAX_MS = 1000


def run(ground: Ground, scale: Scale) -> list[Table]:
    settings = Settings(home=ground.folder / "home", database_url=ground.database(LABS.component, VISITS.component))
    url = settings.database_url or ""
    environment = {"MARROW_HOME": str(settings.home), "MARROW_DATABASE_URL": url}
    responders = [_responder(place) for place in range(round(SECONDS[scale] / PAUSE_S))]
    asyncio.run(_begin(url, [event for treated, _ in responders for event in treated]))
    lab = token(settings, Role.LAB)
    with ExitStack() as stack:
        labs, _ = (
            stack.enter_context(
                serving(
                    f"services.{name}.api:app", f"/{name}/health/ready", environment, ground.folder / "services.log"
                )
            )
            for name in ("labs", "visits")
        )
        stop = threading.Event()
        evaluated_of: list[int] = []
        evaluations = [evaluation for _, evaluation in responders]
        clinic = threading.Thread(target=lambda: evaluated_of.append(asyncio.run(_evaluate(url, evaluations, stop))))
        clinic.start()
        try:
            answers = post(labs, lab, reports("p"), connections=CONNECTIONS, seconds=SECONDS[scale])
        finally:
            stop.set()
            clinic.join()
        lags_ms = asyncio.run(_lags_ms(url, evaluated_of[0]))
    return [_table(answers, lags_ms)]


async def _begin(url: str, treated: Sequence[NewEvent]) -> None:
    async with PostgresLog(url) as log:
        await fill(log, reports=0)
        await log.append(treated)


def _responder(place: int) -> tuple[list[NewEvent], NewEvent]:
    """A treated subject of another site than those that are reported of, and its evaluation."""
    subject = f"{2 + place // 999:02d}-{1 + place % 999:03d}"
    of = {"subject": subject, "site": subject[:2]}
    treated = (randomized(subject, place, "MSC"), infused().model_copy(update=of))
    return [screening(subject), *map(of_today, treated)], of_today(evaluated().model_copy(update=of))


async def _evaluate(url: str, evaluations: Sequence[NewEvent], stop: threading.Event) -> int:
    """Record evaluations at an even pace, until there are no more or it is told to stop; how many were recorded."""
    done = 0
    async with PostgresLog(url) as log:
        for evaluation in evaluations:
            await log.append([evaluation])
            done += 1
            await asyncio.sleep(PAUSE_S)
            if stop.is_set():
                break
    return done


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
