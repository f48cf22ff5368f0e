"""Any number of processes write to one log: one winner a round, no gap, and a reader sees every position once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from itertools import chain
from pathlib import Path

import orjson

from shared.eventstore.log import PostgresLog
from tests.faults.conftest import DurableServer, until
from tests.faults.rival import ATTEMPTS
from tests.shared.eventstore.events_to_append import event, nothing_about

ROOT = Path(__file__).resolve().parents[2]
RIVALS = 8

LINE_S = 30
RACE_S = 120


async def start(what: str, url: str, name: str) -> Process:
    command = (sys.executable, "-m", "tests.faults.rival", what, url, name)
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=ROOT)


async def line(process: Process) -> list[str]:
    """The words of the next line that a process tells; none when it has ended."""
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), LINE_S)).decode().split()


async def test_eight_processes_at_one_boundary_leave_one_winner_a_round_and_no_gap(
    durable_server: DurableServer,
) -> None:
    rivals = [await start("boundary", durable_server.url, f"rival-{number}") for number in range(RIVALS)]
    assert [await line(rival) for rival in rivals] == [["ready"]] * RIVALS
    tailed: list[int] = []
    async with PostgresLog(durable_server.url) as log:

        async def tail() -> None:
            async for result in log.follow(batch=7):
                tailed.extend(stored.position for stored in result.events)

        tailing = asyncio.create_task(tail())
        told = [output.decode().split("\n")[:-1] for output, _ in await asyncio.gather(*map(release, rivals))]
        read = await log.read()
        await until(lambda: len(tailed) >= read.head)
        tailing.cancel()

    assert [len(words) for words in told] == [ATTEMPTS] * RIVALS
    won = sorted(int(words.split()[1]) for words in chain(*told) if words != "lost")
    every_position = list(range(1, read.head + 1))
    assert read.head >= ATTEMPTS
    assert [stored.position for stored in read.events] == won == tailed == every_position
    assert [orjson.loads(stored.record)["data"]["round"] for stored in read.events] == every_position
    instants = [stored.recorded_at for stored in read.events]
    assert instants == sorted(instants)


async def release(rival: Process) -> tuple[bytes, bytes]:
    """Let a rival begin, and wait for all that it tells."""
    return await asyncio.wait_for(rival.communicate(b"go\n"), RACE_S)


async def test_a_writer_killed_under_load_loses_nothing_that_it_acknowledged_and_leaves_no_gap(
    durable_server: DurableServer,
) -> None:
    victim = await start("load", durable_server.url, "victim")
    acknowledged: dict[int, str] = {}
    async with PostgresLog(durable_server.url) as survivor:

        async def append_until(stop: asyncio.Event) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                key = f"key:survivor-{number}"
                (stored,) = await survivor.append([event("loaded", key)], nothing_about(key))
                acknowledged[stored.position] = key

        stop = asyncio.Event()
        surviving = asyncio.create_task(append_until(stop))
        for _ in range(500):
            position, key = await line(victim)
            acknowledged[int(position)] = key
        os.kill(victim.pid, signal.SIGKILL)
        while words := await line(victim):
            if len(words) == 2:  # the last line may be cut off
                acknowledged[int(words[0])] = words[1]
        await victim.wait()
        before = len(acknowledged)
        await until(lambda: len(acknowledged) >= before + 50)
        stop.set()
        await surviving
        read = await survivor.read()
    assert [stored.position for stored in read.events] == list(range(1, read.head + 1))
    keys = {stored.position: stored.tags[0] for stored in read.events}
    assert len(set(keys.values())) == len(keys)
    assert acknowledged.items() <= keys.items()
