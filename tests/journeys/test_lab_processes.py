"""Four processes of the laboratory service receive the same message at once: it is recorded once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import httpx
import pytest

from services.labs.events import LabReportRecorded
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import Query, QueryItem
from shared.identity import Role
from shared.keys import Keys
from shared.settings import Settings
from tests.bench.ground import serving
from tests.bench.history import new_event
from tests.journeys.laboratory import ER7
from tests.journeys.trial import Trial
from tests.labs.examples import S, body, oru
from tests.randomization.examples import screened

PROCESSES = 4
TIMES = 64


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """A home whose keys are there before four processes read them."""
    settings = Settings(home=tmp_path, database_url=database_url)
    Keys(settings).sealing_key()
    return settings


@pytest.fixture
async def clients(settings: Settings, tmp_path: Path) -> AsyncIterator[list[httpx.AsyncClient]]:
    """A client of the lab system for each of the processes."""
    environment = {"MARROW_HOME": str(settings.home), "MARROW_DATABASE_URL": settings.database_url or ""}
    service = ("services.labs.api:app", "/labs/health/ready", environment, tmp_path / "log")
    with ExitStack() as stack:
        urls = await asyncio.gather(
            *(asyncio.to_thread(stack.enter_context, serving(*service)) for _ in range(PROCESSES))
        )
        async with AsyncExitStack() as connections:
            token = Trial(urls[0], settings).token(Role.LAB, ["01"], "LIS")
            headers = {"Authorization": f"Bearer {token}"}
            yield [
                await connections.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, timeout=60))
                for url in urls
            ]


@pytest.mark.parametrize("kind", ["hl7v2", "json"])
async def test_64_times_the_same_over_four_processes_is_one_event_and_one_answer(
    settings: Settings, clients: list[httpx.AsyncClient], kind: str
) -> None:
    # Given a subject who is known
    async with PostgresLog(settings.database_url or "") as log:
        event = screened(S)
        await log.append([new_event(event.name, event.tags(), event.model_dump(mode="json"))])

        async def post(number: int) -> httpx.Response:
            client = clients[number % PROCESSES]
            if kind == "json":
                return await client.post("/labs/results", json=body())
            return await client.post("/labs/hl7v2", content=oru(), headers=ER7)

        # When one report is posted by all at once
        answers = await asyncio.gather(*(post(number) for number in range(TIMES)))

        # Then it stands once, and everybody is told the same
        reports = [each async for each in log.stream(Query((QueryItem((LabReportRecorded.name,)),)))]
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (201 if kind == "json" else 200, answers[0].content)
    }
    assert len(reports) == 1
    assert {answer.headers["Log-Position"] for answer in answers if kind == "hl7v2"} <= {str(reports[0].position)}
