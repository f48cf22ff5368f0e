"""What stands in the log can be neither changed nor removed, by the application or by the owner of the database."""

from __future__ import annotations

import psycopg
import pytest

from shared.eventstore.connection import connection_info
from shared.eventstore.log import PostgresLog
from tests.shared.eventstore.events_to_append import event

CHANGES = (
    "UPDATE log.event SET type = 'other'",
    "UPDATE log.event SET record = '\\x00' WHERE position = 1",
    "DELETE FROM log.event",
    "DELETE FROM log.event WHERE false",
    "TRUNCATE log.event",
    "UPDATE log.event_tag SET tag = 'other'",
    "DELETE FROM log.event_tag",
    "TRUNCATE log.event_tag",
    "TRUNCATE log.event, log.event_tag CASCADE",
    "INSERT INTO log.event SELECT * FROM log.event ON CONFLICT (position) DO UPDATE SET type = 'other'",
    "MERGE INTO log.event e USING (VALUES (1)) v (p) ON e.position = v.p WHEN MATCHED THEN DELETE",
)


@pytest.fixture
async def one_event(log: PostgresLog) -> PostgresLog:
    await log.append([event("seat-taken", "seat:1")])
    return log


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("who", ["application", "owner", "owner as a replica"])
async def test_a_change_is_refused(one_event: PostgresLog, database_url: str, who: str, change: str) -> None:
    before = await one_event.read()
    with psycopg.connect(connection_info(database_url) if who == "application" else database_url) as connection:
        if who == "owner as a replica":
            connection.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(change.encode())
    assert await one_event.read() == before


@pytest.mark.usefixtures("one_event")
@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE log.event",
        "ALTER TABLE log.event DISABLE TRIGGER ALL",
        "ALTER TABLE log.event DISABLE TRIGGER event_is_insert_only",
        "CREATE TABLE log.other (a int)",
        "SET session_replication_role = replica",
        "DROP FUNCTION log.refuse_change",
        "UPDATE log.alembic_version SET version_num = '0'",
    ],
)
def test_the_application_cannot_lift_the_protection(database_url: str, change: str) -> None:
    with (
        psycopg.connect(connection_info(database_url)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(change.encode())


@pytest.mark.usefixtures("one_event")
def test_a_record_cannot_be_inserted_under_another_s_hash(database_url: str) -> None:
    with (
        psycopg.connect(connection_info(database_url)) as connection,
        pytest.raises(psycopg.errors.CheckViolation),
    ):
        connection.execute("INSERT INTO log.event SELECT 2, type, tags, recorded_at, 'other', leaf_hash FROM log.event")


@pytest.mark.usefixtures("one_event")
def test_a_position_is_taken_once_and_positive(database_url: str) -> None:
    with psycopg.connect(connection_info(database_url), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO log.event SELECT * FROM log.event")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(
                "INSERT INTO log.event SELECT 0, type, tags, recorded_at, record, leaf_hash FROM log.event"
            )
