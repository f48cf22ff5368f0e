"""A subject as it was known at one time to have been at another; pages of events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.audit import merkle
from services.audit.answers import EventPage, SubjectAsOf
from shared.eventstore.model import StoredEvent
from tests.audit.logs import STARTED_AT, record

DAY = timedelta(days=1)


def stored(position: int, kind: str, day: int, value: str) -> StoredEvent:
    """An event that happened on a day of March 2026, and was recorded as many minutes after the start as it stands."""
    occurred_at = f"2026-03-{day:02d}T00:00:00.000000Z"
    content = record(position, type=kind, occurred_at=occurred_at, data={"value": value})
    recorded_at = STARTED_AT + timedelta(minutes=position)
    return StoredEvent(position, kind, (), recorded_at, content, merkle.leaf_hash(content))


WEIGHED = stored(1, "weight", 1, "70")
WEIGHED_LATER = stored(2, "weight", 8, "72")
LATE_ENTRY = stored(3, "weight", 5, "71")
CORRECTION = stored(4, "weight", 8, "27")
SEEN = stored(5, "visit", 8, "")
EVENTS = (WEIGHED, WEIGHED_LATER, LATE_ENTRY, CORRECTION, SEEN)


def weight(recorded: datetime | None = None, occurred: datetime | None = None) -> str | None:
    state = SubjectAsOf.of("01-001", EVENTS, recorded, occurred).state
    return state["weight"].data["value"] if "weight" in state else None


def recorded_at(event: StoredEvent) -> datetime:
    return event.recorded_at


def day(number: int) -> datetime:
    return datetime(2026, 3, number, tzinfo=UTC)


class TestAsOf:
    def test_the_latest_that_happened_counts_and_its_correction_before_it(self) -> None:
        assert weight() == "27"

    def test_a_late_entry_of_an_older_fact_does_not_hide_a_newer_one(self) -> None:
        assert weight(recorded=recorded_at(LATE_ENTRY)) == "72"

    def test_what_had_not_happened_yet_does_not_count(self) -> None:
        assert weight(occurred=day(7)) == "71"
        assert weight(occurred=day(8)) == "27"

    def test_what_was_not_known_yet_does_not_count(self) -> None:
        assert weight(recorded=recorded_at(WEIGHED_LATER), occurred=day(7)) == "70"
        assert weight(recorded=recorded_at(WEIGHED) - timedelta(microseconds=1)) is None

    def test_events_stand_in_the_order_of_the_log(self) -> None:
        answer = SubjectAsOf.of("01-001", EVENTS, None, day(8))
        assert [event.position for event in answer.events] == [1, 2, 3, 4, 5]
        assert set(answer.state) == {"weight", "visit"}


class TestPages:
    @pytest.mark.parametrize(
        ("limit", "positions", "following"), [(2, [1, 2], 2), (4, [1, 2, 3, 4], 4), (5, [1, 2, 3, 4, 5], None)]
    )
    def test_a_page_names_the_next_where_there_is_one(
        self, limit: int, positions: list[int], following: int | None
    ) -> None:
        page = EventPage.of(EVENTS[: limit + 1], limit)
        assert ([item.position for item in page.items], page.next) == (positions, following)
