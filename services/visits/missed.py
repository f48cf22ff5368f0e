"""Which items of a subject are recorded as missed: a window closed, by the site's calendar, without a record.

Decided on what the log holds of the subject, and so once, whoever else decides it at the same time. A loss to follow-up
changes nothing: follow-up is owed until an end is known, and what is not done meanwhile is missed.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.visits.calendar import Calendar
from services.visits.commands import RecordMissedItems
from services.visits.events import ItemMissed
from services.visits.followed import EVENTS, Followed, evolve
from services.visits.versions import following_on
from shared.decision import Decider
from shared.events import Event
from shared.eventstore.model import Query, QueryItem
from shared.protocol import Protocols
from shared.versioned_rules import Read


def record_missed(protocols: Protocols, command: RecordMissedItems, followed: Followed) -> Sequence[Event]:
    """The misses that no event tells of yet, as of the civil day of the command at the site; mostly none.

    A window that closes today is open until the day is over. An item whose window has moved since its miss was recorded
    can be missed again.
    """
    known = followed.deeds, followed.specimens.values(), followed.misses, followed.signed
    calendar = Calendar.of(protocols, followed.standing, *known)
    if calendar is None:
        return ()
    site = calendar.standing.site
    return [
        ItemMissed(
            subject=command.subject,
            site=site,
            code=missed.item.code,
            activity=missed.item.activity,
            nominal_on=missed.item.nominal_on,
            opens_on=missed.item.window.opens_on,
            closes_on=missed.item.window.closes_on,
            protocol_version=missed.item.version,
        )
        for missed in calendar.newly_missed(protocols.civil_date(command.at, site))
    ]


def missed_items(protocols: Protocols) -> Decider[RecordMissedItems, Read]:
    """The rule of missed items; what it has seen is all that a calendar rests on, and that no version is newer."""
    types = tuple(event.name for event in EVENTS)
    rules: Decider[RecordMissedItems, Followed] = Decider(
        boundary=lambda command: Query((QueryItem(types=types, tags=(f"subject:{command.subject}",)),)),
        initial=lambda _: Followed(),
        evolve=evolve,
        decide=lambda command, followed: record_missed(protocols, command, followed),
    )
    return following_on(protocols, lambda _: rules)
