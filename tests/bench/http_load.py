"""The HTTP load of the results bench: connections that are kept open and post one report after another.

It is made by `wrk`, which takes little of the cores that the services need; where there is none, by a small client
of our own, under which all figures are lower.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from urllib.parse import urlsplit

from tests.bench.history import SUBJECTS

CONNECTIONS = 32
SCRIPT = Path(__file__).with_name("reports.lua")
WRK = shutil.which("wrk")

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
class Answers:
    """What a load was answered: how many requests with success, in how many seconds, and how soon."""

    answered: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


def load(url: str, token: str, prefix: str, seconds: float) -> Answers:
    """Post reports for some seconds; their ids begin with `prefix`. Raises RuntimeError unless all are answered 2xx."""
    if WRK is None:
        return asyncio.run(_load(url, token, prefix, seconds))
    command = [WRK, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "-s", str(SCRIPT), url]
    command += ["--", prefix, str(len(SUBJECTS)), token, BODY]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told = json.loads(output.splitlines()[-1])
    if told.pop("failed"):
        raise RuntimeError(f"requests failed:\n{output}")
    return Answers(**told)


async def _load(url: str, token: str, prefix: str, seconds: float) -> Answers:
    target = urlsplit(url)
    numbers = itertools.count(1)
    head = f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nAuthorization: Bearer {token}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: "
    started = perf_counter()
    times_ms: list[float] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        while perf_counter() - started < seconds:
            number = next(numbers)
            name = f"{prefix}{number}"
            body = BODY % (name, SUBJECTS[number % len(SUBJECTS)], name)
            sent = perf_counter()
            writer.write(f"{head}{len(body)}\r\n\r\n{body}".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            if not answer.startswith(b"HTTP/1.1 2"):
                raise RuntimeError(f"a request failed: {answer.decode()}")
            times_ms.append(1000 * (perf_counter() - sent))
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(connection())
    hundredths = quantiles(times_ms, n=100)
    return Answers(len(times_ms), perf_counter() - started, hundredths[49], hundredths[98])
