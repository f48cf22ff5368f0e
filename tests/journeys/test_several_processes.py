"""Four processes of the service allocate at once: every block stays balanced, and a retry may go to any of them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from services.randomization.events import SubjectRandomized
from services.randomization.permuted_blocks import blocks
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import Query, QueryItem
from shared.identity import Role
from shared.keys import Keys
from shared.settings import Settings
from tests.bench.ground import serving, token
from tests.bench.history import new_event
from tests.journeys.subjects import post
from tests.randomization.examples import assessed, consented, enrolled, screened

PROCESSES = 4
SUBJECTS = tuple(f"{site}-{number:03d}" for number in range(32) for site in ("01", "02"))
SCHEME: dict[str, Any] = {
    "method": "permuted-blocks",
    "ratio": {"MSC": 1, "CSA": 1},
    "strata": ["diagnosis", "site"],
    "block_sizes": [4, 6],
    "reason": "approved by the steering committee",
}


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """A home whose keys are there before four processes read them."""
    settings = Settings(home=tmp_path, database_url=database_url)
    Keys(settings).sealing_key()
    return settings


@pytest.fixture
async def urls(settings: Settings, tmp_path: Path) -> AsyncIterator[list[str]]:
    environment = {"MARROW_HOME": str(settings.home), "MARROW_DATABASE_URL": settings.database_url or ""}
    service = ("services.randomization.api:app", "/randomization/health/ready", environment, tmp_path / "log")
    with ExitStack() as stack:
        yield await asyncio.gather(
            *(asyncio.to_thread(stack.enter_context, serving(*service)) for _ in range(PROCESSES))
        )


async def enrol(url: str) -> None:
    """A quarter of the subjects in each of four strata."""
    async with PostgresLog(url) as log:
        for number, subject in enumerate(SUBJECTS):
            diagnosis = ("RA", "RARS")[number // 2 % 2]
            way = (screened(subject), consented(subject), assessed(subject, diagnosis=diagnosis), enrolled(subject))
            await log.append([new_event(event.name, event.tags(), event.model_dump(mode="json")) for event in way])


async def allocations(url: str) -> dict[str, list[dict[str, Any]]]:
    """What was allocated in each stratum, in the order of the log."""
    by_stratum: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    async with PostgresLog(url) as log:
        async for stored in log.stream(Query((QueryItem((SubjectRandomized.name,)),))):
            data = orjson.loads(stored.record)["data"]
            by_stratum[data["stratum"]].append(data)
    return by_stratum


async def test_64_randomizations_at_once_over_four_processes_keep_every_block_balanced(
    settings: Settings, urls: list[str]
) -> None:
    # Given enrolled subjects and a sealed scheme
    url = settings.database_url or ""
    await enrol(url)
    async with AsyncExitStack() as stack:

        async def client(at: str, role: Role) -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {token(settings, role)}"}
            return await stack.enter_async_context(httpx.AsyncClient(base_url=at, headers=headers, timeout=60))

        staff = [await client(each, Role.COORDINATOR) for each in urls]
        statistician = await client(urls[0], Role.STATISTICIAN)
        await post(statistician, "/randomization/scheme", SCHEME)

        async def randomize(number: int, through: int) -> dict[str, Any]:
            path = f"/randomization/subjects/{SUBJECTS[number]}/randomization"
            key = {"Idempotency-Key": f"allocation-{number}"}
            response = await staff[through % PROCESSES].post(path, json={}, headers=key)
            assert response.status_code == 201, response.text
            answer: dict[str, Any] = response.json()
            return answer

        # When all are randomized at once, and then again under the same keys, each by another process
        numbers = range(len(SUBJECTS))
        answers = await asyncio.gather(*(randomize(number, through=number) for number in numbers))
        assert await asyncio.gather(*(randomize(number, through=number + 1) for number in numbers)) == answers
        secret = await post(statistician, "/randomization/scheme/1/reveal", {"reason": "the database is locked"})
        (scheme,) = (await statistician.get("/randomization/scheme")).json()["items"]

    # Then each has one slot, each stratum's slots are 0, 1, 2 …, and its list is that of the revealed scheme
    assert secret["version"] == 1
    by_stratum = await allocations(url)
    assert {stratum: len(allocated) for stratum, allocated in by_stratum.items()} == dict.fromkeys(
        ("RA|01", "RA|02", "RARS|01", "RARS|02"), len(SUBJECTS) // 4
    )
    told = {data["subject"]: data["arm"] for allocated in by_stratum.values() for data in allocated}
    assert told == {answer["subject"]: answer["arm"] for answer in answers}
    for stratum, allocated in by_stratum.items():
        assert [data["slot"] for data in allocated] == list(range(len(allocated)))
        require_balanced(scheme, stratum, [data["arm"] for data in allocated])


def require_balanced(scheme: dict[str, Any], stratum: str, arms: list[str]) -> None:
    """The arms of a stratum are those of its blocks; each block that is complete holds every arm equally often."""
    revealed = scheme["revealed"]
    begun = complete = 0
    for block in blocks(bytes.fromhex(revealed["seed"]), stratum, revealed["block_sizes"], scheme["ratio"]):
        given = arms[begun : begun + len(block)]
        assert given == list(block[: len(given)])
        if len(given) < len(block):
            break
        assert set(Counter(given).values()) == {len(block) // 2}
        begun, complete = begun + len(block), complete + 1
    assert complete >= 2
