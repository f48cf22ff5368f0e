"""The `eventsourcing` library on PostgreSQL: its connections, and its projections of one transaction an event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import conninfo_to_dict


@contextmanager
def datastore(database_url: str, *, connections: int) -> Iterator[PostgresDatastore]:
    """The library's pool of so many connections, in the schema public, outside which its DCB functions fail."""
    given = conninfo_to_dict(database_url)
    with PostgresDatastore(
        dbname=str(given["dbname"]),
        host=str(given["host"]),
        port=str(given.get("port") or 5432),
        user=str(given["user"]),
        password="",
        pool_size=connections,
        max_overflow=0,
        max_waiting=connections,
        schema="public",
    ) as store:
        yield store
