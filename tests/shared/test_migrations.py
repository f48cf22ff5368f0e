"""Tables are made by versions, each component for itself, by any number of processes at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import Column, Integer, MetaData, NullPool, Table, Text, create_engine
from sqlalchemy.engine import make_url
from sqlmodel import AutoString

from shared.eventstore.connection import connection_info
from shared.eventstore.migrations import LOG
from shared.keystore import KEYSTORE
from shared.migrations import Component, current, revise, upgrade
from tests.conftest import COMPONENTS

ROOT = Path(__file__).resolve().parents[2]

UPGRADE = """
import sys
from shared.eventstore.migrations import LOG
from shared.migrations import upgrade
upgrade(sys.argv[1], LOG)
"""


@pytest.fixture
def bare_database_url(session_database_url: str) -> Iterator[str]:
    """A database without any table."""
    name = sql.Identifier("bare")
    with psycopg.connect(session_database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield make_url(session_database_url).set(database="bare").render_as_string(hide_password=False)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def wards(versions: Path, *columns: str) -> Component:
    metadata = MetaData(schema="wards")
    Table("ward", metadata, Column("name", Text, primary_key=True), *(Column(name, Integer) for name in columns))
    return Component("wards", versions, metadata, schema="wards")


def test_a_component_without_tables_has_no_version(bare_database_url: str) -> None:
    assert current(bare_database_url, LOG) is None
    upgrade(bare_database_url, LOG)
    assert current(bare_database_url, LOG) == "0001"


def test_upgrading_twice_is_upgrading_once(bare_database_url: str) -> None:
    upgrade(bare_database_url, LOG)
    upgrade(bare_database_url, LOG)
    assert current(bare_database_url, LOG) == "0001"


def test_several_processes_may_upgrade_at_once(bare_database_url: str) -> None:
    command = [sys.executable, "-c", UPGRADE, bare_database_url]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert current(bare_database_url, LOG) == "0001"


def test_a_version_is_written_from_the_difference_to_the_tables(bare_database_url: str, tmp_path: Path) -> None:
    first = revise(bare_database_url, wards(tmp_path), "wards")
    assert first.name == "0001_wards.py"
    second = revise(bare_database_url, wards(tmp_path, "beds"), "beds of a ward")
    assert second.name == "0002_beds_of_a_ward.py"
    assert "beds" in second.read_text()
    assert "create_table" not in second.read_text()
    upgrade(bare_database_url, wards(tmp_path, "beds"))
    assert current(bare_database_url, wards(tmp_path)) == "0002"


def test_a_version_speaks_of_the_types_that_the_database_knows(bare_database_url: str, tmp_path: Path) -> None:
    metadata = MetaData(schema="wards")
    Table("ward", metadata, Column("name", AutoString, primary_key=True), Column("floor", AutoString(length=2)))
    written = revise(bare_database_url, Component("wards", tmp_path, metadata, schema="wards"), "wards").read_text()
    assert "sa.Column('name', sa.String(), nullable=False)" in written
    assert "sa.Column('floor', sa.String(length=2), nullable=True)" in written
    assert "sqlmodel" not in written


WRITTEN_BY_HAND = (LOG, KEYSTORE)
"""Components whose tables stand in their versions alone, so that nothing can differ from them."""


def test_every_other_component_declares_its_tables() -> None:
    assert tuple(component for component in COMPONENTS if component.metadata is None) == WRITTEN_BY_HAND


@pytest.mark.parametrize(
    "component", [each for each in COMPONENTS if each not in WRITTEN_BY_HAND], ids=lambda each: each.name
)
def test_the_versions_make_the_very_tables_that_the_component_declares(
    session_database_url: str, component: Component
) -> None:
    engine = create_engine(make_url(session_database_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    options = {
        "include_schemas": True,
        "include_name": lambda name, kind, _: kind != "schema" or name == component.schema,
        "include_object": lambda _, name, kind, *__: (kind, name) != ("table", "alembic_version"),
        "compare_type": True,
        "compare_server_default": True,
    }
    assert component.metadata is not None
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, component.metadata) == []


def test_components_do_not_see_each_other_s_tables(bare_database_url: str, tmp_path: Path) -> None:
    upgrade(bare_database_url, LOG)
    written = revise(bare_database_url, wards(tmp_path), "wards").read_text()
    assert "ward" in written
    assert "event" not in written
    assert current(bare_database_url, LOG) == "0001"


def test_the_application_may_do_to_a_table_what_its_component_says_and_no_more(
    bare_database_url: str, tmp_path: Path
) -> None:
    upgrade(bare_database_url, LOG)
    revise(bare_database_url, wards(tmp_path), "wards")
    upgrade(bare_database_url, wards(tmp_path))
    with psycopg.connect(connection_info(bare_database_url), autocommit=True) as connection:
        connection.execute("INSERT INTO wards.ward VALUES ('A')")
        connection.execute("UPDATE wards.ward SET name = 'B'")
        connection.execute("DELETE FROM wards.ward")
        for refused in (
            "DROP TABLE wards.ward",
            "CREATE TABLE wards.other (a int)",
            "DELETE FROM wards.alembic_version",
            "DELETE FROM log.event",
            "CREATE SCHEMA other",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(refused.encode())


def test_an_owner_who_is_no_superuser_can_upgrade(bare_database_url: str) -> None:
    with psycopg.connect(bare_database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE trial_owner LOGIN CREATEROLE")
        connection.execute("GRANT marrow_app TO trial_owner WITH ADMIN TRUE, SET FALSE")
        connection.execute("ALTER DATABASE bare OWNER TO trial_owner")
    as_owner = make_url(bare_database_url).set(username="trial_owner").render_as_string(hide_password=False)
    upgrade(as_owner, LOG)
    with psycopg.connect(connection_info(as_owner)) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("marrow_app",)
        connection.execute("SELECT * FROM log.event")
