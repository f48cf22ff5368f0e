"""Under which number a person is screened: the site's next, never one that was used before, also when screened again.

A person who failed screening may come again. The new number is linked to the earlier one, which ends there: it keeps
what was found under it, and takes no further step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.randomization.commands import RescreenSubject, ScreenSubject
from services.randomization.events import Sex, SubjectRescreened, SubjectScreened
from services.randomization.sites import about_opening, evolve_opening, require_open
from services.randomization.subject import Subject, evolve, require_active, subject_query
from shared.chronology import require_since_start
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.eventstore.model import Query, QueryItem
from shared.problems import refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

SITE_FULL = refusal("screening-numbers-exhausted", 409, "The site has no screening number left.")
BIRTH_YEAR_IMPLAUSIBLE = refusal(
    "birth-year-implausible", 422, "A person is born before being screened, and not longer ago than people live."
)
NOT_SCREEN_FAILED = refusal("not-screen-failed", 409, "The subject has not failed screening.")

LAST_SCREENING_NUMBER = 999
"""Subject ids are SITE-NNN."""

LIFETIME_YEARS_MAX = 120
"""No older, a year is a slip of the pen. Whom the trial takes, the protocol's criteria say."""

_SEX: dict[str, Sex] = {
    "F": "F",
    "M": "M",
    "U": "U",
    "UNDIFFERENTIATED": "UNDIFFERENTIATED",
    # the FHIR words (AdministrativeGender)
    "female": "F",
    "male": "M",
    "unknown": "U",
    "other": "UNDIFFERENTIATED",
}


@dataclass(frozen=True, slots=True)
class Register:
    """A site's screening register: its last number, and whether it is open (None where nothing is recorded of it)."""

    site: str
    last_number: int = 0
    is_open: bool | None = None

    def next_number(self) -> str:
        """The site's next number, from 001; numbers are never used twice (EMA GCP: unambiguous identification).

        Raises SITE_CLOSED or SITE_FULL.
        """
        require_open(self.site, self.is_open)
        if self.last_number >= LAST_SCREENING_NUMBER:
            raise SITE_FULL(site=self.site)
        return f"{self.site}-{self.last_number + 1:03d}"


def _about_register(site: str) -> Query:
    return about_opening(site) | Query((QueryItem(types=(SubjectScreened.name,), tags=(f"site:{site}",)),))


def evolve_register(register: Register, recorded: Recorded) -> Register:
    """The register after one more event."""
    match recorded.event:
        case SubjectScreened(subject=subject):
            number = int(subject.removeprefix(f"{site_of(subject)}-"))
            return replace(register, last_number=max(register.last_number, number))
        case _:
            return replace(register, is_open=evolve_opening(register.is_open, recorded))


def screen(protocol: Protocol, command: ScreenSubject, register: Register) -> Sequence[Event]:
    """A person under the site's next number.

    Raises BIRTH_YEAR_IMPLAUSIBLE for an age that no person can have.
    """
    require_since_start(protocol, command.site, command.at)
    year = protocol.civil_date(command.at, command.site).year
    if not year - LIFETIME_YEARS_MAX <= command.birth_year <= year:
        raise BIRTH_YEAR_IMPLAUSIBLE(earliest=year - LIFETIME_YEARS_MAX, latest=year)
    return [
        SubjectScreened(
            subject=register.next_number(),
            site=command.site,
            birth_year=command.birth_year,
            sex=_SEX[command.sex],
        )
    ]


def screening(protocol: Protocol) -> Decider[ScreenSubject, Register]:
    """The rules of screening under a protocol."""
    return Decider(
        boundary=lambda command: _about_register(command.site),
        initial=lambda command: Register(command.site),
        evolve=evolve_register,
        decide=lambda command, register: screen(protocol, command, register),
    )


@dataclass(frozen=True, slots=True)
class Returning:
    """Who failed screening and comes again, and the register of the site."""

    id: str
    register: Register
    subject: Subject = field(default_factory=Subject)


def evolve_returning(state: Returning, recorded: Recorded) -> Returning:
    """Numbers count over all subjects of the site; everything else, only for the one that comes again."""
    state = replace(state, register=evolve_register(state.register, recorded))
    if f"subject:{state.id}" in recorded.event.tags():
        state = replace(state, subject=evolve(state.subject, recorded))
    return state


def rescreen(protocol: Protocol, command: RescreenSubject, state: Returning) -> Sequence[Event]:
    """The same person at the same site under a new number, who consents and is assessed anew."""
    subject = require_active(state.subject)
    if subject.eligible is not False:
        raise NOT_SCREEN_FAILED()
    site = site_of(command.subject)
    number = state.register.next_number()
    require_since_start(protocol, site, command.at)
    return [
        SubjectScreened(subject=number, site=site, birth_year=subject.birth_year, sex=subject.sex),
        SubjectRescreened(subject=number, site=site, rescreening_of=command.subject),
    ]


def rescreening(protocol: Protocol) -> Decider[RescreenSubject, Returning]:
    """The rules of screening again under a protocol."""
    return Decider(
        boundary=lambda command: _about_register(site_of(command.subject)) | subject_query(command.subject),
        initial=lambda command: Returning(command.subject, Register(site_of(command.subject))),
        evolve=evolve_returning,
        decide=lambda command, state: rescreen(protocol, command, state),
    )
