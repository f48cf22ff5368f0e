"""The rules of the way into the trial: screening → consent → eligibility → enrolment → randomization, and out of it.

Pure functions: nothing here reads a clock, draws a number or touches a database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from services.randomization.allocation import arms
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
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.eventstore.model import Query, QueryItem
from shared.problems import REASON_REQUIRED, UNKNOWN_SUBJECT, WITHDRAWN, refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

SITE_FULL = refusal("screening-numbers-exhausted", 409, "The site has no screening number left.")
NOT_CONSENTED = refusal("not-consented", 409, "The subject has not given informed consent.")
NOT_ELIGIBLE = refusal("not-eligible", 409, "The subject has not been found eligible.")
ALREADY_ENROLLED = refusal("subject-already-enrolled", 409, "The subject is enrolled already.")
NOT_ENROLLED = refusal("not-enrolled", 409, "The subject has not been enrolled.")
ALREADY_RANDOMIZED = refusal("subject-already-randomized", 409, "The subject has been randomized already.")
OTHER_LIST = refusal("allocation-list-differs", 409, "This host's secret seed is not the one of earlier allocations.")

LAST_SCREENING_NUMBER = 999
"""Subject ids are SITE-NNN."""

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


def screen(command: ScreenSubject, last_number: int) -> Sequence[Event]:
    """The site's next number, from 001; numbers are never used twice (EMA GCP: unambiguous identification)."""
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


SCREENING: Decider[ScreenSubject, int] = Decider(
    boundary=_screening_boundary, initial=lambda _: 0, evolve=_last_number, decide=screen
)


# The subject: everything about one person's way into the trial.


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rules need to know of one subject."""

    site: str | None = None
    birth_year: int = 0
    consented: bool = False
    eligible: bool | None = None
    stratum: str = ""
    enrolled: bool = False
    arm: str | None = None
    withdrawn_from: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        return self.site is not None


def subject_query(subject: str) -> Query:
    """Everything that this service has recorded about a subject."""
    return Query((QueryItem(types=_ABOUT_SUBJECT, tags=(f"subject:{subject}",)),))


_ABOUT_SUBJECT = tuple(
    event.name
    for event in (
        SubjectScreened,
        InformedConsentObtained,
        EligibilityAssessed,
        SubjectEnrolled,
        SubjectRandomized,
        SubjectWithdrawn,
    )
)


def evolve_subject(subject: Subject, recorded: Recorded) -> Subject:
    """The subject after one more event."""
    match recorded.event:
        case SubjectScreened(site=site, birth_year=birth_year):
            return replace(subject, site=site, birth_year=birth_year)
        case InformedConsentObtained():
            return replace(subject, consented=True)
        case EligibilityAssessed(eligible=eligible, stratum=stratum):
            return replace(subject, eligible=eligible, stratum=stratum)
        case SubjectEnrolled():
            return replace(subject, enrolled=True)
        case SubjectRandomized(arm=arm):
            return replace(subject, arm=arm)
        case SubjectWithdrawn(scope=scope):
            return replace(subject, withdrawn_from=subject.withdrawn_from | {scope})
        case _:
            return subject


def require_active(subject: Subject) -> Subject:
    """The subject, if it is known and has not left the study."""
    if not subject.known:
        raise UNKNOWN_SUBJECT()
    if "study" in subject.withdrawn_from:
        raise WITHDRAWN()
    return subject


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
    findings = command.findings()
    assessment = assess(
        protocol.eligibility, findings, age=command.at.year - subject.birth_year, consented=subject.consented
    )
    site = site_of(command.subject)
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


def _subject_decider(decide: Callable[[A, Subject], Sequence[Event]]) -> Decider[A, Subject]:
    return Decider(
        boundary=lambda command: subject_query(command.subject),
        initial=lambda _: Subject(),
        evolve=evolve_subject,
        decide=decide,
    )


CONSENT = _subject_decider(obtain_consent)
ENROLMENT = _subject_decider(enrol)
WITHDRAWAL = _subject_decider(withdraw)


def eligibility(protocol: Protocol) -> Decider[AssessEligibility, Subject]:
    """The rules of assessment under a protocol."""
    return _subject_decider(lambda command, subject: assess_eligibility(protocol, command, subject))


# Allocation: the subject, and the slots that its stratum has used.


@dataclass(frozen=True, slots=True)
class Allocations:
    """A subject that asks for an arm, and the arms that the slots of each stratum have given so far."""

    id: str
    subject: Subject = Subject()
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def evolve_allocations(state: Allocations, recorded: Recorded) -> Allocations:
    """Slots count over all subjects of a stratum; everything else, only for the one that asks."""
    event = recorded.event
    if isinstance(event, SubjectRandomized):
        given = (*state.given.get(event.stratum, ()), event.arm)
        state = replace(state, given={**state.given, event.stratum: given})
    if f"subject:{state.id}" in event.tags():
        state = replace(state, subject=evolve_subject(state.subject, recorded))
    return state


def randomize(protocol: Protocol, seed: bytes, command: RandomizeSubject, state: Allocations) -> Sequence[Event]:
    """The next slot of the subject's stratum: irrevocable, and not knowable before (ICH E9 2.3.2)."""
    subject = require_active(state.subject)
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
        raise OTHER_LIST()
    slot = len(given)
    return [
        SubjectRandomized(
            subject=command.subject,
            site=site_of(command.subject),
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
