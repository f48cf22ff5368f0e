from __future__ import annotations
from uuid import uuid4
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import NewEvent


async def test_x(log: PostgresLog) -> None:
    e = NewEvent("a", ("t:1",), {"id": uuid4().hex, "type": "a", "tags": ("t:1",)})
    r = await log.append([e])
    print(r)
    assert (await log.read()).events == r
