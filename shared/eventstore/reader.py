"""Reading the log: one statement, so one snapshot of events and head together."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from shared.eventstore.connection import PLANNING, connection_info
from shared.eventstore.model import EVERYTHING, LogUnavailable, Query, ReadResult, StoredEvent

CONNECTIONS_MAX = 4
WAIT_S = 5.0
PAGE = 1000

# Queries by tags gather the positions of each item from event_tag, and read each event once.
READ_BY_TAG = """
WITH head AS (SELECT coalesce(max(position), 0) AS position FROM log.event),
matching AS (
  SELECT DISTINCT found.position
  FROM jsonb_to_recordset(%b::jsonb) AS item (types text[], tags text[]),
  LATERAL (
    SELECT t.position FROM log.event_tag t JOIN log.event e USING (position)
    WHERE cardinality(item.tags) > 0 AND t.tag = item.tags[1] AND t.position > %b AND e.tags @> item.tags
      AND (cardinality(item.types) = 0 OR e.type = ANY (item.types))
    UNION ALL
    SELECT e.position FROM log.event e
    WHERE cardinality(item.tags) = 0 AND e.position > %b
      AND (cardinality(item.types) = 0 OR e.type = ANY (item.types))
  ) AS found
  ORDER BY found.position LIMIT %b
)
SELECT head.position, e.position, e.type, e.tags, e.recorded_at, e.record, e.leaf_hash
FROM head LEFT JOIN matching ON true LEFT JOIN log.event e ON e.position = matching.position
ORDER BY e.position
"""

# Queries by type alone, or for everything, go along the positions and stop at the limit.
READ_ALONG = """
WITH head AS (SELECT coalesce(max(position), 0) AS position FROM log.event),
matching AS (
  SELECT * FROM log.event e
  WHERE e.position > %b AND (%b::text[] IS NULL OR e.type = ANY (%b::text[]))
  ORDER BY e.position LIMIT %b
)
SELECT head.position, e.position, e.type, e.tags, e.recorded_at, e.record, e.leaf_hash
FROM head LEFT JOIN matching e ON true
ORDER BY e.position
"""


class Reader:
    """Reads on a few connections of its own, so that no read waits behind a commit."""

    def __init__(self, url: str) -> None:
        self._pool = AsyncConnectionPool(
            connection_info(url, PLANNING),
            min_size=1,
            max_size=CONNECTIONS_MAX,
            open=False,
            timeout=WAIT_S,
            kwargs={"autocommit": True},
        )

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def read(self, query: Query, after: int, limit: int | None) -> ReadResult:
        """The matching events after a position, in order, at most `limit`; and the head of the same snapshot.

        When the limit was reached, the head is the position of the last event given: nothing is said of later ones.
        """
        try:
            rows = await self._rows(query, after, limit)
        except (psycopg.OperationalError, PoolTimeout, OSError) as error:
            raise LogUnavailable("the database cannot be reached") from error
        events = [
            StoredEvent(row[1], row[2], tuple(row[3]), row[4], row[5], row[6]) for row in rows if row[1] is not None
        ]
        if limit is not None and len(events) == limit and events:
            return ReadResult(events, events[-1].position)
        return ReadResult(events, rows[0][0])

    async def _rows(self, query: Query, after: int, limit: int | None) -> list[TupleRow]:
        """Ask, and once more where the connection had died unnoticed."""
        for attempt in range(CONNECTIONS_MAX + 1):
            try:
                async with self._pool.connection() as connection:
                    if any(item.tags for item in query.items):
                        items = orjson.dumps([{"types": i.types, "tags": i.tags} for i in query.items]).decode()
                        arguments = [items, after, after, limit]
                        statement = READ_BY_TAG
                    else:
                        types = _types(query)
                        arguments = [after, types, types, limit]
                        statement = READ_ALONG
                    return await (await connection.execute(statement, arguments, prepare=True, binary=True)).fetchall()
            except psycopg.OperationalError:
                if attempt == CONNECTIONS_MAX:
                    raise
        raise AssertionError("unreachable")

    async def stream(
        self, query: Query = EVERYTHING, after: int = 0, until: int | None = None
    ) -> AsyncIterator[StoredEvent]:
        """The matching events of a range of positions, page by page, in bounded memory."""
        while True:
            page = await self.read(query, after, PAGE)
            for event in page.events:
                if until is not None and event.position > until:
                    return
                yield event
            if len(page.events) < PAGE:
                return
            after = page.head


def _types(query: Query) -> list[str] | None:
    """The types that a query without tags asks for; None for every type."""
    if not query.items or any(not item.types for item in query.items):
        return None
    return sorted({event_type for item in query.items for event_type in item.types})
