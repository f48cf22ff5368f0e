"""Within a batch the first to arrive is the first to be stored; a conflict fails alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from shared.eventstore.batch import WaitingAppend, conditions_of, decide
from shared.eventstore.model import EVERYTHING, AppendCondition, NewEvent
from shared.eventstore.record import draft
from tests.shared.eventstore.events_to_append import event, nothing_about

NOW = datetime(2026, 5, 10, tzinfo=UTC)


def waiting(*events: NewEvent, condition: AppendCondition | None = None) -> WaitingAppend:
    fate = asyncio.get_running_loop().create_future()
    return WaitingAppend(events, [draft(each) for each in events], condition, 0.0, fate)


async def test_positions_follow_the_head_without_a_gap() -> None:
    first, second = waiting(event(), event()), waiting(event())
    decided = decide([first, second], (), head=7, recorded_at=NOW)
    assert [stored.position for stored in decided.events] == [8, 9, 10]
    assert [[stored.position for stored in events] for _, events in decided.accepted] == [[8, 9], [10]]


async def test_of_two_that_exclude_each_other_the_first_is_stored_and_the_second_fails_alone() -> None:
    condition = nothing_about("seat:1")
    first, second = (waiting(event("seat-taken", "seat:1"), condition=condition) for _ in range(2))
    third = waiting(event("seat-taken", "seat:2"), condition=nothing_about("seat:2"))
    decided = decide([first, second, third], (), head=0, recorded_at=NOW)
    assert [append for append, _ in decided.accepted] == [first, third]
    assert decided.conflicting == [second]
    assert [stored.position for stored in decided.events] == [1, 2]


async def test_what_conflicts_with_the_log_excludes_nobody_in_the_batch() -> None:
    first = waiting(event("seat-taken", "seat:1"), condition=nothing_about("seat:9"))
    second = waiting(event("seat-taken", "seat:1"), condition=nothing_about("seat:1"))
    decided = decide([first, second], {0}, head=4, recorded_at=NOW)
    assert decided.conflicting == [first]
    assert [append for append, _ in decided.accepted] == [second]


async def test_a_condition_concerns_events_after_its_position_only() -> None:
    first = waiting(event("seat-taken", "seat:1"))
    second = waiting(event("seat-taken", "seat:1"), condition=nothing_about("seat:1", after=5))
    assert not decide([first, second], (), head=4, recorded_at=NOW).conflicting
    assert decide([first, second], (), head=5, recorded_at=NOW).conflicting == [second]


async def test_an_item_asks_for_all_of_its_tags_and_one_of_its_types() -> None:
    stored = waiting(event("seat-taken", "seat:1", "row:a"))

    def conflicts(*tags: str, types: tuple[str, ...] = ()) -> bool:
        later = waiting(event("other"), condition=nothing_about(*tags, types=types))
        return bool(decide([stored, later], (), head=0, recorded_at=NOW).conflicting)

    assert conflicts("row:a", "seat:1")
    assert conflicts("row:a", types=("seat-freed", "seat-taken"))
    assert conflicts(types=("seat-taken",))
    assert not conflicts("row:a", "seat:2")
    assert not conflicts("row:a", types=("seat-freed",))
    assert not conflicts(types=("seat-freed",))


async def test_the_condition_on_everything_excludes_every_event() -> None:
    first, second = waiting(event()), waiting(event(), condition=AppendCondition(EVERYTHING))
    assert decide([first, second], (), head=0, recorded_at=NOW).conflicting == [second]


async def test_what_the_log_could_never_hold_is_not_asked_for() -> None:
    append = waiting(event(), condition=nothing_about("seat:\0"))
    assert conditions_of([append]) == b"[]"
