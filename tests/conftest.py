"""One embedded PostgreSQL for the whole run; each test that asks for a database gets a migrated, empty one."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from sqlalchemy.engine import make_url

from services.app import SERVICES
from shared.embedded import embedded_postgresql
from shared.eventstore.log import PostgresLog
from shared.eventstore.memory import MemoryLog
from shared.eventstore.migrations import LOG
from shared.keystore import KEYSTORE
from shared.migrations import Component, upgrade

pytest_plugins = ["tests.journeys.trial"]

COMPONENTS: tuple[Component, ...] = (LOG, KEYSTORE, *(service.component for service in SERVICES.values()))
"""What stands in every database."""

# A loaded machine is slow, which says nothing of an example.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")

QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_wal_size": "4GB"}
"""Durability is the matter of tests/faults, which start servers of their own."""

TEST_S = 240
"""A test that takes longer hangs. It fails by its name; where even that hangs, `faulthandler_timeout` ends the run."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    def too_long(*_: object) -> None:
        pytest.fail(f"the test has not ended within {TEST_S} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_S)
    try:
        return (yield)
    finally:
        signal.alarm(0)


class Server:
    """The server of the run, with a database for each purpose."""

    def __init__(self, url: str) -> None:
        self._url = url

    def create_database(self, name: str) -> str:
        """The URL of a new database with the tables of all components."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = make_url(self._url).set(database=name).render_as_string(hide_password=False)
        for component in COMPONENTS:
            upgrade(url, component)
        return url


def empty(url: str) -> None:
    """Empty all tables, also the log's, which only their owner can do and only by lifting their protection.

    Emptying takes a tenth of the time of making a database.
    """
    schemas = [component.schema for component in COMPONENTS]
    with psycopg.connect(url) as connection:
        # Whoever still reads or writes, from a test that is over, would hold the tables.
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname = ANY (%s) AND tablename <> 'alembic_version'",
            [schemas],
        ).fetchall()
        triggers = connection.execute("SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgenabled = 'A'")
        protections = [
            sql.SQL("ALTER TABLE {} {{}} TRIGGER {}").format(sql.SQL(table), sql.Identifier(trigger)).as_string()
            for table, trigger in triggers
        ]
        for protection in protections:
            connection.execute(protection.format("DISABLE").encode())
        names = sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
        connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(names))
        for protection in protections:
            connection.execute(protection.format("ENABLE ALWAYS").encode())


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    # Not below pytest's own folder, which another run of pytest closes to all but its user.
    with TemporaryDirectory(prefix="marrow-") as home, embedded_postgresql(Path(home), QUICK) as url:
        yield Server(url)


@pytest.fixture(scope="session")
def session_database_url(server: Server) -> str:
    """A migrated database that the whole run shares."""
    return server.create_database("session")


@pytest.fixture(scope="session")
def reused_database_url(server: Server) -> str:
    return server.create_database("reused")


@pytest.fixture
def database_url(reused_database_url: str) -> str:
    """A migrated, empty database of the test's own."""
    empty(reused_database_url)
    return reused_database_url


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[PostgresLog]:
    """An empty log on PostgreSQL."""
    async with PostgresLog(database_url) as log:
        yield log


@pytest.fixture
def memory_log() -> MemoryLog:
    """An empty log in memory."""
    return MemoryLog()
