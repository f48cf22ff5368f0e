"""The log, as everybody sees it: the same on PostgreSQL and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.eventstore.log import PostgresLog
from shared.eventstore.memory import MemoryLog
from shared.eventstore.model import EVERYTHING, AppendCondition, AppendConflict, EventLog, Query, QueryItem
from shared.eventstore.record import UnstorableEvent, leaf_hash, seal
from tests.shared.eventstore.events_to_append import about, event, nothing_about


@pytest.fixture(params=["postgresql", "memory"])
def any_log(request: pytest.FixtureRequest) -> EventLog:
    log: EventLog = request.getfixturevalue("log" if request.param == "postgresql" else "memory_log")
    return log


async def test_an_empty_log_has_the_head_0(any_log: EventLog) -> None:
    assert await any_log.head() == 0
    for query in (EVERYTHING, about("seat:1"), about(types=("seat-taken",))):
        result = await any_log.read(query)
        assert (result.events, result.head) == ([], 0)


async def test_what_was_appended_is_read_as_it_was_returned(any_log: EventLog) -> None:
    appended = await any_log.append([event("seat-taken", "seat:1", "row:a", by='n"1\\')])
    assert (await any_log.read()).events == appended
    (stored,) = appended
    assert (stored.position, stored.type, stored.tags) == (1, "seat-taken", ("seat:1", "row:a"))


async def test_a_record_is_the_document_and_when_it_was_recorded_and_its_hash_is_the_leaf(any_log: EventLog) -> None:
    new = event("seat-taken", "seat:1", note='日本語 and "quotes" and \\')
    (stored,) = await any_log.append([new])
    assert stored.record == seal(new.document, stored.recorded_at)
    assert stored.leaf_hash == leaf_hash(stored.record)


@pytest.mark.parametrize("tag", ['a"b', "a\\b", "{a,b}", "NULL", "a b", "é", "\x1f", "x" * 1024, "'; --"])
async def test_a_tag_is_any_text(any_log: EventLog, tag: str) -> None:
    appended = await any_log.append([event("t", tag, "other")])
    assert appended[0].tags == (tag, "other")
    assert (await any_log.read(about(tag))).events == appended
    with pytest.raises(AppendConflict):
        await any_log.append([event()], nothing_about(tag))


async def test_an_event_may_bear_no_tag(any_log: EventLog) -> None:
    appended = await any_log.append([event("t")])
    assert (await any_log.read(about(types=("t",)))).events == appended
    assert appended[0].tags == ()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [([], []), ([1], [1]), ([5, 2, 4], [2, 4, 5]), ([3, 3], [3]), (range(1, 6), [1, 2, 3, 4, 5])],
    ids=["none", "one", "in any order", "twice", "all"],
)
async def test_some_positions_are_read_in_order_and_each_once(
    any_log: EventLog, wanted: Collection[int], found: list[int]
) -> None:
    appended = await any_log.append([event("t", f"seat:{number}", "row:a") for number in range(1, 6)])
    assert await any_log.at(wanted) == [appended[position - 1] for position in found]


async def test_positions_that_the_log_does_not_hold_are_left_out(any_log: EventLog) -> None:
    appended = await any_log.append([event("t")])
    assert await any_log.at([-1, 0, 1, 2, 2**15, 2**31, 2**63 - 1, 2**63, 10**30]) == appended
    assert await any_log.at([2**63]) == []


async def test_several_events_are_appended_together_at_consecutive_positions(any_log: EventLog) -> None:
    await any_log.append([event("first")])
    appended = await any_log.append([event("second", "a:1"), event("third", "a:1")])
    assert [(stored.position, stored.type) for stored in appended] == [(2, "second"), (3, "third")]
    with pytest.raises(AppendConflict):
        await any_log.append([event("fourth"), event("fifth")], nothing_about("a:1"))
    assert await any_log.head() == 3


async def test_an_append_of_nothing_is_a_mistake(any_log: EventLog) -> None:
    with pytest.raises(ValueError, match="at least one"):
        await any_log.append([])


async def test_what_cannot_be_stored_is_refused_before_anything_is_written(any_log: EventLog) -> None:
    with pytest.raises(UnstorableEvent):
        await any_log.append([event("good"), event("bad", weight=71.5)])
    assert await any_log.head() == 0


class TestACondition:
    async def test_holds_while_nothing_matches_it(self, any_log: EventLog) -> None:
        await any_log.append([event("seat-taken", "seat:1")], nothing_about("seat:1"))
        await any_log.append([event("seat-taken", "seat:2")], nothing_about("seat:2"))
        assert await any_log.head() == 2

    async def test_fails_on_an_event_after_the_position_that_was_read(self, any_log: EventLog) -> None:
        await any_log.append([event("seat-taken", "seat:1")])
        await any_log.append([event("other")])
        with pytest.raises(AppendConflict):
            await any_log.append([event()], nothing_about("seat:1", after=0))
        await any_log.append([event()], nothing_about("seat:1", after=1))

    @pytest.mark.parametrize(
        ("query", "conflict"),
        [
            (about("seat:1"), True),
            (about("row:a", "seat:1"), True),
            (about("row:a", "seat:2"), False),
            (about("row:a", types=("seat-freed", "seat-taken")), True),
            (about("row:a", "seat:1", types=("seat-taken",)), True),
            (about("row:a", types=("seat-freed",)), False),
            (about(types=("seat-taken",)), True),
            (about(types=("seat-freed",)), False),
            (about("row:b") | about("seat:1"), True),
            (about("row:b") | about(types=("seat-freed",)), False),
            (EVERYTHING, True),
            (Query((QueryItem(),)), True),
            (about("seat:\0"), False),
            (about("\ud800") | about("seat:1"), True),
            (about(types=("\0",)), False),
            (about(""), False),
        ],
    )
    async def test_asks_for_types_and_tags(self, any_log: EventLog, query: Query, conflict: bool) -> None:
        await any_log.append([event("seat-taken", "seat:1", "row:a")])
        assert bool((await any_log.read(query)).events) is conflict
        if conflict:
            with pytest.raises(AppendConflict):
                await any_log.append([event()], AppendCondition(query))
        else:
            await any_log.append([event()], AppendCondition(query))

    async def test_may_name_any_position(self, any_log: EventLog) -> None:
        await any_log.append([event("seat-taken", "seat:1")])
        await any_log.append([event()], nothing_about("seat:1", after=2**80))
        with pytest.raises(AppendConflict):
            await any_log.append([event()], nothing_about("seat:1", after=-1))

    async def test_is_met_by_exactly_one_of_many_at_once(self, any_log: EventLog) -> None:
        appends = (any_log.append([event("seat-taken", "seat:1")], nothing_about("seat:1")) for _ in range(100))
        outcomes = await asyncio.gather(*appends, return_exceptions=True)
        assert sum(isinstance(outcome, AppendConflict) for outcome in outcomes) == 99
        assert await any_log.head() == 1


class TestAReadOf:
    @pytest.fixture
    async def seats(self, any_log: EventLog) -> EventLog:
        await any_log.append(
            [
                event("seat-taken", "seat:1", "row:a"),
                event("seat-taken", "seat:2", "row:a"),
                event("seat-freed", "seat:1", "row:a"),
                event("seat-taken", "seat:3", "row:b"),
                event("hall-closed"),
            ]
        )
        return any_log

    @pytest.mark.parametrize(
        ("query", "positions"),
        [
            (EVERYTHING, [1, 2, 3, 4, 5]),
            (about("seat:1"), [1, 3]),
            (about("row:a", "seat:1"), [1, 3]),
            (about("row:a", types=("seat-taken",)), [1, 2]),
            (about(types=("hall-closed", "seat-freed")), [3, 5]),
            (about("row:b") | about("seat:1"), [1, 3, 4]),
            (about("row:a") | about("seat:1") | about(types=("seat-freed",)), [1, 2, 3]),
            (about("row:a", "row:b"), []),
        ],
    )
    async def test_a_query_gives_each_match_once_and_in_order(
        self, seats: EventLog, query: Query, positions: list[int]
    ) -> None:
        result = await seats.read(query)
        assert [stored.position for stored in result.events] == positions
        assert result.head == 5
        for limit in range(1, 6):
            for after in range(6):
                part = await seats.read(query, after=after, limit=limit)
                expected = [position for position in positions if position > after][:limit]
                assert [stored.position for stored in part.events] == expected
                assert part.head == (expected[-1] if len(expected) == limit else 5)

    async def test_nothing_still_tells_the_head(self, seats: EventLog) -> None:
        for query in (about("seat:9"), about("\0"), about(types=("other",))):
            for limit in (None, 10):
                result = await seats.read(query, limit=limit)
                assert (result.events, result.head) == ([], 5)

    async def test_any_position_is_answered(self, seats: EventLog) -> None:
        assert (await seats.read(after=2**80)).events == []
        assert (await seats.read(about("seat:1"), after=2**80)).events == []
        assert len((await seats.read(after=-(2**80))).events) == 5

    async def test_a_stream_gives_a_range_of_positions(self, seats: EventLog) -> None:
        async def positions(**span: Any) -> list[int]:
            return [stored.position async for stored in seats.stream(**span)]

        assert await positions() == [1, 2, 3, 4, 5]
        assert await positions(after=1, until=4) == [2, 3, 4]
        assert await positions(query=about("row:a"), until=2) == [1, 2]
        assert await positions(after=5) == []


class TestTheInstantOfRecording:
    @pytest.mark.parametrize("kind", ["postgresql", "memory"])
    async def test_is_that_of_the_clock_and_never_goes_back(self, kind: str, database_url: str) -> None:
        noon = datetime(2026, 5, 10, 12, tzinfo=UTC)
        readings = iter([noon, noon - timedelta(hours=1), noon + timedelta(microseconds=1)])

        def clock() -> datetime:
            return next(readings)

        async def append_thrice(log: EventLog) -> list[datetime]:
            return [(await log.append([event()]))[0].recorded_at for _ in range(3)]

        if kind == "memory":
            recorded = await append_thrice(MemoryLog(clock))
        else:
            async with PostgresLog(database_url, clock=clock) as log:
                recorded = await append_thrice(log)
                assert [stored.recorded_at for stored in (await log.read()).events] == recorded
        assert recorded == [noon, noon, noon + timedelta(microseconds=1)]

    async def test_is_that_of_the_database_when_no_clock_is_given(self, log: PostgresLog) -> None:
        before = datetime.now(UTC)
        (stored,) = await log.append([event()])
        assert before <= stored.recorded_at <= datetime.now(UTC)


class TestAFollower:
    async def test_sees_what_stands_and_then_what_comes(self, any_log: EventLog) -> None:
        await any_log.append([event("first")])
        seen: list[int] = []

        async def follow() -> None:
            async for result in any_log.follow():
                seen.extend(stored.position for stored in result.events)
                if len(seen) == 3:
                    return

        following = asyncio.create_task(follow())
        await asyncio.sleep(0.05)
        await any_log.append([event("second")])
        await any_log.append([event("third")])
        await asyncio.wait_for(following, 2)
        assert seen == [1, 2, 3]

    async def test_of_some_events_is_told_that_the_head_moved_on_by_others(self, any_log: EventLog) -> None:
        await any_log.append([event("other"), event("wanted", "a:1"), event("other")])
        results = any_log.follow(about("a:1"), batch=2)
        first = await anext(results)
        assert ([stored.position for stored in first.events], first.head) == ([2], 3)
        await any_log.append([event("other")])
        second = await asyncio.wait_for(anext(results), 2)
        assert (second.events, second.head) == ([], 4)

    async def test_takes_the_log_in_batches(self, any_log: EventLog) -> None:
        await any_log.append([event() for _ in range(5)])
        results = any_log.follow(after=1, batch=2)
        batches = [await asyncio.wait_for(anext(results), 2) for _ in range(2)]
        assert [[stored.position for stored in each.events] for each in batches] == [[2, 3], [4, 5]]
        assert [each.head for each in batches] == [3, 5]
