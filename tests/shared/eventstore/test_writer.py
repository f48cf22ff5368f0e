"""An append is stored once or not at all, and its caller is never told the one for the other, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from shared.eventstore import transaction, writer
from shared.eventstore.connection import connection_info
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import AppendConflict, LogSaturated, LogUnavailable, StoredEvent
from shared.eventstore.session import Session
from shared.eventstore.transaction import APPEND_LOCK
from tests.shared.eventstore.events_to_append import about, event, nothing_about

Connection = psycopg.AsyncConnection[tuple[object, ...]]

WRITERS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%event%' AND pid <> pg_backend_pid()"
)


@asynccontextmanager
async def owner(database_url: str) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield connection


@asynccontextmanager
async def appends_held_up(database_url: str) -> AsyncIterator[Connection]:
    """While this holds, no batch gets beyond the lock."""
    async with owner(database_url) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [APPEND_LOCK])
        yield connection


async def positions(log: PostgresLog) -> list[int]:
    return [stored.position for stored in (await log.read()).events]


class TestTheQueue:
    async def test_that_is_full_refuses_at_once_and_writes_nothing_of_it(self, database_url: str) -> None:
        async with PostgresLog(database_url, queue_max=4) as log:
            async with appends_held_up(database_url):
                on_its_way = asyncio.create_task(log.append([event()]))
                await asyncio.sleep(0.05)
                queued = [asyncio.create_task(log.append([event()])) for _ in range(4)]
                await asyncio.sleep(0)
                with pytest.raises(LogSaturated) as refusal:
                    await log.append([event("too-much")])
                assert refusal.value.retry_after_s >= 1
            await asyncio.gather(on_its_way, *queued)
            assert (await log.read(about(types=("too-much",)))).events == []
            assert await positions(log) == [1, 2, 3, 4, 5]
            await log.append([event()])

    async def test_forgets_an_append_whose_caller_went_away_before_its_batch_began(
        self, log: PostgresLog, database_url: str
    ) -> None:
        async with appends_held_up(database_url):
            on_its_way = asyncio.create_task(log.append([event("first")]))
            await asyncio.sleep(0.05)
            queued = [asyncio.create_task(log.append([event("second")], nothing_about("a:1"))) for _ in range(3)]
            await asyncio.sleep(0)
            queued[1].cancel()
        await asyncio.gather(on_its_way, queued[0], queued[2])
        assert queued[1].cancelled()
        assert await positions(log) == [1, 2, 3]

    async def test_survives_a_caller_that_goes_away_in_the_middle_of_its_batch(
        self, log: PostgresLog, database_url: str
    ) -> None:
        async with appends_held_up(database_url):
            both = [asyncio.create_task(log.append([event()])) for _ in range(2)]
            await asyncio.sleep(0.05)
            both[0].cancel()
        (stored,) = await both[1]
        assert stored.position == 2
        assert await positions(log) == [1, 2]

    async def test_is_written_before_the_log_is_closed(self, database_url: str) -> None:
        async with PostgresLog(database_url) as log:
            waiting = [asyncio.create_task(log.append([event()])) for _ in range(100)]
            await asyncio.sleep(0)
        assert [stored[0].position for stored in await asyncio.gather(*waiting)] == list(range(1, 101))
        with pytest.raises(LogUnavailable):
            await log.append([event()])

    async def test_may_hold_more_events_than_a_batch(self, log: PostgresLog) -> None:
        sizes = [writer.BATCH_EVENTS_MAX + 1, 300, 300, 1]
        stored = await asyncio.gather(*(log.append([event("t", f"n:{n}") for n in range(size)]) for size in sizes))
        assert [len(each) for each in stored] == sizes
        assert await positions(log) == list(range(1, sum(sizes) + 1))


class TestALostConnection:
    async def test_under_load_loses_doubles_and_misreports_nothing(self, log: PostgresLog, database_url: str) -> None:
        acknowledged: list[StoredEvent] = []
        conflicts = 0

        async def append_many(number: int) -> None:
            nonlocal conflicts
            for turn in range(40):
                tag = f"key:{number}-{turn}"
                for _ in range(2):  # the second is to find the first
                    try:
                        acknowledged.extend(await log.append([event("t", tag)], nothing_about(tag)))
                    except AppendConflict:
                        conflicts += 1

        async def break_connections() -> None:
            async with owner(database_url) as connection:
                for _ in range(12):
                    await asyncio.sleep(0.05)
                    await connection.execute(f"SELECT pg_terminate_backend(pid) {WRITERS}".encode())

        await asyncio.gather(break_connections(), *(append_many(number) for number in range(16)))
        assert len(acknowledged) == conflicts == 16 * 40
        read = await log.read()
        assert [stored.position for stored in read.events] == list(range(1, 16 * 40 + 1))
        assert sorted(acknowledged, key=lambda stored: stored.position) == read.events

    @pytest.mark.parametrize("committed", [True, False])
    async def test_during_the_commit_is_resolved_by_asking_the_log(
        self, log: PostgresLog, monkeypatch: pytest.MonkeyPatch, committed: bool
    ) -> None:
        commit = transaction.commit
        broken = 0

        async def commit_and_lose_the_answer(session: Session, events: list[StoredEvent]) -> None:
            nonlocal broken
            broken += 1
            if broken > 1:
                return await commit(session, events)
            if committed:
                await commit(session, events)
            await session.close()
            raise psycopg.OperationalError("the connection was lost")

        monkeypatch.setattr(transaction, "commit", commit_and_lose_the_answer)
        both = await asyncio.gather(
            log.append([event("t", "seat:1"), event("t", "seat:2")], nothing_about("seat:1")),
            log.append([event("t", "seat:3")]),
        )
        assert [[stored.position for stored in each] for each in both] == [[1, 2], [3]]
        assert (await log.read()).events == [*both[0], *both[1]]
        assert broken == (1 if committed else 2)

    async def test_while_the_database_refuses_everybody_is_told_in_time_and_then_forgotten(
        self, log: PostgresLog, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "PATIENCE_S", 0.3)
        await log.append([event("before")])
        maintenance = connection_info(database_url, {"role": "none"})
        async with await psycopg.AsyncConnection.connect(maintenance, autocommit=True, dbname="postgres") as connection:
            name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
            allow = psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {{}}").format(
                psycopg.sql.Identifier(str(name))
            )
            await connection.execute(allow.as_string().format("false").encode())
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            try:
                with pytest.raises(LogUnavailable):
                    await asyncio.wait_for(log.append([event("meanwhile")]), 5)
            finally:
                await connection.execute(allow.as_string().format("true").encode())
        (after,) = await log.append([event("after")])
        assert after.position == 2
        assert [stored.type for stored in (await log.read()).events] == ["before", "after"]

    async def test_is_noticed_by_readers_and_followers_who_go_on(self, log: PostgresLog, database_url: str) -> None:
        await log.append([event("t", "a:1")])
        results = log.follow()
        assert (await anext(results)).head == 1
        for head in (2, 3):
            async with owner(database_url) as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            assert len((await log.read(about("a:1"))).events) == head - 1
            assert len((await log.read()).events) == head - 1
            await log.append([event("t", "a:1")])
            assert [stored.position for stored in (await asyncio.wait_for(anext(results), 5)).events] == [head]


async def test_an_append_that_the_database_refuses_does_not_take_its_batch_along(
    log: PostgresLog, database_url: str
) -> None:
    async with owner(database_url) as connection:
        await connection.execute("ALTER TABLE log.event ADD CONSTRAINT no_poison CHECK (type <> 'poison')")
        try:
            outcomes = await asyncio.gather(
                *(log.append([event("poison" if number == 3 else "good")]) for number in range(8)),
                return_exceptions=True,
            )
        finally:
            await connection.execute("ALTER TABLE log.event DROP CONSTRAINT no_poison")
    assert [isinstance(each, LogUnavailable) for each in outcomes] == [number == 3 for number in range(8)]
    assert await positions(log) == list(range(1, 8))


async def test_a_writer_that_fell_asleep_in_the_middle_of_a_batch_cannot_hold_the_others_up_for_ever(
    log: PostgresLog, database_url: str
) -> None:
    settings = {**transaction.SETTINGS, "idle_in_transaction_session_timeout": "200ms"}
    async with await psycopg.AsyncConnection.connect(connection_info(database_url, settings)) as sleeper:
        await sleeper.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
        await asyncio.wait_for(log.append([event()]), 3)
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            await sleeper.commit()


async def test_a_log_whose_database_is_away_does_not_open() -> None:
    with pytest.raises(LogUnavailable):
        async with PostgresLog("postgresql://postgres@/marrow?host=/nowhere"):
            pass


async def test_a_defect_is_told_to_the_callers_and_leaves_nobody_waiting(database_url: str) -> None:
    def broken_clock() -> None:
        raise ZeroDivisionError

    log = PostgresLog(database_url, clock=broken_clock)  # type: ignore[arg-type]  # that is the defect
    await log.__aenter__()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(log.append([event()]), 2)
    with pytest.raises(LogUnavailable):
        await log.append([event()])
    with pytest.raises(ZeroDivisionError):
        await log.__aexit__(None, None, None)
