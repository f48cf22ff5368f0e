"""Which appends of a batch hold: the conditions that the database cannot see, between appends of one batch."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.eventstore.model import AppendCondition, NewEvent, QueryItem, StoredEvent
from shared.eventstore.record import leaf_hash, seal


@dataclass(eq=False, slots=True)
class WaitingAppend:
    """An append on its way: its events, its condition, and the caller who waits for its fate."""

    events: Sequence[NewEvent]
    condition: AppendCondition | None
    fate: asyncio.Future[list[StoredEvent]]


def conditions_of(batch: Sequence[WaitingAppend]) -> list[dict[str, Any]]:
    """The conditions of a batch, an item each, as the database answers them: {append, types, tags, after}."""
    return [
        {"append": number, "types": item.types, "tags": item.tags, "after": append.condition.after}
        for number, append in enumerate(batch)
        if append.condition is not None
        for item in append.condition.fail_if_events_match.items or (QueryItem(),)
    ]


@dataclass(slots=True)
class Decided:
    """A batch after its conditions: what is to be stored, and which appends conflict."""

    accepted: list[tuple[WaitingAppend, list[StoredEvent]]] = field(default_factory=list)
    conflicting: list[WaitingAppend] = field(default_factory=list)

    @property
    def events(self) -> list[StoredEvent]:
        return [event for _, events in self.accepted for event in events]


def decide(batch: Sequence[WaitingAppend], conflicting: Collection[int], head: int, recorded_at: datetime) -> Decided:
    """Give positions after `head` to the appends that hold, in the order of their arrival.

    `conflicting` numbers the appends that conflict with the log as it stands; the others may still conflict with an
    append of this batch that came before them.
    """
    decided = Decided()
    arrived = _Arrived()
    position = head
    for number, append in enumerate(batch):
        if number in conflicting or (append.condition is not None and arrived.match(append.condition)):
            decided.conflicting.append(append)
            continue
        stored: list[StoredEvent] = []
        for event in append.events:
            position += 1
            record = seal(event.document, recorded_at)
            stored.append(StoredEvent(position, event.type, event.tags, recorded_at, record, leaf_hash(record)))
        arrived.add(stored)
        decided.accepted.append((append, stored))
    return decided


class _Arrived:
    """The events accepted so far in a batch, found by tag."""

    def __init__(self) -> None:
        self._all: list[StoredEvent] = []
        self._by_tag: dict[str, list[StoredEvent]] = {}

    def add(self, events: Sequence[StoredEvent]) -> None:
        self._all += events
        for event in events:
            for tag in event.tags:
                self._by_tag.setdefault(tag, []).append(event)

    def match(self, condition: AppendCondition) -> bool:
        """Whether one of them is an event that the condition excludes."""
        if not self._all:
            return False
        return any(
            self._match_item(item, condition.after) for item in condition.fail_if_events_match.items or (QueryItem(),)
        )

    def _match_item(self, item: QueryItem, after: int) -> bool:
        candidates = self._by_tag.get(item.tags[0], ()) if item.tags else self._all
        return any(
            event.position > after
            and (not item.types or event.type in item.types)
            and all(tag in event.tags for tag in item.tags)
            for event in candidates
        )
