"""Which appends of a batch hold, and what becomes of them: decided in the order of their arrival.

The database answers each condition for the log as it stands. What it cannot see is that two appends of one batch
may conflict with each other; that is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from shared.eventstore.model import AppendCondition, NewEvent, QueryItem, StoredEvent
from shared.eventstore.query import ANYTHING, findable_items, within_bigint
from shared.eventstore.record import Draft, format_instant, leaf_hash


@dataclass(eq=False, slots=True)
class WaitingAppend:
    """An append on its way: its events, its condition, until when it waits, and the caller who waits for its fate."""

    events: Sequence[NewEvent]
    drafts: Sequence[Draft]
    condition: AppendCondition | None
    deadline: float
    fate: asyncio.Future[list[StoredEvent]]


@dataclass(slots=True)
class Decided:
    """A batch after its conditions: what is to be stored, and which appends conflict."""

    accepted: list[tuple[WaitingAppend, list[StoredEvent]]] = field(default_factory=list)
    events: list[StoredEvent] = field(default_factory=list)
    conflicting: list[WaitingAppend] = field(default_factory=list)


def conditions_of(batch: Sequence[WaitingAppend]) -> bytes:
    """The conditions of a batch as JSON, one object an item: {append, types, tags, after}."""
    return orjson.dumps(
        [
            {"append": number, "types": item.types, "tags": item.tags, "after": within_bigint(append.condition.after)}
            for number, append in enumerate(batch)
            if append.condition is not None
            for item in findable_items(append.condition.fail_if_events_match)
        ]
    )


def decide(batch: Sequence[WaitingAppend], conflicting: Collection[int], head: int, recorded_at: datetime) -> Decided:
    """Give positions after `head` to the appends that hold.

    `conflicting` numbers the appends that conflict with the log as it stands; the others may still conflict with an
    append that came before them in this batch.
    """
    decided = Decided()
    arrived = _Arrived()
    position = head
    instant = format_instant(recorded_at).encode()
    for number, append in enumerate(batch):
        if number in conflicting or (append.condition is not None and arrived.match(append.condition)):
            decided.conflicting.append(append)
            continue
        stored: list[StoredEvent] = []
        for event, draft in zip(append.events, append.drafts, strict=True):
            position += 1
            record = draft.seal(instant)
            stored.append(StoredEvent(position, event.type, event.tags, recorded_at, record, leaf_hash(record)))
        arrived.add(stored)
        decided.accepted.append((append, stored))
        decided.events += stored
    return decided


class _Arrived:
    """The events accepted so far in a batch, found by tag and by type."""

    def __init__(self) -> None:
        self._all: list[StoredEvent] = []
        self._by_tag: dict[str, list[StoredEvent]] = {}
        self._types: set[str] = set()

    def add(self, events: Sequence[StoredEvent]) -> None:
        self._all += events
        for event in events:
            self._types.add(event.type)
            for tag in event.tags:
                self._by_tag.setdefault(tag, []).append(event)

    def match(self, condition: AppendCondition) -> bool:
        """Whether one of them is an event that the condition excludes."""
        for item in condition.fail_if_events_match.items or ANYTHING:
            for event in self._candidates(item):
                if event.position > condition.after and item.matches(event.type, event.tags):
                    return True
        return False

    def _candidates(self, item: QueryItem) -> Sequence[StoredEvent]:
        if item.tags:
            return self._by_tag.get(item.tags[0], ())
        return self._all if not item.types or self._types.intersection(item.types) else ()
