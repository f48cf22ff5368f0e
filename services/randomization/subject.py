"""Who may take a step into the trial: what the rules of this service know of a subject, and what bars any of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.randomization.events import (
    EligibilityAssessed,
    InformedConsentObtained,
    SubjectEnrolled,
    SubjectRandomized,
    SubjectScreened,
    SubjectWithdrawn,
)
from shared.events import Recorded
from shared.eventstore.model import Query, QueryItem
from shared.problems import UNKNOWN_SUBJECT, WITHDRAWN


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rules need to know of one subject; of several assessments the one that was recorded last counts."""

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


def evolve(subject: Subject, recorded: Recorded) -> Subject:
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
