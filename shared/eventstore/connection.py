"""How a process connects to the log: as the application's role, in UTC, and soon aware of a peer that is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shared.database import APPLICATION_ROLE

CHANNEL = "marrow_log"
"""Notified once a batch, when it is committed."""

CONNECT_TIMEOUT_S = 3
DEAD_PEER_MS = 5_000
"""How long sent data may stay unacknowledged by a peer over TCP before the connection counts as lost."""

INDEX_PLANS: Mapping[str, str] = {
    # Conditions and reads by tag are a few descents into an index. These keep the planner from ever thinking
    # otherwise, on tables that have grown a thousandfold since they were analysed, and from thinking anew each time.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}

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
