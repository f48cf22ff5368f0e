"""The rules of the way into the trial: screening → consent → eligibility → enrolment → randomization, and out of it.

Pure functions: nothing here reads a clock, draws a number or touches a database. What the rules know of a subject, and
what bars any of them, stands in `subject`. A step needs the one before it on record, and no order of their days: sites
date what they enter late in part only, and consent is normally signed before there is a screening number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from services.randomization.commands import (
    AssessEligibility,
    EnrolSubject,
    ObtainConsent,
    RandomizeSubject,
    ScreenSubject,
    WithdrawSubject,
)
from services.randomization.eligibility import assess
from services.randomization.events import (
    EligibilityAssessed,
    InformedConsentObtained,
    Sex,
    SubjectEnrolled,
    SubjectRandomized,
    SubjectScreened,
    SubjectWithdrawn,
)
from services.randomization.permuted_blocks import arms
from services.randomization.subject import Subject, evolve, require_active, subject_query
from shared.chronology import require_since_start
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.eventstore.model import Query, QueryItem
from shared.problems import REASON_REQUIRED, WITHDRAWN, refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

SITE_FULL = refusal("screening-numbers-exhausted", 409, "The site has no screening number left.")
BIRTH_YEAR_IMPLAUSIBLE = refusal(
    "birth-year-implausible", 422, "A person is born before being screened, and not longer ago than people live."
)
NOT_CONSENTED = refusal("not-consented", 409, "The subject has not given informed consent.")
NOT_ELIGIBLE = refusal("not-eligible", 409, "The subject has not been found eligible.")
ALREADY_ENROLLED = refusal("subject-already-enrolled", 409, "The subject is enrolled already.")
NOT_ENROLLED = refusal("not-enrolled", 409, "The subject has not been enrolled.")
ALREADY_RANDOMIZED = refusal("subject-already-randomized", 409, "The subject has been randomized already.")
ALLOCATION_LIST_DIFFERS = refusal(
    "allocation-list-differs", 409, "This host's secret seed is not the one of earlier allocations."
)

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

A = TypeVar("A", ObtainConsent, AssessEligibility, EnrolSubject, WithdrawSubject)


# Screening numbers: one site at a time.


def _screening_boundary(command: ScreenSubject) -> Query:
    return Query((QueryItem(types=(SubjectScreened.name,), tags=(f"site:{command.site}",)),))


def _last_number(number: int, recorded: Recorded) -> int:
    match recorded.event:
        case SubjectScreened(subject=subject):
            return max(number, int(subject.removeprefix(f"{site_of(subject)}-")))
        case _:
            return number


def screen(protocol: Protocol, command: ScreenSubject, last_number: int) -> Sequence[Event]:
    """The site's next number, from 001; numbers are never used twice (EMA GCP: unambiguous identification).

    Raises BIRTH_YEAR_IMPLAUSIBLE for an age that no person can have.
    """
    require_since_start(protocol, command.site, command.at)
    year = protocol.civil_date(command.at, command.site).year
    if not year - LIFETIME_YEARS_MAX <= command.birth_year <= year:
        raise BIRTH_YEAR_IMPLAUSIBLE(earliest=year - LIFETIME_YEARS_MAX, latest=year)
    if last_number >= LAST_SCREENING_NUMBER:
        raise SITE_FULL(site=command.site)
    return [
        SubjectScreened(
            subject=f"{command.site}-{last_number + 1:03d}",
            site=command.site,
            birth_year=command.birth_year,
            sex=_SEX[command.sex],
        )
    ]


def screening(protocol: Protocol) -> Decider[ScreenSubject, int]:
    """The rules of screening under a protocol."""
    return Decider(
        boundary=_screening_boundary,
        initial=lambda _: 0,
        evolve=_last_number,
        decide=lambda command, last_number: screen(protocol, command, last_number),
    )


# The subject: one person's way into the trial.


def obtain_consent(command: ObtainConsent, subject: Subject) -> Sequence[Event]:
    """A first consent, or a later one to a new version of the form."""
    require_active(subject)
    return [
        InformedConsentObtained(subject=command.subject, site=site_of(command.subject), consent_version=command.version)
    ]


def assess_eligibility(protocol: Protocol, command: AssessEligibility, subject: Subject) -> Sequence[Event]:
    """Check the findings against the protocol. Procedures of screening need consent first (ICH E6(R3) 2.8.1).

    Before enrolment findings may be assessed again, with a reason; afterwards the assessment stands.
    """
    require_active(subject)
    if not subject.consented:
        raise NOT_CONSENTED()
    if subject.enrolled:
        raise ALREADY_ENROLLED()
    if subject.eligible is not None and command.reason is None:
        raise REASON_REQUIRED("The subject has been assessed before.")
    site = site_of(command.subject)
    findings = command.findings()
    age = protocol.civil_date(command.at, site).year - subject.birth_year
    assessment = assess(protocol.eligibility, findings, age=age, consented=subject.consented)
    return [
        EligibilityAssessed(
            subject=command.subject,
            site=site,
            findings=findings,
            eligible=assessment.eligible,
            stratum=protocol.stratum(diagnosis=findings.diagnosis, site=site),
            failed_criteria=assessment.failed_criteria,
        )
    ]


def enrol(command: EnrolSubject, subject: Subject) -> Sequence[Event]:
    """Nobody enters the trial without consent and eligibility (ICH E6(R3) 2.8)."""
    require_active(subject)
    if not subject.consented:
        raise NOT_CONSENTED()
    if not subject.eligible:
        raise NOT_ELIGIBLE()
    if subject.enrolled:
        raise ALREADY_ENROLLED()
    return [SubjectEnrolled(subject=command.subject, site=site_of(command.subject))]


def withdraw(command: WithdrawSubject, subject: Subject) -> Sequence[Event]:
    """Withdrawal from the treatment is not withdrawal from the study: follow-up goes on."""
    require_active(subject)
    if command.scope in subject.withdrawn_from:
        raise WITHDRAWN(f"The subject has withdrawn from the {command.scope} already.")
    return [SubjectWithdrawn(subject=command.subject, site=site_of(command.subject), scope=command.scope)]


def _subject_decider(protocol: Protocol, rule: Callable[[A, Subject], Sequence[Event]]) -> Decider[A, Subject]:
    """A rule about one subject, whom nothing of the trial happens to before the study's start."""

    def decide(command: A, subject: Subject) -> Sequence[Event]:
        events = rule(command, subject)
        require_since_start(protocol, site_of(command.subject), command.at)
        return events

    return Decider(
        boundary=lambda command: subject_query(command.subject),
        initial=lambda _: Subject(),
        evolve=evolve,
        decide=decide,
    )


