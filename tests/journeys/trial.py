"""Journeys call the four services over HTTP, on a real socket and a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import monotonic

import httpx
import pytest
import uvicorn

from services.app import create_application
from shared.identity import Role
from shared.keys import Keys
from shared.settings import Settings
from shared.telemetry import configure_logging
from shared.tokens import issue
from tests.conftest import Server
from tests.contract.operations import require_documented

START_S = 60
STOP_S = 10

SITES_MAX = 96
"""Two digits number a site; tests name those from 97 on themselves, for strangers and for the unknown."""


@dataclass(frozen=True)
class Trial:
    """A running trial: where it answers, and how to speak to it as somebody."""

    url: str
    settings: Settings
    sites: Iterator[int] = field(default_factory=lambda: count(1))

    def token(self, role: Role, sites: list[str] | None = None, application: str | None = None) -> str:
        return issue(
            Keys(self.settings).issuer(),
            self.settings,
            role=role,
            now=datetime.now(UTC),
            subject=f"{role.value}-{'-'.join(sites or ['all'])}",
            name=role.value.title(),
            sites=sites,
            application=application,
        )


As = Callable[..., httpx.AsyncClient]


@asynccontextmanager
async def serving(
    database_url: str, home: Path, stop_s: int = STOP_S, protocol_file: Path | None = None
) -> AsyncIterator[Trial]:
    """The four services on one port of the loopback, over a migrated database; requests have `stop_s` to end.

    They serve the trial of NCT01129739, or that of another protocol document.
    """
    settings = Settings(home=home, database_url=database_url, log_level="WARNING", protocol_file=protocol_file)
    configure_logging(settings.log_level)
    server = uvicorn.Server(
        uvicorn.Config(
            create_application(settings),
            host="127.0.0.1",
            port=0,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=stop_s,
        )
    )
    task = asyncio.create_task(server.serve())
    deadline = monotonic() + START_S
    while not server.started:
        if task.done():
            task.result()
        assert monotonic() < deadline, f"the services have not started within {START_S} s"
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Trial(f"http://127.0.0.1:{port}", settings)
    server.should_exit = True
    await task


@pytest.fixture(scope="module")
async def trial(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Trial]:
    """The running trial that the journeys of a module share; what other modules record stands in others."""
    url = server.create_database(f"trial_{request.module.__name__.rpartition('.')[2]}")
    async with serving(url, tmp_path_factory.mktemp("home")) as trial:
        yield trial


@pytest.fixture
async def speaking_as(trial: Trial) -> AsyncIterator[As]:
    """A client that speaks as a role, for some sites (default: all), and takes only answers that are documented."""
    async with AsyncExitStack() as stack:

        def client(role: Role, *sites: str, application: str | None = None) -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {trial.token(role, list(sites) or None, application)}"}
            hooks = {"response": [require_documented]}
            new = httpx.AsyncClient(base_url=trial.url, headers=headers, timeout=30, event_hooks=hooks)
            stack.push_async_callback(new.aclose)
            return new

        yield client


@pytest.fixture
def site(trial: Trial) -> str:
    """A site of its own for each journey of a trial, so that journeys do not see each other's subjects."""
    number = next(trial.sites)
    assert number <= SITES_MAX, "the sites of the trial are used up: part the module of journeys"
    return f"{number:02d}"
