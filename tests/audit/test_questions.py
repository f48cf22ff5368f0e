"""Reads of the log by position."""

from __future__ import annotations

import pytest

from services.audit.questions import NEIGHBOURS_MAX, events_at
from shared.eventstore.memory import MemoryLog
from shared.eventstore.model import NewEvent
from tests.audit.logs import document


def event(number: int) -> NewEvent:
    members = document(number, type="seen", tags=())
    del members["recorded_at"]  # the log says that
    return NewEvent("seen", (), members)


class TestReadingByPosition:
    @pytest.mark.parametrize(
        "positions",
        [
            [],
            [1],
            [60],
            [1, 2, 3],
            [1, 40, 41, 60],
            [2, 2 + NEIGHBOURS_MAX],
            [2, 3 + NEIGHBOURS_MAX],
            list(range(1, 61)),
        ],
    )
    async def test_exactly_the_wanted_events_come_in_order(self, memory_log: MemoryLog, positions: list[int]) -> None:
        await memory_log.append([event(number) for number in range(1, 61)])
        assert [event.position for event in await events_at(memory_log, positions)] == positions

    async def test_what_the_log_does_not_hold_is_left_out(self, memory_log: MemoryLog) -> None:
        await memory_log.append([event(1)])
        assert [event.position for event in await events_at(memory_log, [1, 2, 10**12])] == [1]
