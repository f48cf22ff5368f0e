"""How contestants are measured: each warmed up once, then all of them in turn, so that no moment favours one.

A load keeps a fixed number of callers busy for a fixed time: each makes its next call when its last one has ended.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")

Contestant = Callable[[float], T]
"""Runs for about so many seconds and gives its figure."""


class Scale(StrEnum):
    """How long a bench takes: for the record, for a first impression, or only to show that it runs."""

    FULL = "full"
    QUICK = "quick"
    TINY = "tiny"


def alternate(
    contestants: Mapping[str, Contestant[T]], *, repetitions: int, seconds: float, warm_up: float
) -> dict[str, list[T]]:
    """The figures of each contestant, one a repetition."""
    for contestant in contestants.values():
        contestant(warm_up)
    figures: dict[str, list[T]] = {name: [] for name in contestants}
    for _ in range(repetitions):
        for name, contestant in contestants.items():
            figures[name].append(contestant(seconds))
    return figures


async def keep_tasks_busy(call: Callable[[], Awaitable[object]], *, callers: int, seconds: float) -> float:
    """Calls a second of so many tasks."""
    started = perf_counter()
    done = 0

    async def caller() -> None:
        nonlocal done
        while perf_counter() - started < seconds:
            await call()
            done += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (perf_counter() - started)


def keep_threads_busy(call: Callable[[], object], *, callers: int, seconds: float) -> float:
    """Calls a second of so many threads. Raises what the first call that failed raised."""
    started = perf_counter()
    done = [0] * callers
    failures: list[Exception] = []

    def caller(number: int) -> None:
        try:
            while not failures and perf_counter() - started < seconds:
                call()
                done[number] += 1
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(done) / (perf_counter() - started)
