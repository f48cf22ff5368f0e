"""The log in memory, on which rules are tested, does what the log on PostgreSQL does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.eventstore.log import PostgresLog
from shared.eventstore.memory import MemoryLog
from shared.eventstore.model import AppendCondition, AppendConflict, EventLog, NewEvent, Query, QueryItem, StoredEvent
from tests.conftest import empty
from tests.shared.eventstore.events_to_append import event

NOW = datetime(2026, 5, 10, tzinfo=UTC)
TYPES = ("taken", "freed", "moved")
TAGS = ("seat:1", "seat:2", "row:a", "row:b")

types = st.lists(st.sampled_from(TYPES), unique=True, max_size=2).map(tuple)
tags = st.lists(st.sampled_from(TAGS), unique=True, max_size=3).map(tuple)
queries = st.lists(st.builds(QueryItem, types, tags), max_size=3).map(lambda items: Query(tuple(items)))
events = st.builds(lambda event_type, tags: event(event_type, *tags), st.sampled_from(TYPES), tags)
positions = st.integers(0, 12)


@dataclass(frozen=True)
class Append:
    events: list[NewEvent]
    condition: AppendCondition | None


@dataclass(frozen=True)
class Read:
    query: Query
    after: int
    limit: int | None


@dataclass(frozen=True)
class Look:
    positions: list[int]


appends = st.builds(
    Append, st.lists(events, min_size=1, max_size=3), st.none() | st.builds(AppendCondition, queries, positions)
)
looks = st.builds(Look, st.lists(positions, max_size=4))
reads = st.builds(Read, queries, positions, st.none() | st.integers(0, 4))


def clock() -> datetime:
    return NOW


async def outcome(log: EventLog, step: Append | Read | Look) -> object:
    match step:
        case Append(events=new, condition=condition):
            try:
                return await log.append(new, condition)
            except AppendConflict:
                return "conflict"
        case Read(query=query, after=after, limit=limit):
            return await log.read(query, after=after, limit=limit)
        case Look(positions=wanted):
            return await log.at(wanted)


class TestTheTwoLogs:
    @settings(max_examples=40, deadline=None)
    @given(steps=st.lists(appends | reads | looks, max_size=12))
    def test_agree_on_every_append_and_every_read(
        self, reused_database_url: str, steps: list[Append | Read | Look]
    ) -> None:
        async def example() -> None:
            memory = MemoryLog(clock)
            async with PostgresLog(reused_database_url, clock=clock) as log:
                for step in steps:
                    assert await outcome(log, step) == await outcome(memory, step)

        empty(reused_database_url)
        asyncio.run(example())

    @settings(max_examples=25, deadline=None)
    @given(steps=st.lists(appends, min_size=2, max_size=12))
    def test_agree_on_appends_that_share_a_batch(self, reused_database_url: str, steps: list[Append]) -> None:
        async def example() -> None:
            memory = MemoryLog(clock)
            async with PostgresLog(reused_database_url, clock=clock) as log:
                together = await asyncio.gather(*(outcome(log, step) for step in steps))
                one_by_one = [await outcome(memory, step) for step in steps]
                assert together == one_by_one
                stored: list[StoredEvent] = (await log.read()).events
                assert stored == (await memory.read()).events

        empty(reused_database_url)
        asyncio.run(example())
