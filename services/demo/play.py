"""How the trial is played: day by day from its opening until everybody's year is over, all of it over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.demo.administrator import close_sites, open_sites
from services.demo.client import TrialClient
from services.demo.clock import SimulatedClock
from services.demo.entry import Entry
from services.demo.errors import DemoError
from services.demo.people import ONE_SITE_BELOW, Person, recruit
from services.demo.statistician import cap_enrolment, lift_cap, reveal_scheme, seal_scheme
from services.demo.trial import OFFICE_HOURS_END, Agenda, Trial, team
from shared.protocol import Protocol

SECOND_SITE = "02"
DAYS_BETWEEN_ARRIVALS = 2.0
ENTRY_DAYS_MAX = 21
"""From the first visit to day 0 at the latest; the protocol leaves a week more."""

RESERVE_DAYS = 14


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of a play: it opens on the first, and is over by the last, which has passed."""

    opens_on: date
    over_by: date
    zone: ZoneInfo

    def evening(self, on: date) -> datetime:
        """When a day's work is entered."""
        return datetime.combine(on, OFFICE_HOURS_END, self.zone)

    @property
    def opening(self) -> datetime:
        """When the first day begins."""
        return datetime.combine(self.opens_on, time(), self.zone)

    def days(self) -> Iterator[date]:
        for number in range((self.over_by - self.opens_on).days + 1):
            yield self.opens_on + timedelta(days=number)


@dataclass(frozen=True, slots=True)
class Plan:
    """Who will come to be screened, at which sites, and in which days."""

    people: tuple[Person, ...]
    sites: tuple[str, ...]
    calendar: Calendar


def plan(protocol: Protocol, subjects: int, now: datetime) -> Plan:
    """A trial of so many subjects that is over by now, however long the protocol's schedule is."""
    first_site = protocol.sites.known[0].id if protocol.sites.known else "01"
    sites = (first_site, SECOND_SITE) if subjects >= ONE_SITE_BELOW else (first_site,)
    diagnoses = next((factor.levels for factor in protocol.allocation.strata if factor.levels), ())
    zone = protocol.zone(first_site)
    over_by = now.astimezone(zone).date() - timedelta(days=1)
    people = recruit(subjects, sites, diagnoses, days_between=DAYS_BETWEEN_ARRIVALS, year=over_by.year - 1)
    length = people[-1].comes_after_days + ENTRY_DAYS_MAX + _year_days(protocol) + RESERVE_DAYS
    return Plan(tuple(people), sites, Calendar(over_by - timedelta(days=length), over_by, zone))


def _year_days(protocol: Protocol) -> int:
    """The last day, counted from day 0, on which the schedule lets anything be done."""
    activities = (activity for activity in protocol.schedule.activities if activity.origin == "day-0")
    return max(protocol.schedule.days_of(code).closes for activity in activities for code in activity.codes)


async def play(
    plan: Plan,
    client: TrialClient,
    clock: SimulatedClock,
    protocol: Protocol,
    subject_authority: str,
    tell: Callable[[date], None],
) -> None:
    """Play the plan. On each day those who have something to do do it at once, each in their own order.

    `tell` hears of every day that is over. Raises DemoError at the first answer that nobody expected.
    """
    teams = {site: team(site, protocol, subject_authority) for site in plan.sites}
    trial = Trial(client, protocol, teams)
    await open_sites(client, plan.sites, "The site has been initiated.")
    await cap_enrolment(client, len(plan.people))
    version = await seal_scheme(client, protocol, plan.sites, "Approved before the first subject.")
    agendas = [Agenda() for _ in plan.people]
    for person, agenda in zip(plan.people, agendas, strict=True):
        Entry(trial, person, agenda, plan.calendar.opens_on)
    for day in plan.calendar.days():
        due = [agenda for agenda in agendas if agenda.is_due(day)]
        if due:
            clock.move_to(plan.calendar.evening(day))
            await _all_of(due, day)
        tell(day)
    if not all(agenda.is_empty for agenda in agendas):
        raise DemoError(f"The play should have been over by {plan.calendar.over_by}, and is not.")
    await close_sites(client, plan.sites)
    await reveal_scheme(client, version)
    await _serve_on(client, protocol, plan.sites)


async def _serve_on(client: TrialClient, protocol: Protocol, sites: Sequence[str]) -> None:
    """Take people in again, under a new scheme and without a cap."""
    reason = "For whoever tries the trial that goes on being served."
    await seal_scheme(client, protocol, sites, reason)
    await open_sites(client, sites, reason)
    await lift_cap(client, reason)


async def _all_of(agendas: Sequence[Agenda], day: date) -> None:
    try:
        async with asyncio.TaskGroup() as together:
            for agenda in agendas:
                together.create_task(agenda.do(day))
    except* DemoError as errors:
        raise errors.exceptions[0] from None
