"""Memory of a serving process: at rest, and when its log holds a million events more."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from services.app import SERVICES
from shared.eventstore.log import PostgresLog
from tests.bench.ground import HOST, Ground, free_port, running, wait_until_ready
from tests.bench.history import fill
from tests.bench.report import Table, number
from tests.bench.rounds import Scale

EVENTS = {Scale.FULL: 1_000_000, Scale.QUICK: 100_000, Scale.TINY: 1_000}
REST_S = 2.0
CATCH_UP_MAX_S = 600


def run(ground: Ground, scale: Scale) -> Iterator[Table]:
    """One table: resident memory of `marrow up` at rest, while it catches up, and after."""
    url = ground.database(*(service.component for service in SERVICES.values()))
    environment = {
        "MARROW_DATABASE_URL": url,
        "MARROW_HOME": str(ground.folder / "memory"),
        "MARROW_LOG_LEVEL": "WARNING",
    }
    port = free_port()
    command = [sys.executable, "-m", "services.cli", "up", "--host", HOST, "--port", str(port)]
    log = ground.folder / "memory.log"
    with running(command, environment, log) as process:
        wait_until_ready(f"http://{HOST}:{port}/labs/health/ready", process, log)
        time.sleep(REST_S)
        at_rest = _resident_mb(process)
        asyncio.run(_append(url, EVENTS[scale]))
        seconds = _catch_up(url)
        time.sleep(REST_S)
        after = _resident_mb(process)
    yield Table(
        "memory: `marrow up`, the four services in one process",
        ["when", "resident MB"],
        [["at rest", number(at_rest)], [f"after {EVENTS[scale]:,} events".replace(",", " "), number(after)]],
        [f"all four read models had caught up {seconds:.0f} s after the last event"],
    )


async def _append(url: str, events: int) -> None:
    async with PostgresLog(url) as log:
        await fill(log, events)


def _catch_up(url: str) -> float:
    """Wait until every read model reflects the head; the seconds that it took."""
    started = time.monotonic()
    questions = " UNION ALL ".join(f"SELECT position FROM {name}.progress WHERE name = '{name}'" for name in SERVICES)
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() - started < CATCH_UP_MAX_S:
            row = connection.execute("SELECT max(position) FROM log.event").fetchone()
            head = row[0] if row else 0
            positions = [position for (position,) in connection.execute(questions.encode())]
            if positions and min(positions) >= head:
                return time.monotonic() - started
            time.sleep(0.2)
    raise RuntimeError(f"the read models did not catch up in {CATCH_UP_MAX_S} s: {positions} of {head}")


def _resident_mb(process: subprocess.Popen[bytes]) -> float:
    """Resident memory of a process, from /proc."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
