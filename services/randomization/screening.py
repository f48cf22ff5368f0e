"""Under which number a person is screened: the site's next, never one that was used before, also when screened again.

A person who failed screening may come again. The new number is linked to the earlier one, which ends there: it keeps
what was found under it, and takes no further step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.randomization.commands import RescreenSubject, ScreenSubject
from services.randomization.events import Sex, SubjectRescreened, SubjectScreened
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


def _numbers_of(site: str) -> Query:
    return Query((QueryItem(types=(SubjectScreened.name,), tags=(f"site:{site}",)),))


def _last_number(number: int, recorded: Recorded) -> int:
    match recorded.event:
        case SubjectScreened(subject=subject):
            return max(number, int(subject.removeprefix(f"{site_of(subject)}-")))
        case _:
            return number


def _next_number(site: str, last_number: int) -> str:
    """The site's next number, from 001; numbers are never used twice (EMA GCP: unambiguous identification)."""
    if last_number >= LAST_SCREENING_NUMBER:
        raise SITE_FULL(site=site)
    return f"{site}-{last_number + 1:03d}"


def screen(protocol: Protocol, command: ScreenSubject, last_number: int) -> Sequence[Event]:
    """A person under the site's next number.

    Raises BIRTH_YEAR_IMPLAUSIBLE for an age that no person can have.
    """
    require_since_start(protocol, command.site, command.at)
    year = protocol.civil_date(command.at, command.site).year
    if not year - LIFETIME_YEARS_MAX <= command.birth_year <= year:
        raise BIRTH_YEAR_IMPLAUSIBLE(earliest=year - LIFETIME_YEARS_MAX, latest=year)
    return [
        SubjectScreened(
            subject=_next_number(command.site, last_number),
            site=command.site,
            birth_year=command.birth_year,
            sex=_SEX[command.sex],
        )
    ]


def screening(protocol: Protocol) -> Decider[ScreenSubject, int]:
    """The rules of screening under a protocol."""
    return Decider(
        boundary=lambda command: _numbers_of(command.site),
        initial=lambda _: 0,
        evolve=_last_number,
        decide=lambda command, last_number: screen(protocol, command, last_number),
    )


@dataclass(frozen=True, slots=True)
class Returning:
    """Who failed screening and comes again, and the last number of the site."""

    id: str
    subject: Subject = field(default_factory=Subject)
    last_number: int = 0


def evolve_returning(state: Returning, recorded: Recorded) -> Returning:
    """Numbers count over all subjects of the site; everything else, only for the one that comes again."""
    state = replace(state, last_number=_last_number(state.last_number, recorded))
    if f"subject:{state.id}" in recorded.event.tags():
        state = replace(state, subject=evolve(state.subject, recorded))
    return state


def rescreen(protocol: Protocol, command: RescreenSubject, state: Returning) -> Sequence[Event]:
    """The same person at the same site under a new number, who consents and is assessed anew."""
    subject = require_active(state.subject)
    if subject.eligible is not False:
        raise NOT_SCREEN_FAILED()
    site = site_of(command.subject)
    number = _next_number(site, state.last_number)
    require_since_start(protocol, site, command.at)
    return [
        SubjectScreened(subject=number, site=site, birth_year=subject.birth_year, sex=subject.sex),
        SubjectRescreened(subject=number, site=site, rescreening_of=command.subject),
    ]


def rescreening(protocol: Protocol) -> Decider[RescreenSubject, Returning]:
    """The rules of screening again under a protocol."""
    return Decider(
        boundary=lambda command: _numbers_of(site_of(command.subject)) | subject_query(command.subject),
        initial=lambda command: Returning(id=command.subject),
        evolve=evolve_returning,
        decide=lambda command, state: rescreen(protocol, command, state),
    )
