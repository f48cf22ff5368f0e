"""PostgreSQL is killed under load: what was acknowledged stands, what was refused does not, nothing stands twice."""

from __future__ import annotations

import asyncio

from shared.eventstore.log import PostgresLog
from shared.eventstore.model import LogUnavailable
from tests.faults.conftest import DurableServer, until
from tests.shared.eventstore.events_to_append import event, nothing_about

CALLERS = 32
KILLS = 2


class Load:
    """Callers that append one event after the other, and remember what they were told."""

    def __init__(self, log: PostgresLog) -> None:
        self._log = log
        self._stopping = False
        self.acknowledged: dict[int, str] = {}
        self.refused: set[str] = set()

    async def run(self) -> None:
        await asyncio.gather(*(self._call(number) for number in range(CALLERS)))

    def stop(self) -> None:
        self._stopping = True

    async def acknowledges(self, more: int) -> None:
        """Wait until that many more events were acknowledged."""
        enough = len(self.acknowledged) + more
        await until(lambda: len(self.acknowledged) >= enough)

    async def _call(self, number: int) -> None:
        turn = 0
        while not self._stopping:
            turn += 1
            key = f"key:{number}-{turn}"
            try:
                # A conflict would mean that the log took an event of which it said that it had not.
                (stored,) = await self._log.append([event("loaded", key)], nothing_about(key))
                self.acknowledged[stored.position] = key
            except LogUnavailable:
                self.refused.add(key)
                await asyncio.sleep(0.01)


async def test_no_acknowledged_event_is_lost_and_no_refused_one_is_stored(durable_server: DurableServer) -> None:
    tailed: list[int] = []
    async with PostgresLog(durable_server.url) as log:

        async def tail() -> None:
            async for result in log.follow():
                tailed.extend(stored.position for stored in result.events)

        load = Load(log)
        tailing = asyncio.create_task(tail())
        loading = asyncio.create_task(load.run())
        for _ in range(KILLS):
            await load.acknowledges(500)
            await asyncio.to_thread(durable_server.kill)
            await asyncio.sleep(0.2)
            await asyncio.to_thread(durable_server.start)
        await load.acknowledges(200)
        load.stop()
        await loading
        read = await log.read()
        await until(lambda: len(tailed) >= read.head)
        tailing.cancel()

    keys = {stored.position: stored.tags[0] for stored in read.events}
    assert list(keys) == tailed == list(range(1, read.head + 1))
    assert load.acknowledged == keys
    assert not load.refused & set(keys.values())
