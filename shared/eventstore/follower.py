"""Following the log: every matching event once, in order, for ever.

Followers read by position, so they cannot skip; NOTIFY only wakes them early. One listening connection serves all
followers of a process, reconnects by itself, and when it is away the followers go on by polling.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import psycopg
import structlog

from shared.eventstore.connection import CHANNEL, connect
from shared.eventstore.model import LogUnavailable, Query, ReadResult
from shared.eventstore.reader import Reader

POLL_S = 1.0
"""The longest a follower is late when nothing wakes it."""
PAUSE_S = 0.01
"""Between two reads of a follower, so that it takes many small commits at once."""
RECONNECT_S = 0.5

_log = structlog.get_logger("marrow.eventstore")


class Follower:
    """Wakes the followers of a process when the log has grown."""

    def __init__(self, url: str, reader: Reader) -> None:
        self._url = url
        self._reader = reader
        self._grown: asyncio.Event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="log listener")

    async def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def follow(self, query: Query, after: int, batch: int) -> AsyncIterator[ReadResult]:
        """See EventLog.follow. Ends with the log itself only, by LogUnavailable."""
        while True:
            # Taken before the read, so that growth during the read is not slept through.
            grown = self._grown
            try:
                result = await self._reader.read(query, after, batch)
            except LogUnavailable:
                if self._closed:
                    raise
                await asyncio.sleep(RECONNECT_S)
                continue
            if result.head > after:
                yield result
                after = result.head
            if len(result.events) < batch:
                with suppress(TimeoutError):
                    await asyncio.wait_for(grown.wait(), POLL_S)
                await asyncio.sleep(PAUSE_S)

    def _wake(self) -> None:
        self._grown, grown = asyncio.Event(), self._grown
        grown.set()

    async def _listen(self) -> None:
        while True:
            try:
                async with await connect(self._url) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._wake()
                    async for _ in connection.notifies():
                        self._wake()
            except (psycopg.Error, OSError) as error:
                _log.warning("the log's listener reconnects", error=type(error).__name__)
            await asyncio.sleep(RECONNECT_S)
