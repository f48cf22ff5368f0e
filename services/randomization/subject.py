"""Who may take a step into the trial: what the rules of this service know of a subject, and what bars any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from services.randomization.commands import AboutSubject
from services.randomization.events import (
    ContactRegained,
    EligibilityAssessed,
    ErrorCause,
    InformedConsentObtained,
    RandomizationMarkedInError,
    Sex,
    StratumCorrected,
    SubjectEnrolled,
    SubjectLostToFollowUp,
    SubjectRandomized,
    SubjectRandomizedTwice,
    SubjectRescreened,
    SubjectScreened,
    SubjectWithdrawn,
)
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventReported,
    SubjectEvaluated,
)
from shared.chronology import require_since_start
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.eventstore.model import Query, QueryItem
from shared.problems import NOT_RANDOMIZED, UNKNOWN_SUBJECT, WITHDRAWN, refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

RESCREENED = refusal("subject-rescreened", 409, "The person goes on under a later screening number.")

C = TypeVar("C", bound=AboutSubject)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rules need to know of one subject; of several assessments the one that was recorded last counts.

    `stratum` is the protocol's, as it was assessed; `stratum_used` the scheme's, in which it was randomized;
    `stratum_corrected` the protocol's that it truly belongs to where that is another; `allocated` is the position of
    its randomization.
    """

    id: str = ""
    site: str | None = None
    birth_year: int = 0
    sex: Sex = "U"
    rescreened_as: str | None = None
    consented: bool = False
    eligible: bool | None = None
    stratum: str = ""
    stratum_used: str = ""
    stratum_corrected: str | None = None
    enrolled: bool = False
    arm: str | None = None
    allocated: int | None = None
    in_error: frozenset[ErrorCause] = frozenset()
    duplicate_of: str | None = None
    withdrawn_from: frozenset[str] = frozenset()
    lost: bool = False
    completed: bool = False
    died: bool = False

    @property
    def known(self) -> bool:
        return self.site is not None


def subject_query(subject: str, *needs: type[Event]) -> Query:
    """Everything that this service has recorded about a subject, and the kinds of other events that a rule needs."""
    types = (*_ABOUT_SUBJECT, *(event.name for event in needs))
    return Query((QueryItem(types=types, tags=(f"subject:{subject}",)),))


_ABOUT_SUBJECT = tuple(
    event.name
    for event in (
        SubjectScreened,
        SubjectRescreened,
        InformedConsentObtained,
        EligibilityAssessed,
        SubjectEnrolled,
        SubjectRandomized,
        SubjectWithdrawn,
        SubjectLostToFollowUp,
        ContactRegained,
        RandomizationMarkedInError,
        StratumCorrected,
        SubjectRandomizedTwice,
    )
)


def evolve(subject: Subject, recorded: Recorded) -> Subject:
    """The subject after one more event."""
    for part in (_entry, _course, _errors):
        subject = part(subject, recorded)
    return subject


def _entry(subject: Subject, recorded: Recorded) -> Subject:
    match recorded.event:
        case SubjectScreened(subject=number, site=site, birth_year=birth_year, sex=sex):
            return replace(subject, id=number, site=site, birth_year=birth_year, sex=sex)
        case SubjectRescreened(subject=later, rescreening_of=subject.id):
            return replace(subject, rescreened_as=later)
        case InformedConsentObtained():
            return replace(subject, consented=True)
        case EligibilityAssessed(eligible=eligible, stratum=stratum):
            return replace(subject, eligible=eligible, stratum=stratum)
        case SubjectEnrolled():
            return replace(subject, enrolled=True)
        case SubjectRandomized(arm=arm, stratum=stratum):
            return replace(subject, arm=arm, stratum_used=stratum, allocated=recorded.position)
        case _:
            return subject


def _course(subject: Subject, recorded: Recorded) -> Subject:
    match recorded.event:
        case SubjectWithdrawn(scope=scope):
            return replace(subject, withdrawn_from=subject.withdrawn_from | {scope})
        case SubjectLostToFollowUp():
            return replace(subject, lost=True)
        case ContactRegained():
            return replace(subject, lost=False)
        case SubjectEvaluated(final=True):
            return replace(subject, completed=True)
        case AdverseEventReported(fatal=True) | AdverseEventFollowedUp(fatal=True):
            return replace(subject, died=True)
        case AdverseEventFollowedUp(death_retracted=True) | AdverseEventNullified(death_retracted=True):
            return replace(subject, died=False)
        case _:
            return subject


def _errors(subject: Subject, recorded: Recorded) -> Subject:
    match recorded.event:
        case RandomizationMarkedInError(cause=cause):
            return replace(subject, in_error=subject.in_error | {cause})
        case StratumCorrected(stratum_corrected=stratum):
            return replace(subject, stratum_corrected=stratum)
        case SubjectRandomizedTwice(subject=subject.id, duplicate_of=first):
            return replace(subject, duplicate_of=first)
        case _:
            return subject


def require_active(subject: Subject) -> Subject:
    """The subject, if it is known, has not left the study, and does not go on under another number."""
    if not subject.known:
        raise UNKNOWN_SUBJECT()
    if subject.rescreened_as is not None:
        raise RESCREENED(rescreened_as=subject.rescreened_as)
    if "study" in subject.withdrawn_from:
        raise WITHDRAWN()
    return subject


def require_randomized(subject: Subject) -> str:
    """The arm of a subject that was randomized, also when it has left since."""
    if not subject.known:
        raise UNKNOWN_SUBJECT()
    if subject.arm is None:
        raise NOT_RANDOMIZED()
    return subject.arm


def subject_decider(
    protocol: Protocol, rule: Callable[[C, Subject], Sequence[Event]], *needs: type[Event]
) -> Decider[C, Subject]:
    """A rule about one subject, given what this service has recorded of it and those kinds of other events.

    Nothing of the trial happens to the subject before the study's start.
    """

    def decide(command: C, subject: Subject) -> Sequence[Event]:
        events = rule(command, subject)
        require_since_start(protocol, site_of(command.subject), command.at)
        return events

    return Decider(
        boundary=lambda command: subject_query(command.subject, *needs),
        initial=lambda _: Subject(),
        evolve=evolve,
        decide=decide,
    )
