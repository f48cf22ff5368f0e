"""Schedules as an iCalendar feed (RFC 5545): an all-day event for each item, by codes alone.

What stands in a calendar is read on telephones and by strangers: neither disease, name, arm nor treatment is told, and
not the trial either. An event is known again by its UID, which hangs on the subject and the item's code, whatever
becomes of dates and windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

from icalendar import Calendar as Feed
from icalendar import Event

from services.visits.calendar import Calendar
from services.visits.item_state import ItemState

MEDIA_TYPE = "text/calendar"
PRODUCT = "-//Marrow//Schedule//EN"


class Entry(NamedTuple):
    """One event of a feed. `sequence` is a log position: it grows whenever anything else here changes."""

    uid: str
    summary: str
    nominal_on: date
    cancelled: bool
    description: str
    sequence: int
    known_at: datetime


def entries(calendar: Calendar, known_at: datetime, today: date) -> Iterator[Entry]:
    """The events of a subject as of today, by nominal day; `known_at` is when the log last learned of the subject.

    Only what has been recorded is told, not what a day brings: a window that opens or closes changes nothing. An item
    that hangs on a condition stands here once it has been decided.
    """
    decided = calendar.conditions(today)
    for state in calendar.states(today):
        item = state.item
        if item.condition is None or item.condition in decided or state.position is not None:
            yield Entry(
                uid=_uid(calendar, item.code),
                summary=f"{calendar.standing.id} {item.code}",
                nominal_on=item.nominal_on,
                cancelled=state.state == "cancelled",
                description=_description(state),
                sequence=calendar.revised_by(state),
                known_at=known_at,
            )


def _uid(calendar: Calendar, code: str) -> str:
    """A name-based UUID (RFC 9562 §5.5, as RFC 7986 §5.3 asks for), from which nothing can be read."""
    return str(uuid5(NAMESPACE_URL, f"urn:marrow:{calendar.protocols.study_id}:{calendar.standing.id}:{code}"))


def _description(state: ItemState) -> str:
    window = f"Window {state.item.window.opens_on} to {state.item.window.closes_on}"
    if state.done_on is not None:
        return f"{window}; done {state.done_on}"
    return f"{window}; missed" if state.state == "missed" and state.miss_is_recorded else window


def feed(name: str, contents: Iterable[Entry]) -> bytes:
    """The feed of some events under a name, as UTF-8; the same events always make the same bytes."""
    calendar = Feed()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("name", name)
    for entry in contents:
        calendar.add_component(_event(entry))
    content: bytes = calendar.to_ical()
    return content


def _event(entry: Entry) -> Event:
    event = Event()
    event.add("uid", entry.uid)
    event.add("dtstamp", entry.known_at.astimezone(UTC).replace(microsecond=0))
    event.add("sequence", entry.sequence)
    event.add("status", "CANCELLED" if entry.cancelled else "CONFIRMED")
    event.add("dtstart", entry.nominal_on)
    event.add("dtend", entry.nominal_on + timedelta(days=1))  # the first day after (RFC 5545 §3.6.1)
    event.add("summary", entry.summary)
    event.add("description", entry.description)
    event.add("class", "CONFIDENTIAL")
    event.add("transp", "TRANSPARENT")
    return event
