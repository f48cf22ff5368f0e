"""What is asked about an amendment that nobody has published yet: whether it may be, and what it would change."""

from __future__ import annotations

from datetime import date
from functools import reduce

from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits import replay
from services.visits.amendments import amending, candidate_of
from services.visits.answers_protocol import DryRun, ReplayedSubject
from services.visits.calendar import Calendar
from services.visits.commands_protocol import AmendProtocol
from services.visits.questions_schedule import calendars_from
from shared.call import LOG_POSITION, Call
from shared.events import decode
from shared.problems import NOT_YET_PROJECTED
from shared.protocol import Protocols
from shared.protocol.versions import Version


async def versions_in_log(call: Call) -> Protocols:
    """The versions that the log holds, at least as new as the caller asked for. Raises NOT_YET_PROJECTED."""
    position = await call.runtime.protocol_follower.catch_up()
    if position < (call.at_least or 0):
        raise NOT_YET_PROJECTED(headers={"Retry-After": "1"}, position=position)
    call.response.headers[LOG_POSITION] = str(position)
    return call.runtime.protocols


async def candidate(call: Call, command: AmendProtocol) -> Version:
    """The version that an amendment would publish. Raises whatever the amendment itself would be refused with."""
    rules = amending(call.runtime.protocols)
    read = await call.runtime.log.read(rules.boundary(command))
    known = (decode(stored) for stored in read.events)
    return candidate_of(command, rules.decide(command, reduce(rules.evolve, known, rules.initial(command))))


async def dry_run(
    call: Call, session: AsyncSession, version: Version, moved_on: date | None, after: str | None, limit: int
) -> DryRun:
    """One page of subjects, each as if it moved to the version on a day (default: today at its site)."""
    protocols = call.runtime.protocols
    calendars, following = await calendars_from(session, protocols, after or "", limit, call.actor.sites)
    items = [await _replayed(call, calendar, version, moved_on) for calendar in calendars]
    return DryRun(version=version.number, items=items, next=following)


async def _replayed(call: Call, calendar: Calendar, version: Version, moved_on: date | None) -> ReplayedSubject:
    protocols, now = call.runtime.protocols, call.runtime.clock()
    subject, site = calendar.standing.id, calendar.standing.site
    move = replay.moved(calendar, version, moved_on or protocols.civil_date(now, site))
    read = await call.runtime.log.read(replay.about_decisions(protocols.first, subject))
    events = [decode(stored) for stored in read.events]
    return ReplayedSubject.of(
        move,
        replay.changed_items(move),
        replay.second_dose_before_and_after(move, events),
        replay.changed_evaluations(version.readable, subject, events, now),
    )
