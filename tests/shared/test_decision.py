"""Every command goes through one `handle`: decided on what the log holds, recorded once, attributable for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import ValidationError

from shared.decision import Command, Decider, Outcome, Provenance, RequestKey, handle, require_own_key
from shared.events import Event, Recorded
from shared.eventstore.memory import MemoryLog
from shared.eventstore.model import EVERYTHING, NewEvent, Query, QueryItem, ReadResult
from shared.identity import Actor, Role
from shared.problems import IN_FUTURE, KEY_REUSED, WRITE_CONFLICT, Problem, refusal

NOW = datetime(2026, 5, 10, 8, 0, tzinfo=UTC)
NURSE = Actor(id="n1", name="N. Urse", role=Role.COORDINATOR, org="Second Hospital")
BED_TAKEN = refusal("test-bed-taken", 409, "The bed is taken.")


class BedTaken(Event, name="test-bed-taken", version=1, tags=("ward",)):
    ward: str
    bed: int


class TakeBed(Command):
    ward: str
    bed: int | None = None


def taken(beds: frozenset[int], recorded: Recorded) -> frozenset[int]:
    match recorded.event:
        case BedTaken(bed=bed):
            return beds | {bed}
        case _:
            return beds


def take_bed(command: TakeBed, beds: frozenset[int]) -> Sequence[Event]:
    bed = command.bed or len(beds) + 1
    if bed in beds:
        raise BED_TAKEN(bed=bed)
    return [BedTaken(ward=command.ward, bed=bed)]


BEDS: Decider[TakeBed, frozenset[int]] = Decider(
    boundary=lambda command: Query((QueryItem(types=("test-bed-taken",), tags=(f"ward:{command.ward}",)),)),
    initial=lambda _: frozenset(),
    evolve=taken,
    decide=take_bed,
)


def clock() -> datetime:
    return NOW


def asked(key: str | None = None, body: bytes = b"{}", actor: Actor = NURSE) -> Provenance:
    request_key = RequestKey.of(actor, key, b"POST /beds", body) if key else None
    return Provenance(actor, trace="t" * 32, protocol="1.0", key=request_key, cause=7)


async def take(log: MemoryLog, ward: str = "A", bed: int | None = None, key: str | None = None) -> Outcome:
    return await handle(log, clock, BEDS, TakeBed(ward=ward, bed=bed), asked(key))


def the_bed(outcome: Outcome) -> int:
    (recorded,) = outcome.events
    assert isinstance(recorded.event, BedTaken)
    return recorded.event.bed


async def test_a_command_becomes_an_event_that_says_who_when_why_and_whence(memory_log: MemoryLog) -> None:
    happened = NOW - timedelta(days=7)
    command = TakeBed(ward="A", occurred_at=happened, reason="moved from B")
    outcome = await handle(memory_log, clock, BEDS, command, asked("k1"))
    (recorded,) = outcome.events
    assert recorded.event == BedTaken(ward="A", bed=1)
    assert (recorded.position, outcome.position) == (1, 1)
    assert recorded.occurred_at == happened
    assert recorded.document["by"] == NURSE.as_recorded()
    assert recorded.document["reason"] == "moved from B"
    assert recorded.document["trace"] == "t" * 32
    assert recorded.document["cause"] == 7
    assert recorded.document["protocol"] == "1.0"
    assert set(recorded.document["tags"]) >= {"ward:A"}


async def test_what_has_no_date_of_its_own_happened_now(memory_log: MemoryLog) -> None:
    assert (await take(memory_log)).events[0].occurred_at == NOW


async def test_what_has_not_happened_yet_is_refused(memory_log: MemoryLog) -> None:
    command = TakeBed(ward="A", occurred_at=NOW + timedelta(minutes=3))
    with pytest.raises(Problem) as problem:
        await handle(memory_log, clock, BEDS, command, asked())
    assert problem.value.refusal == IN_FUTURE
    assert await memory_log.head() == 0


async def test_a_refused_command_records_nothing(memory_log: MemoryLog) -> None:
    await take(memory_log, bed=1)
    with pytest.raises(Problem) as problem:
        await take(memory_log, bed=1)
    assert problem.value.refusal == BED_TAKEN
    assert await memory_log.head() == 1


async def test_the_same_key_and_request_replay_the_first_answer(memory_log: MemoryLog) -> None:
    first = await take(memory_log, key="k1")
    second = await take(memory_log, key="k1")
    assert second.replayed
    assert not first.replayed
    assert (second.events, second.position) == (first.events, first.position)
    assert await memory_log.head() == 1


async def test_the_same_key_with_another_request_is_refused(memory_log: MemoryLog) -> None:
    await handle(memory_log, clock, BEDS, TakeBed(ward="A"), asked("k1", b'{"ward":"A"}'))
    with pytest.raises(Problem) as problem:
        await handle(memory_log, clock, BEDS, TakeBed(ward="B"), asked("k1", b'{"ward":"B"}'))
    assert problem.value.refusal == KEY_REUSED


def of_several(number: int, body: bytes = b"[{}, {}]") -> Provenance:
    """One of the several commands of a request under the key k1."""
    provenance = asked("k1", body)
    return replace(provenance, key=provenance.key and provenance.key.part(number))


async def take_of_several(log: MemoryLog, number: int, body: bytes = b"[{}, {}]") -> Outcome:
    return await handle(log, clock, BEDS, TakeBed(ward=f"W{number}"), of_several(number, body))


async def test_a_request_of_several_commands_that_stopped_halfway_is_continued(memory_log: MemoryLog) -> None:
    first = await take_of_several(memory_log, 0)
    again, rest = await take_of_several(memory_log, 0), await take_of_several(memory_log, 1)
    assert (again.events, again.replayed, rest.replayed) == (first.events, True, False)
    assert await memory_log.head() == 2


async def test_the_key_of_several_commands_is_refused_to_another_request_also_for_what_the_first_had_not(
    memory_log: MemoryLog,
) -> None:
    await take_of_several(memory_log, 0)
    for command, provenance in (
        (TakeBed(ward="A"), asked("k1", b"{}")),
        (TakeBed(ward="A"), of_several(0, b"[{}, {}, {}]")),
        (TakeBed(ward="A"), of_several(2, b"[{}, {}, {}]")),
    ):
        with pytest.raises(Problem) as problem:
            await handle(memory_log, clock, BEDS, command, provenance)
        assert problem.value.refusal == KEY_REUSED
    assert await memory_log.head() == 1


async def test_the_key_of_a_single_command_is_refused_to_a_request_of_several(memory_log: MemoryLog) -> None:
    await take(memory_log, key="k1")
    with pytest.raises(Problem) as problem:
        await take_of_several(memory_log, 1)
    assert problem.value.refusal == KEY_REUSED
    other = of_several(0).key
    assert other is not None
    with pytest.raises(Problem):
        await require_own_key(memory_log, other)


async def test_of_different_requests_at_once_under_one_key_only_one_records(memory_log: MemoryLog) -> None:
    bodies = [str(number).encode() for number in range(16)]
    outcomes = await asyncio.gather(
        *(take_of_several(memory_log, number, body) for number, body in enumerate(bodies)), return_exceptions=True
    )
    assert len([outcome for outcome in outcomes if isinstance(outcome, Outcome)]) == 1
    assert {outcome.refusal for outcome in outcomes if isinstance(outcome, Problem)} == {KEY_REUSED}
    assert await memory_log.head() == 1


async def test_two_callers_may_use_the_same_key(memory_log: MemoryLog) -> None:
    other = Actor(id="n2", name="Other", role=Role.COORDINATOR, org="Second Hospital")
    await take(memory_log, key="k1")
    outcome = await handle(memory_log, clock, BEDS, TakeBed(ward="A"), asked("k1", actor=other))
    assert the_bed(outcome) == 2


async def test_64_commands_at_once_take_64_different_beds_in_order(memory_log: MemoryLog) -> None:
    outcomes = await asyncio.gather(*(take(memory_log) for _ in range(64)))
    assert sorted(the_bed(outcome) for outcome in outcomes) == list(range(1, 65))
    assert await memory_log.head() == 64


async def test_64_retries_at_once_of_one_request_take_one_bed(memory_log: MemoryLog) -> None:
    outcomes = await asyncio.gather(*(take(memory_log, key="k1") for _ in range(64)))
    assert {the_bed(outcome) for outcome in outcomes} == {1}
    assert await memory_log.head() == 1


class RivalLog(MemoryLog):
    """A log in which somebody else takes a bed whenever a decision has been read for."""

    async def read(self, query: Query = EVERYTHING, *, after: int = 0, limit: int | None = None) -> ReadResult:
        result = await super().read(query, after=after, limit=limit)
        document = {"id": uuid4().hex, "type": "test-bed-taken", "version": 1, "tags": ("ward:A",)}
        rival = document | {"data": {"ward": "A", "bed": 1000 + result.head}, "occurred_at": NOW.isoformat(), "by": {}}
        await self.append([NewEvent("test-bed-taken", ("ward:A",), rival | {"key": None})])
        return result


async def test_a_decision_that_always_comes_too_late_ends_in_a_named_refusal() -> None:
    with pytest.raises(Problem) as problem:
        await take(RivalLog(clock=clock))
    assert problem.value.refusal == WRITE_CONFLICT


def test_an_error_about_a_command_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(ValidationError) as error:
        TakeBed.model_validate({"ward": "A", "bed": "Jane Doe"})
    assert "bed" in str(error.value)
    assert "Jane" not in str(error.value)
