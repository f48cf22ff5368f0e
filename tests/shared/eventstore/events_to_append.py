"""Small events for the tests of the log."""

from __future__ import annotations

from uuid import uuid4

from shared.eventstore.model import AppendCondition, NewEvent, Query, QueryItem


def event(event_type: str = "seat-taken", *tags: str, **data: object) -> NewEvent:
    """A new event; its record is the only one of its kind by its id."""
    return NewEvent(event_type, tags, {"id": uuid4().hex, "type": event_type, "tags": list(tags), "data": data})


def about(*tags: str, types: tuple[str, ...] = ()) -> Query:
    """The events that bear all of the tags, of these types only if any are named."""
    return Query((QueryItem(types, tags),))


def nothing_about(*tags: str, types: tuple[str, ...] = (), after: int = 0) -> AppendCondition:
    """The condition that no such event stands after a position."""
    return AppendCondition(about(*tags, types=types), after)
