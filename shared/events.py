"""Domain events: named, versioned, frozen; how they are written into a record and read back for ever.

An event class declares its own stable name, its schema version and which of its fields are tags of the log:

    class SubjectRandomized(Event, name="subject-randomized", version=1, tags=("subject", "site", "stratum")):
        subject: SubjectId
        ...

A shape that has changed is read through upcasters, pure functions from the data of one version to the data of
the next, so that what was recorded years ago decodes to the class of today.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel, ConfigDict

from shared.eventstore.model import StoredEvent

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class Event(BaseModel):
    """The base of every domain event. Subclasses are values: frozen, compared by their fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)  # errors end up in logs

    name: ClassVar[str]
    version: ClassVar[int]
    tag_fields: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, *, name: str, version: int = 1, tags: Sequence[str] = ()) -> None:
        super().__init_subclass__()
        if name in EVENT_TYPES:
            raise TypeError(f"two event classes are named {name!r}")
        cls.name, cls.version, cls.tag_fields = name, version, tuple(tags)
        EVENT_TYPES[name] = cls

    def tags(self) -> tuple[str, ...]:
        """The tags of the log that this event bears: `field:value` for each tag field that has a value."""
        pairs = ((field, getattr(self, field)) for field in self.tag_fields)
        return tuple(f"{field}:{value}" for field, value in pairs if value is not None)


EVENT_TYPES: dict[str, type[Event]] = {}
"""Every event class by its stored name; filled as the services' `events` modules are imported."""

_UPCASTERS: dict[tuple[str, int], Upcaster] = {}


def upcaster(name: str, from_version: int) -> Callable[[Upcaster], Upcaster]:
    """Register a pure function that turns the data of `name` at `from_version` into that of the next version."""

    def register(function: Upcaster) -> Upcaster:
        if (name, from_version) in _UPCASTERS:
            raise TypeError(f"two upcasters for {name!r} version {from_version}")
        _UPCASTERS[name, from_version] = function
        return function

    return register


@dataclass(frozen=True, slots=True)
class Recorded:
    """A domain event as it stands in the log: where, when it happened, when the log learned of it, and by whom."""

    position: int
    event: Event
    occurred_at: datetime
    recorded_at: datetime
    by: dict[str, Any]
    document: dict[str, Any]


def decode(stored: StoredEvent) -> Recorded:
    """Read a stored record as today's event class, upcasting older versions one step at a time.

    Raises LookupError when no class of that name is known, which means that its service was not imported.
    """
    document = orjson.loads(stored.record)
    event = decode_data(document["type"], document["version"], document["data"])
    return Recorded(
        position=stored.position,
        event=event,
        occurred_at=datetime.fromisoformat(document["occurred_at"]),
        recorded_at=stored.recorded_at,
        by=document["by"],
        document=document,
    )


def decode_data(name: str, version: int, data: dict[str, Any]) -> Event:
    """The event class of today for the `data` that was recorded under `name` at `version`."""
    event_type = EVENT_TYPES[name]
    while version < event_type.version:
        data = _UPCASTERS[name, version](data)
        version += 1
    return event_type.model_validate(data)
