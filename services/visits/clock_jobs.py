"""What the passing of time brings about by itself: items whose windows have closed are recorded as missed."""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits.commands import RecordMissedItems
from services.visits.missed import missed_items
from services.visits.questions_schedule import calendars_from, sites_of
from shared.clock_job import ClockJob
from shared.decision import Provenance, handle
from shared.identity import policy_actor
from shared.runtime import Runtime

SUBJECTS_AT_ONCE = 20
"""So few that requests wait for the reckoning of a batch but for some hundredths of a second."""


async def record_missed_items(runtime: Runtime, last_run_at: datetime | None = None) -> int:
    """Record every miss that has not been recorded yet; how many there were.

    A window closes with a day of its site, and so a site is gone through once on each of its days: what is entered late
    is looked at on the next. Who may have missed something is seen in the read model; the log alone decides it.
    """
    protocols, now, recorded = runtime.protocols, runtime.clock(), 0
    async with runtime.engine.connect() as connection, AsyncSession(bind=connection) as session:
        sites = [
            site
            for site in await sites_of(session)
            if last_run_at is None or protocols.civil_date(last_run_at, site) != protocols.civil_date(now, site)
        ]
    first: str | None = "" if sites else None
    while first is not None:
        async with runtime.engine.connect() as connection, AsyncSession(bind=connection) as session:
            calendars, first = await calendars_from(session, protocols, first, SUBJECTS_AT_ONCE, sites)
        for calendar in calendars:
            if calendar.newly_missed(protocols.civil_date(now, calendar.standing.site)):
                recorded += await _record(runtime, calendar.standing.id)
    return recorded


async def _record(runtime: Runtime, subject: str) -> int:
    provenance = Provenance(policy_actor(MISSED_ITEMS.name), secrets.token_hex(16), runtime.protocol_version)
    command = RecordMissedItems(subject=subject)
    outcome = await handle(runtime.log, runtime.clock, missed_items(runtime.protocols), command, provenance)
    return len(outcome.events)


MISSED_ITEMS = ClockJob(name="missed-items", run=record_missed_items)
