"""A policy that is cut short anywhere, killed, or run by several processes at once concludes exactly once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from services.app import SERVICES
from services.visits.events import SecondDoseEligible, SecondDoseIneligible
from services.visits.policies import POLICIES
from shared.events import decode
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import NewEvent, Query, QueryItem
from shared.policy import Reaction
from shared.runtime import Runtime, open_runtime
from shared.settings import Settings
from tests.bench.history import of_today, screening
from tests.randomization.examples import randomized
from tests.visits.examples import evaluated, infused

ROOT = Path(__file__).resolve().parents[2]
SECOND_DOSE = next(policy for policy in POLICIES if policy.name == "second-dose")
CONCLUSIONS = Query((QueryItem((SecondDoseEligible.name, SecondDoseIneligible.name)),))

PROCESSES = 2
KILLS = 2
SUBJECTS = 200
START_S = 60


def a_subject(number: int) -> list[NewEvent]:
    """A treated subject whose evaluation, the last of its events, is signed; there was nothing to evaluate it by."""
    subject = f"01-{number:03d}"
    of = {"subject": subject}
    unevaluable = evaluated(hi_e="not-evaluable", response="NE")
    way = (randomized(subject, number, "MSC"), infused().model_copy(update=of), unevaluable.model_copy(update=of))
    return [screening(subject), *map(of_today, way)]


async def conclusions(log: PostgresLog) -> Counter[str]:
    """How many conclusions of either kind stand about each subject."""
    tags = [stored.tags async for stored in log.stream(CONCLUSIONS)]
    return Counter(tag.removeprefix("subject:") for each in tags for tag in each if tag.startswith("subject:"))


class CutShort:
    """An awaitable that cancels a coroutine at its n-th wait; `ended` says whether it had ended before."""

    def __init__(self, coroutine: Awaitable[None], after: int) -> None:
        self._coroutine = coroutine
        self._after = after
        self.ended = False

    def __await__(self) -> Generator[Any, Any, None]:
        waits = self._coroutine.__await__()
        for _ in range(self._after):
            try:
                waited_for = next(waits)
            except StopIteration:
                self.ended = True
                return
            yield waited_for
        with suppress(StopIteration, asyncio.CancelledError):
            waited_for = waits.throw(asyncio.CancelledError())
            while True:  # what is to be given back is given back
                yield waited_for
                waited_for = next(waits)


@asynccontextmanager
async def opened(url: str, home: Path) -> AsyncIterator[Runtime]:
    components = [service.component for service in SERVICES.values()]
    async with open_runtime(Settings(home=home, database_url=url), components) as runtime:
        yield runtime


async def test_a_policy_that_is_cut_short_at_any_of_its_waits_concludes_once_when_it_is_run_again(
    database_url: str, tmp_path: Path
) -> None:
    async with opened(database_url, tmp_path) as runtime:
        for waits in count():
            # Given an evaluation
            stored = (await runtime.log.append(a_subject(waits)))[-1]
            reaction = Reaction(runtime, SECOND_DOSE.name, decode(stored))

            # When the policy is cut short at its n-th wait, and run again
            cut = CutShort(SECOND_DOSE.react(reaction), waits)
            await cut
            await SECOND_DOSE.react(reaction)

            # Then one conclusion stands, also where the append went on alone
            subject = f"01-{waits:03d}"
            assert (await conclusions(runtime.log))[subject] == 1
            if cut.ended:
                break
        assert waits > 2, "it waits for the read, and for the append"
        await asyncio.sleep(0.1)
        assert set((await conclusions(runtime.log)).values()) == {1}


async def test_several_processes_that_are_killed_again_and_again_conclude_once_about_each_subject(
    database_url: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=database_url)
    async with opened(database_url, tmp_path) as runtime:
        runtime.keys.sealing_key()  # before several processes read it
    environment = {**os.environ, "MARROW_HOME": str(settings.home), "MARROW_DATABASE_URL": database_url}
    chance = random.Random(1129739)
    async with PostgresLog(database_url) as log:
        # Given many evaluations to conclude on
        await log.append([event for number in range(SUBJECTS) for event in a_subject(number)])

        # When two processes at once are killed in the midst of it, again and again
        for kill in range(KILLS):
            async with AsyncExitStack() as stack:
                started = [await stack.enter_async_context(a_service(environment, tmp_path)) for _ in range(PROCESSES)]
                await at_least(log, chance.randint(1, SUBJECTS // KILLS) * (kill + 1), of=started)

        # Then those that are started last conclude what is left, and nothing stands twice
        async with AsyncExitStack() as stack:
            started = [await stack.enter_async_context(a_service(environment, tmp_path)) for _ in range(PROCESSES)]
            await at_least(log, SUBJECTS, of=started)
            await asyncio.sleep(0.5)
        told = await conclusions(log)
    assert len(told) == SUBJECTS
    assert set(told.values()) == {1}


@asynccontextmanager
async def a_service(environment: dict[str, str], folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The visits service in a process of its own, which is killed at the end."""
    command = (sys.executable, "-m", "uvicorn", "services.visits.api:app", "--port", "0", "--log-level", "warning")
    with (folder / "services.log").open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


async def at_least(log: PostgresLog, number: int, of: Sequence[asyncio.subprocess.Process]) -> None:
    """Wait until there are so many conclusions."""
    async with asyncio.timeout(START_S):
        while (await conclusions(log)).total() < number:
            assert all(process.returncode is None for process in of), "a service has ended by itself"
            await asyncio.sleep(0.02)
