"""Appends: one event of 300 bytes under a condition on a tag of its own, 64 callers at once, in events a second.

Compared are this project's log in the process of its callers (64 tasks, asyncio on uvloop), UmaDB (its server beside
64 threads that share one client, which is quicker than a client each), and the PostgreSQL DCB recorder of the
`eventsourcing` library (64 threads with a connection each). All three make every append durable before they answer;
both PostgreSQL logs lie on one server. Our event is the largest: the 300 bytes stand in an envelope of 400.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median

import umadb
import uvloop
from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem
from eventsourcing.dcb.postgres_tt import PostgresDCBRecorderTT

from shared.eventstore.log import PostgresLog
from shared.eventstore.model import AppendCondition, Query, QueryItem
from tests.bench.ground import HOST, START_TIMEOUT_S, Ground, free_port, running
from tests.bench.history import new_event
from tests.bench.library import datastore
from tests.bench.report import Table, number, runs, versus
from tests.bench.rounds import Contestant, Scale, alternate, keep_tasks_busy, keep_threads_busy

TITLE = "append: one event under a condition, 64 callers at once"
CALLERS = 64
DATA = "x" * 300
TYPE = "measured"
SECONDS = {Scale.FULL: 4.0, Scale.QUICK: 2.0, Scale.TINY: 0.2}
REPETITIONS = {Scale.FULL: 5, Scale.QUICK: 3, Scale.TINY: 1}

TIMES_UMADB = 2.0
TIMES_LIBRARY = 15.0

_own_tags = (f"own:{number}" for number in itertools.count(1))


def run(ground: Ground, scale: Scale) -> list[Table]:
    with umadb_server(ground.folder) as url, datastore(ground.database(), connections=CALLERS) as store:
        recorder = PostgresDCBRecorderTT(store)
        recorder.create_table()
        names = ("Marrow", f"UmaDB {version('umadb')}", f"eventsourcing {version('eventsourcing')}")
        contestants = dict(zip(names, (marrow(ground.database()), uma(url), library(recorder)), strict=True))
        seconds = SECONDS[scale]
        figures = alternate(contestants, repetitions=REPETITIONS[scale], seconds=seconds, warm_up=seconds / 2)
    ours, *peers = (median(figures[name]) for name in names)
    ratios = [versus(ours, peer, target) for peer, target in zip(peers, (TIMES_UMADB, TIMES_LIBRARY), strict=True)]
    rows = [
        (name, number(rate), runs(figures[name]), *ratio)
        for name, rate, ratio in zip(names, (ours, *peers), [("", ""), *ratios], strict=True)
    ]
    return [Table(TITLE, ("log", "events/s, median", "runs", "Marrow is", "target"), rows)]


def marrow(database_url: str) -> Contestant[float]:
    async def run_for(seconds: float) -> float:
        async with PostgresLog(database_url) as log:

            async def append() -> None:
                tag = next(_own_tags)
                condition = AppendCondition(Query((QueryItem((TYPE,), (tag,)),)))
                await log.append([new_event(TYPE, (tag,), {"text": DATA})], condition)

            return await keep_tasks_busy(append, callers=CALLERS, seconds=seconds)

    return lambda seconds: uvloop.run(run_for(seconds))


def uma(url: str) -> Contestant[float]:
    client = umadb.Client(url)
    data = DATA.encode()

    def append() -> None:
        tag = next(_own_tags)
        query = umadb.Query([umadb.QueryItem([TYPE], [tag])])
        client.append([umadb.Event(TYPE, data, [tag])], umadb.AppendCondition(query, 0))

    return lambda seconds: keep_threads_busy(append, callers=CALLERS, seconds=seconds)


def library(recorder: PostgresDCBRecorderTT) -> Contestant[float]:
    data = DATA.encode()

    def append() -> None:
        tag = next(_own_tags)
        query = DCBQuery([DCBQueryItem([TYPE], [tag])])
        recorder.append([DCBEvent(TYPE, data, [tag])], DCBAppendCondition(query, 0))

    return lambda seconds: keep_threads_busy(append, callers=CALLERS, seconds=seconds)


@contextmanager
def umadb_server(folder: Path) -> Iterator[str]:
    """The server of the `umadb` wheel with its defaults, and its URL. Its data lie beside those of PostgreSQL."""
    address = f"{HOST}:{free_port()}"
    program = Path(sys.executable).with_name("umadb")
    data = folder / "umadb"
    data.mkdir()
    log = folder / "umadb.log"
    with running([str(program), "--listen", address, "--db-path", str(data)], {}, log) as process:
        _wait_for_umadb(f"http://{address}", process, log)
        yield f"http://{address}"


def _wait_for_umadb(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            umadb.Client(url).head()
        except umadb.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"UmaDB did not start:\n{log.read_text(errors='replace')}")
