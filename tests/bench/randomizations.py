"""POST /randomization/subjects/{subject}/randomization, 16 connections, in requests a second, one worker process.

Measured is the protocol's own scheme, whose strata are diagnosis and site, in two ways: twelve sites at once, and one
site at which everybody waits for the allocation before. A run has sites of its own, whose subjects were enrolled
beforehand. Beside it, in the same run, stands POST /labs/results over as many connections. Every allocation that was
answered is found in the log afterwards, and each stratum's slots are 0, 1, 2 … without a gap.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from statistics import median

import orjson

from services.labs.api import SERVICE as LABS
from services.randomization.api import SERVICE
from services.randomization.events import SubjectRandomized
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import NewEvent, Query, QueryItem
from shared.identity import Role
from shared.settings import Settings
from tests.bench.ground import Ground, serving, token
from tests.bench.history import APPEND_EVENTS, fill, new_event
from tests.bench.http_load import WRK, Answers, post, randomizations, reports
from tests.bench.report import Table, number, runs
from tests.bench.rounds import Contestant, Scale, alternate
from tests.randomization.examples import assessed, consented, enrolled, screened

CONNECTIONS = 16
SITES = 12
SECONDS = {Scale.FULL: 3.0, Scale.QUICK: 2.0, Scale.TINY: 1.0}
REPETITIONS = {Scale.FULL: 5, Scale.QUICK: 3, Scale.TINY: 1}
PER_SECOND_MAX = 1000
"""So many subjects are enrolled for each second of a run: more than are ever randomized in it."""

SUBJECTS_MAX = 1000
"""Numbers of a site."""


def run(ground: Ground, scale: Scale) -> list[Table]:
    url = ground.database(SERVICE.component, LABS.component)
    settings = Settings(home=ground.folder / "home", database_url=url)
    each_of_many = min(SUBJECTS_MAX, round(PER_SECOND_MAX * SECONDS[scale] / SITES))
    several = [range(first, first + SITES) for first in range(0, (1 + REPETITIONS[scale]) * SITES, SITES)]
    single = [range(site, site + 1) for site in range(99, 98 - REPETITIONS[scale], -1)]
    asyncio.run(_enrol(url, [(sites, each_of_many) for sites in several] + [(site, SUBJECTS_MAX) for site in single]))
    staff, lab = token(settings, Role.COORDINATOR), token(settings, Role.LAB)
    environment = {"MARROW_HOME": str(settings.home), "MARROW_DATABASE_URL": url}
    with ExitStack() as stack:

        def served(name: str) -> str:
            application, ready, log = (
                f"services.{name}.api:app",
                f"/{name}/health/ready",
                ground.folder / "services.log",
            )
            return stack.enter_context(serving(application, ready, environment, log))

        randomization, labs, prefixes = served("randomization"), served("labs"), count(1)
        answers = alternate(
            {
                f"randomization, {SITES} sites": _randomizing(randomization, staff, iter(several), each_of_many),
                "randomization, one site": _randomizing(randomization, staff, iter(single), SUBJECTS_MAX),
                "POST /labs/results": lambda seconds: post(
                    labs, lab, reports(f"b{next(prefixes)}-"), connections=CONNECTIONS, seconds=seconds
                ),
            },
            repetitions=REPETITIONS[scale],
            seconds=SECONDS[scale],
            warm_up=SECONDS[scale] / 2,
        )
    acknowledged = sum(each.answered for name, own in answers.items() if "site" in name for each in own)
    allocated = asyncio.run(_require_in_order(url))
    if allocated < acknowledged:
        raise RuntimeError(f"{acknowledged} allocations were acknowledged and {allocated} are in the log")
    return [_table(answers, allocated)]


def _randomizing(url: str, staff: str, sites: Iterator[Sequence[int]], subjects: int) -> Contestant[Answers]:
    return lambda seconds: post(
        url, staff, randomizations(next(sites), subjects), connections=CONNECTIONS, seconds=seconds
    )


def _way_in(subject: str) -> Iterator[NewEvent]:
    """The events that enrol a subject, one of each three with RARS."""
    diagnosis = "RARS" if int(subject[3:]) % 3 == 0 else "RA"
    for event in (screened(subject), consented(subject), assessed(subject, diagnosis=diagnosis), enrolled(subject)):
        yield new_event(event.name, event.tags(), event.model_dump(mode="json"))


async def _enrol(url: str, places: Sequence[tuple[Sequence[int], int]]) -> None:
    subjects = [f"{site:02d}-{number:03d}" for sites, each in places for site in sites for number in range(each)]
    async with PostgresLog(url) as log:
        await fill(log, reports=0)
        for first in range(0, len(subjects), APPEND_EVENTS // 4):
            of_some = subjects[first : first + APPEND_EVENTS // 4]
            await log.append([event for subject in of_some for event in _way_in(subject)])


async def _require_in_order(url: str) -> int:
    """How many allocations the log holds. Raises RuntimeError where the slots of a stratum are not 0, 1, 2 …"""
    slots: defaultdict[str, int] = defaultdict(int)
    async with PostgresLog(url) as log:
        async for stored in log.stream(Query((QueryItem((SubjectRandomized.name,)),))):
            data = orjson.loads(stored.record)["data"]
            if data["slot"] != slots[data["stratum"]]:
                raise RuntimeError(f"{data['subject']} has another slot than the next of {data['stratum']}")
            slots[data["stratum"]] += 1
    return sum(slots.values())


def _table(answers: dict[str, list[Answers]], allocated: int) -> Table:
    rows = [
        (
            name,
            number(median(each.per_second for each in own)),
            runs([each.per_second for each in own]),
            number(median(each.p50_ms for each in own)),
            number(median(each.p99_ms for each in own)),
        )
        for name, own in answers.items()
    ]
    return Table(
        f"randomizations: a subject's allocation, {CONNECTIONS} connections",
        ("request", "requests/s, median", "runs", "p50 ms", "p99 ms"),
        rows,
        (f"load by {WRK or 'a client in Python'}; {allocated} allocations in the log, no slot twice or left out",),
    )
