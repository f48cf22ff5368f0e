"""One embedded PostgreSQL for the whole run; each test that asks for a database gets a fresh copy of a migrated one."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from services.app import SERVICES
from shared.embedded import embedded_postgresql
from shared.eventstore.log import PostgresLog
from shared.eventstore.memory import MemoryLog
from shared.eventstore.migrations import LOG
from shared.keystore import KEYSTORE
from shared.migrations import Component, upgrade

pytest_plugins = ["tests.journeys.trial"]

TEMPLATE = "template_marrow"

COMPONENTS: tuple[Component, ...] = (LOG, KEYSTORE, *(service.component for service in SERVICES.values()))
"""What stands in every fresh database."""

QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_wal_size": "4GB"}
"""Durability is the matter of tests/faults, which start servers of their own."""


class Server:
    """The server of the run: makes databases out of the migrated template."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count(1)
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
        for component in COMPONENTS:
            upgrade(self.url_of(TEMPLATE), component)

    def url_of(self, database: str) -> str:
        return make_url(self._url).set(database=database).render_as_string(hide_password=False)

    def create_database(self) -> str:
        """The URL of a new database with the tables of all components, empty."""
        name = f"test_{next(self._numbers)}"
        self._execute(
            # Copying files is quicker here than writing the copy to the log of changes.
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE)
            )
        )
        return self.url_of(name)

    def drop_database(self, url: str) -> None:
        name = make_url(url).database or ""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(make_conninfo(self._url), autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("postgresql")
    with embedded_postgresql(home, QUICK) as url:
        yield Server(url)


@pytest.fixture(scope="session")
def session_database_url(server: Server) -> str:
    """A migrated database that the whole run shares."""
    return server.create_database()


@pytest.fixture
def database_url(server: Server) -> Iterator[str]:
    """A migrated, empty database of the test's own."""
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[PostgresLog]:
    """An empty log on PostgreSQL."""
    async with PostgresLog(database_url) as log:
        yield log


@pytest.fixture
def memory_log() -> MemoryLog:
    """An empty log in memory."""
    return MemoryLog()
