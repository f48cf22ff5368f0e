"""What everybody in the play shares: the client, the protocol, the teams of the sites, and what was done before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, tzinfo

from services.demo.biology import COURSES, Course
from services.demo.client import Speaker, TrialClient
from services.demo.messages import CONVENTIONAL, SI, Laboratory
from shared.identity import Role
from shared.protocol import Protocol

Step = Callable[[date], Awaitable[None]]
"""Something that is done on a day."""

OFFICE_HOURS_END = time(17, 0)
"""What has happened on a day is entered at its end."""


class Agenda:
    """What is planned for the days to come, each day's in the order in which it was planned."""

    def __init__(self) -> None:
        self._steps: dict[date, list[Step]] = {}

    def plan(self, on: date, step: Step) -> None:
        self._steps.setdefault(on, []).append(step)

    def is_due(self, on: date) -> bool:
        return on in self._steps

    @property
    def is_empty(self) -> bool:
        return not self._steps

    def clear(self) -> None:
        self._steps.clear()

    async def do(self, on: date) -> None:
        """Do what is planned for a day, and what that plans for the same day."""
        while steps := self._steps.get(on):
            await steps.pop(0)(on)
        self._steps.pop(on, None)


@dataclass(frozen=True)
class Team:
    """Those who speak for a site, and its laboratory."""

    site: str
    zone: tzinfo
    coordinator: Speaker
    investigator: Speaker
    lab: Speaker
    laboratory: Laboratory

    def instant(self, on: date, hour: int) -> datetime:
        """An hour of a day on the site's clock."""
        return datetime.combine(on, time(hour), self.zone)

    def at(self, on: date, hour: int) -> str:
        """The same, as the API reads it."""
        return self.instant(on, hour).isoformat()


@dataclass
class Trial:
    """The trial as its people see it."""

    client: TrialClient
    protocol: Protocol
    teams: dict[str, Team]
    dealt: Counter[str] = field(default_factory=Counter)
    done_once: set[str] = field(default_factory=set)

    def first_time(self, what: str) -> bool:
        """Whether this is the first time that `what` is done; it then has been."""
        is_first = what not in self.done_once
        self.done_once.add(what)
        return is_first

    def deal(self, arm: str) -> tuple[int, Course]:
        """The next subject's number within its arm, from 0, and how it takes the treatment."""
        number = self.dealt[arm]
        self.dealt[arm] += 1
        courses = COURSES[self.protocol.arm(arm).treatment]
        return number, courses[number % len(courses)]


def team(site: str, protocol: Protocol, subject_authority: str) -> Team:
    """The people of a site. The site that the register names reports in SI units, any other in conventional ones."""
    is_registered = any(known.id == site for known in protocol.sites.known)
    zone = protocol.zone(site)
    return Team(
        site=site,
        zone=zone,
        coordinator=Speaker(Role.COORDINATOR, f"Coordinator of site {site}", site),
        investigator=Speaker(Role.INVESTIGATOR, f"Investigator of site {site}", site),
        lab=Speaker(Role.LAB, f"Laboratory of site {site}", site, application="LIS"),
        laboratory=Laboratory(site, zone, subject_authority, SI if is_registered else CONVENTIONAL),
    )