def consent(protocol: Protocol) -> Decider[ObtainConsent, Subject]:
    """The rules of informed consent under a protocol."""
    return _subject_decider(protocol, obtain_consent)


def eligibility(protocol: Protocol) -> Decider[AssessEligibility, Subject]:
    """The rules of assessment under a protocol."""
    return _subject_decider(protocol, lambda command, subject: assess_eligibility(protocol, command, subject))


def enrolment(protocol: Protocol) -> Decider[EnrolSubject, Subject]:
    """The rules of enrolment under a protocol."""
    return _subject_decider(protocol, enrol)


def withdrawal(protocol: Protocol) -> Decider[WithdrawSubject, Subject]:
    """The rules of withdrawal under a protocol."""
    return _subject_decider(protocol, withdraw)


# Allocation: the subject, and the slots that its stratum has used.


@dataclass(frozen=True, slots=True)
class Allocations:
    """A subject that asks for an arm, and the arms that the slots of each stratum have given so far."""

    id: str
    subject: Subject = field(default_factory=Subject)
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def evolve_allocations(state: Allocations, recorded: Recorded) -> Allocations:
    """Slots count over all subjects of a stratum; everything else, only for the one that asks."""
    event = recorded.event
    if isinstance(event, SubjectRandomized):
        given = (*state.given.get(event.stratum, ()), event.arm)
        state = replace(state, given={**state.given, event.stratum: given})
    if f"subject:{state.id}" in event.tags():
        state = replace(state, subject=evolve(state.subject, recorded))
    return state


def randomize(protocol: Protocol, seed: bytes, command: RandomizeSubject, state: Allocations) -> Sequence[Event]:
    """The next slot of the subject's stratum: irrevocable, and not knowable before (ICH E9 2.3.2)."""
    site = site_of(command.subject)
    subject = require_active(state.subject)
    require_since_start(protocol, site, command.at)
    if subject.arm is not None:
        raise ALREADY_RANDOMIZED(subject=command.subject, arm=subject.arm)
    if not subject.enrolled:
        raise NOT_ENROLLED()
    if subject.withdrawn_from:
        raise WITHDRAWN()
    given = state.given.get(subject.stratum, ())
    ratio = {arm.code: arm.ratio for arm in protocol.arms}
    listed = tuple(islice(arms(seed, subject.stratum, protocol.allocation.block_sizes, ratio), len(given) + 1))
    if listed[:-1] != given:
        raise ALLOCATION_LIST_DIFFERS()
    slot = len(given)
    return [
        SubjectRandomized(
            subject=command.subject,
            site=site,
            stratum=subject.stratum,
            slot=slot,
            arm=listed[slot],
            randomization_number=f"{subject.stratum.replace('|', '-')}-{slot + 1:03d}",
        )
    ]


def allocation(protocol: Protocol, seed: bytes) -> Decider[RandomizeSubject, Allocations]:
    """The rules of allocation under a protocol and its secret seed.

    The boundary holds every allocation that could use a slot of the same stratum: those of the site where sites are
    strata, all of them otherwise.
    """

    def boundary(command: RandomizeSubject) -> Query:
        by_site = any(factor.name == "site" for factor in protocol.allocation.strata)
        tags = (f"site:{site_of(command.subject)}",) if by_site else ()
        return subject_query(command.subject) | Query((QueryItem(types=(SubjectRandomized.name,), tags=tags),))

    return Decider(
        boundary=boundary,
        initial=lambda command: Allocations(id=command.subject),
        evolve=evolve_allocations,
        decide=lambda command, state: randomize(protocol, seed, command, state),
    )
