"""The HTTP load of the benches: connections that are kept open and post one request after another.

It is made by `wrk`, which takes little of the cores that the services need; where there is none, by a small client
of our own, under which all figures are lower.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from urllib.parse import urlsplit

from tests.bench.history import SUBJECTS

HERE = Path(__file__).parent
WRK = shutil.which("wrk")
ANSWER_S = 30
"""An answer that takes longer is a failure."""

REPORTS = "/labs/results"
BODY = json.dumps(
    {
        "sender": {"application": "LIS", "facility": "HOSPITAL"},
        "message_id": "%s",
        "subject": "%s",
        "order": "%s",
        "collected_at": "2026-01-05T08:00:00+08:00",
        "reported_at": "2026-01-05T12:00:00+08:00",
        "results": [{"code": "HGB", "value": "8.6", "unit": "g/dL", "status": "F"}],
    }
)
"""A report of one result, as a format of id, subject and id."""


@dataclass(frozen=True)
class Load:
    """What is posted: by wrk, what the script makes of its arguments; without it the same, as paths and bodies."""

    script: Path
    arguments: Sequence[str]
    requests: Iterable[tuple[str, str]]


def reports(prefix: str) -> Load:
    """Reports of one result without an end, about the next subject each; their ids begin with `prefix`."""

    def report(number: int) -> tuple[str, str]:
        name = f"{prefix}{number}"
        return REPORTS, BODY % (name, SUBJECTS[number % len(SUBJECTS)], name)

    return Load(
        HERE / "reports.lua", (REPORTS, prefix, str(len(SUBJECTS)), BODY), (report(each) for each in itertools.count(1))
    )


def randomizations(sites: Sequence[int], subjects: int) -> Load:
    """Each subject of some sites in a row, whose numbers are below `subjects`; one of each site in turn."""
    numbers = ((site, number) for number in range(subjects) for site in sites)
    requests = ((f"/randomization/subjects/{site:02d}-{number:03d}/randomization", "{}") for site, number in numbers)
    return Load(HERE / "randomizations.lua", (str(sites[0]), str(len(sites))), requests)


@dataclass(frozen=True)
class Answers:
    """What a load was answered: how many requests with success, in how many seconds, and how soon."""

    answered: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


def post(url: str, token: str, load: Load, *, connections: int, seconds: float) -> Answers:
    """Post a load for some seconds. Raises RuntimeError unless all of it is answered 2xx."""
    if WRK is None:
        return asyncio.run(_post(url, token, load, connections, seconds))
    command = [WRK, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", f"{ANSWER_S}s"]
    command += ["-s", str(load.script), url, "--", token, *load.arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told = json.loads(output.splitlines()[-1])
    if told.pop("failed"):
        raise RuntimeError(f"requests failed:\n{output}")
    return Answers(**told)


async def _post(url: str, token: str, load: Load, connections: int, seconds: float) -> Answers:
    target = urlsplit(url)
    head = f"Host: {target.netloc}\r\nAuthorization: Bearer {token}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: "
    started = perf_counter()
    times_ms: list[float] = []
    requests = iter(load.requests)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        while perf_counter() - started < seconds:
            path, body = next(requests)
            sent = perf_counter()
            writer.write(f"POST {path} HTTP/1.1\r\n{head}{len(body)}\r\n\r\n{body}".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            if not answer.startswith(b"HTTP/1.1 2"):
                raise RuntimeError(f"a request failed: {answer.decode()}")
            times_ms.append(1000 * (perf_counter() - sent))
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(connection())
    hundredths = quantiles(times_ms, n=100)
    return Answers(len(times_ms), perf_counter() - started, hundredths[49], hundredths[98])
