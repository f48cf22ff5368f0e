"""How a process connects to the log: as the application's role, in UTC, and soon aware of a peer that is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shared.migrations import APPLICATION_ROLE

CHANNEL = "marrow_log"
"""Notified once a batch, when it is committed."""

CONNECT_TIMEOUT_S = 3
DEAD_PEER_MS = 5_000
"""How long sent data may stay unacknowledged by a peer over TCP before the connection counts as lost."""

OPTIONS = f"-c role={APPLICATION_ROLE} -c timezone=UTC -c jit=off"

PLANNING = {"enable_seqscan": "off", "plan_cache_mode": "force_generic_plan"}
"""The log is read by tag and position through its indexes, whatever the statistics of a young table say."""

LogConnection = AsyncConnection[tuple[Any, ...]]


def connection_info(url: str, settings: Mapping[str, str] | None = None) -> str:
    """The libpq connection string for `url`, with PostgreSQL `settings` of the session added to its options."""
    given = conninfo_to_dict(url)
    session = {"role": APPLICATION_ROLE, "timezone": "UTC", "jit": "off", **(settings or {})}
    options = [str(given.get("options") or ""), *(f"-c {name}={value}" for name, value in session.items())]
    defaults: dict[str, str | int] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "tcp_user_timeout": DEAD_PEER_MS,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "application_name": "marrow",
    }
    return make_conninfo("", **{**defaults, **given, "options": " ".join(filter(None, options))})


async def connect(url: str, settings: Mapping[str, str] | None = None) -> LogConnection:
    """Open a connection on which every transaction is begun explicitly. Raises psycopg.OperationalError."""
    return await psycopg.AsyncConnection.connect(connection_info(url, settings), autocommit=True)
