"""Reading the log: each read is one statement, and so one snapshot of events and head together.

Reads by tags, of which every command makes one, are answered in groups: all that wait become one statement. Reads
along the log, by type or for everything or with a limit, have a statement each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

import psycopg

from shared.eventstore.connection import LogConnection, connect
from shared.eventstore.group_read import GroupReader
from shared.eventstore.model import LogUnavailable, Query, QueryItem, ReadResult, StoredEvent
from shared.eventstore.query import POSITION_MAX, findable_items, within_bigint
from shared.eventstore.session import Row

CONNECTIONS_MAX = 4
PAGE = 1000


class Reader:
    """Reads on a few connections of its own, so that no read waits behind a commit."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._group = GroupReader(url)
        self._slots = asyncio.Semaphore(CONNECTIONS_MAX)
        self._idle: list[LogConnection] = []
        self._closed = False

    async def open(self) -> None:
        await self._group.open()

    async def close(self) -> None:
        self._closed = True
        await self._group.close()
        await self._close_idle()

    async def head(self) -> int:
        """The last position. Raises LogUnavailable."""
        return (await self._group.read((), 0)).head

    async def read(self, query: Query, after: int, limit: int | None) -> ReadResult:
        """See EventLog.read. Raises LogUnavailable."""
        items = findable_items(query)
        # Without a limit, and when nothing can match, there is a group to join; the head comes with it.
        if not items or (limit is None and all(item.tags for item in items)):
            return await self._group.read(items, within_bigint(after))
        return await self._read_along(items, within_bigint(after), limit)

    async def at(self, positions: Collection[int]) -> list[StoredEvent]:
        """See EventLog.at. Raises LogUnavailable."""
        findable = [position for position in positions if 0 < position <= POSITION_MAX]
        rows = await self._fetch(_AT, [findable]) if findable else []
        return [
            StoredEvent(position, event_type, tuple(tags), recorded_at, record, leaf_hash)
            for position, event_type, tags, recorded_at, record, leaf_hash in rows
        ]

    async def stream(self, query: Query, after: int, until: int | None) -> AsyncIterator[StoredEvent]:
        """The matching events of (after, until] in order, page by page, in bounded memory. Raises LogUnavailable."""
        while True:
            page = await self.read(query, after, PAGE)
            for event in page.events:
                if until is not None and event.position > until:
                    return
                yield event
            if len(page.events) < PAGE:
                return
            after = page.head

    async def _read_along(self, items: Sequence[QueryItem], after: int, limit: int | None) -> ReadResult:
        rows = await self._fetch(*_statement_along(items, after, limit))
        head = rows[0][0]
        events = [
            StoredEvent(position, event_type, tuple(tags), recorded_at, record, leaf_hash)
            for _, position, event_type, tags, recorded_at, record, leaf_hash in rows
            if position is not None
        ]
        if limit is not None and events and len(events) >= limit:
            head = events[-1].position
        return ReadResult(events, head)

    async def _fetch(self, statement: bytes, arguments: Sequence[object]) -> list[Row]:
        if self._closed:
            raise LogUnavailable("the log is closed")
        try:
            async with self._slots:
                try:
                    return await self._rows(statement, arguments)
                except (psycopg.Error, OSError):
                    # After a restart of the database all idle connections are dead; a new one is not.
                    await self._close_idle()
                    return await self._rows(statement, arguments)
        except (psycopg.Error, OSError) as error:
            raise LogUnavailable("the database cannot be reached") from error

    async def _rows(self, statement: bytes, arguments: Sequence[object]) -> list[Row]:
        connection = self._idle.pop() if self._idle else await connect(self._url)
        try:
            # Never prepared: the plan of a prepared statement is made blindly, and would look for a rare type in every
            # event from `after` on.
            rows = await (await connection.execute(statement, arguments, prepare=False, binary=True)).fetchall()
        except BaseException:
            await connection.close()
            raise
        self._idle.append(connection)
        return rows

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()


_AT = b"""
SELECT position, type, tags, recorded_at, record, leaf_hash
FROM log.event WHERE position = ANY (%b::bigint[]) ORDER BY position
"""

_ALONG = """
SELECT head.position, e.position, e.type, e.tags, e.recorded_at, e.record, e.leaf_hash
FROM (SELECT coalesce(max(position), 0) AS position FROM log.event) AS head
LEFT JOIN ({matching}) AS e ON true
ORDER BY e.position
"""


def _statement_along(items: Sequence[QueryItem], after: int, limit: int | None) -> tuple[bytes, list[Any]]:
    """The statement for a query, and its arguments. Each item is a scan of an index from `after` on, cut at `limit`."""
    scans = [_scan(item, after, limit) for item in items]
    if len(scans) == 1:
        ((positions, arguments),) = scans
        matching = f"SELECT e.* FROM log.event e JOIN ({positions}) AS found USING (position)"  # noqa: S608
    else:
        union = " UNION ".join(f"({positions})" for positions, _ in scans)
        matching = f"SELECT e.* FROM log.event e JOIN ({union} ORDER BY position LIMIT %b) AS found USING (position)"  # noqa: S608
        arguments = [argument for _, scan in scans for argument in scan] + [limit]
    return _ALONG.format(matching=matching).encode(), arguments


def _scan(item: QueryItem, after: int, limit: int | None) -> tuple[str, list[Any]]:
    """The positions after `after` of one item, in order; no text of the item becomes part of the statement."""
    if not item.tags:
        types = " AND type = ANY (%b)" if item.types else ""
        arguments: list[Any] = [after, *([list(item.types)] if item.types else []), limit]
        return f"SELECT position FROM log.event WHERE position > %b{types} ORDER BY position LIMIT %b", arguments  # noqa: S608
    joins = "".join(
        f" JOIN log.event_tag t{number} ON t{number}.position = t.position AND t{number}.tag = %b"
        for number in range(1, len(item.tags))
    )
    arguments = list(item.tags[1:])
    if item.types:
        joins += " JOIN log.event typed ON typed.position = t.position AND typed.type = ANY (%b)"
        arguments.append(list(item.types))
    arguments += [item.tags[0], after, limit]
    return (
        f"SELECT t.position FROM log.event_tag t{joins} WHERE t.tag = %b AND t.position > %b"  # noqa: S608
        " ORDER BY t.position LIMIT %b"
    ), arguments
