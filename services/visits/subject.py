"""Who a record may be made about: what the rules of this service know of a subject, and what bars any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from services.labs.events import LabReportRecorded, LabResult
from services.randomization.events import (
    EligibilityAssessed,
    InformedConsentObtained,
    SubjectRandomized,
    SubjectScreened,
    SubjectWithdrawn,
    WrongTreatmentGiven,
)
from services.visits.commands import AboutSubject
from services.visits.evaluated import Evaluations, evolve_evaluations
from services.visits.events import (
    CiclosporinDoseAdvised,
    CiclosporinDosed,
    InfusionSafetyChecked,
    ProductInfused,
    SecondDoseEligible,
    SecondDoseIneligible,
    SymptomsScored,
    TransfusionGiven,
)
from services.visits.safety_case import Cases, died_of, evolve_cases
from services.visits.schedule import anchor_on
from shared.chronology import OUT_OF_ORDER, require_since_start
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.eventstore.model import Query, QueryItem
from shared.problems import NOT_RANDOMIZED, UNKNOWN_SUBJECT, WITHDRAWN, WRITE_CONFLICT, refusal
from shared.protocol import Anchor, Protocol
from shared.protocol.language import site_of
from shared.protocol.versions import Entry

OTHER_TREATMENT = refusal("treatment-of-another-arm", 409, "The subject's arm is not given this treatment.")

OF_A_SUBJECT = (UNKNOWN_SUBJECT, NOT_RANDOMIZED, WITHDRAWN, OUT_OF_ORDER, WRITE_CONFLICT)
"""What any record of this service may be refused with."""

FIRST, SECOND = 1, 2
"""Dose numbers."""


@dataclass(frozen=True, slots=True)
class Happened:
    """When something happened to the subject, and where in the log it stands."""

    at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class DailyDose:
    """A daily dose of ciclosporin, from when it holds, and where in the log it stands. mg/kg/day; 0 is none."""

    mg_per_kg_per_day: Decimal
    at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What has happened to one subject, as far as a rule has asked for it.

    `received` are other arms whose treatment the subject is on record as having been given in error.
    """

    site: str = ""
    entry: Entry = field(default_factory=Entry)
    birth_year: int = 0
    arm: str | None = None
    randomized_at: datetime | None = None
    screening: tuple[EligibilityAssessed, Happened] | None = None
    left: Mapping[str, int] = field(default_factory=dict)
    received: frozenset[str] = frozenset()
    infusions: Mapping[int, Happened] = field(default_factory=dict)
    looks: frozenset[str] = frozenset()
    ciclosporin: tuple[DailyDose, ...] = ()
    ciclosporin_advice: Mapping[str, CiclosporinDoseAdvised] = field(default_factory=dict)
    may_have_second_dose: bool | None = None
    symptoms: Mapping[int, SymptomsScored] = field(default_factory=dict)
    transfusions: tuple[tuple[TransfusionGiven, Happened], ...] = ()
    adverse_events: Cases = field(default_factory=dict)
    results: Mapping[str, tuple[LabResult, int]] = field(default_factory=dict)
    evaluations: Evaluations = ()

    @property
    def known(self) -> bool:
        return bool(self.site)

    @property
    def ciclosporin_began_at(self) -> datetime | None:
        """When the first dose was given."""
        return next((dose.at for dose in self.ciclosporin if dose.mg_per_kg_per_day), None)

    @property
    def died(self) -> int | None:
        """Where the subject's death stands in the log."""
        return died_of(self.adverse_events)


STANDING: tuple[type[Event], ...] = (SubjectScreened, InformedConsentObtained, SubjectRandomized, SubjectWithdrawn)
"""The events that every rule has to have seen: who is in the trial, under what, in which arm, and who has left."""

C = TypeVar("C", bound=AboutSubject)


def subject_query(subject: str, *needs: type[Event]) -> Query:
    """The subject's standing, and the kinds of events about it that a rule needs."""
    return Query((QueryItem(types=tuple(event.name for event in (*STANDING, *needs)), tags=(f"subject:{subject}",)),))


def subject_decider(
    protocol: Protocol,
    rule: Callable[[C, Subject], Sequence[Event]],
    *needs: type[Event],
    weeks_before_start: int = 0,
) -> Decider[C, Subject]:
    """A rule about what people record of one subject, given its standing and those kinds of events.

    Nothing of it happened before the study's start, or longer before it than that many weeks.
    """

    def decide(command: C, subject: Subject) -> Sequence[Event]:
        events = rule(command, subject)
        require_since_start(protocol, site_of(command.subject), command.at, weeks_before_start)
        return events

    return policy_decider(decide, *needs)


def policy_decider(rule: Callable[[C, Subject], Sequence[Event]], *needs: type[Event]) -> Decider[C, Subject]:
    """A rule about what follows for one subject from what the log holds; its dates were judged when it was recorded."""
    return Decider(
        boundary=lambda command: subject_query(command.subject, *needs),
        initial=lambda _: Subject(),
        evolve=evolve,
        decide=rule,
    )


def require_randomized(subject: Subject) -> str:
    """The arm of a subject that is in the trial, or was."""
    if not subject.known:
        raise UNKNOWN_SUBJECT()
    if subject.arm is None:
        raise NOT_RANDOMIZED()
    return subject.arm


def require_followed(subject: Subject) -> str:
    """The arm of a subject that has not left the study.

    To be lost to follow-up bars nothing: nobody has refused anything, what is recorded was observed, and an observation
    is evidence of a contact. Whether the loss is taken back is the site's to say (ICH E9(R1): lost is not withdrawn).
    """
    arm = require_randomized(subject)
    if "study" in subject.left:
        raise WITHDRAWN()
    return arm


def require_treated_by(protocol: Protocol, subject: Subject, treatment: str) -> None:
    """Raise unless the subject is to be given the treatment, or is on record as having been given it in error.

    What was given in error is recorded like any other dose; that it was an error stands in the randomization's record.
    """
    arm = require_followed(subject)
    if treatment not in {protocol.arm(code).treatment for code in (arm, *subject.received)}:
        raise OTHER_TREATMENT(arm=arm)
    if "treatment" in subject.left:
        raise WITHDRAWN("The subject has withdrawn from the treatment.")


def day_0_of(protocol: Protocol, subject: Subject) -> date | None:
    """Day 0 of a randomized subject, in its site's zone; None for any other."""
    if subject.arm is None:
        return None
    first = subject.infusions.get(FIRST)
    instants: dict[Anchor, datetime | None] = {
        "first-infusion": first.at if first else None,
        "first-csa-dose": subject.ciclosporin_began_at,
        "randomization": subject.randomized_at,
    }
    milestones = {name: protocol.civil_date(at, subject.site) for name, at in instants.items() if at is not None}
    return anchor_on(protocol, subject.arm, milestones)


def evolve(subject: Subject, recorded: Recorded) -> Subject:
    """The subject after one more event."""
    for part in (_standing, _treatment, _observation):
        subject = part(subject, recorded)
    return replace(subject, evaluations=evolve_evaluations(subject.evaluations, recorded))


def _standing(subject: Subject, recorded: Recorded) -> Subject:
    match recorded.event:
        case SubjectScreened(site=site, birth_year=birth_year):
            entry = subject.entry.screened(recorded.occurred_at)
            return replace(subject, site=site, birth_year=birth_year, entry=entry)
        case InformedConsentObtained(consent_version=version):
            return replace(subject, entry=subject.entry.signing(version, recorded.occurred_at, recorded.position))
        case EligibilityAssessed() as assessed:
            return replace(subject, screening=(assessed, Happened(recorded.occurred_at, recorded.position)))
        case SubjectRandomized(arm=arm):
            return replace(subject, arm=arm, randomized_at=recorded.occurred_at)
        case SubjectWithdrawn(scope=scope):
            return replace(subject, left={**subject.left, scope: recorded.position})
        case WrongTreatmentGiven(received=received):
            return replace(subject, received=subject.received | {received})
        case _:
            return subject


def _treatment(subject: Subject, recorded: Recorded) -> Subject:
    match recorded.event:
        case ProductInfused(dose_number=number):
            given = Happened(recorded.occurred_at, recorded.position)
            return replace(subject, infusions={**subject.infusions, number: given})
        case InfusionSafetyChecked(look=look):
            return replace(subject, looks=subject.looks | {look})
        case CiclosporinDosed(mg_per_kg_per_day=dose):
            daily = DailyDose(dose, recorded.occurred_at, recorded.position)
            by_time = sorted((*subject.ciclosporin, daily), key=lambda each: (each.at, each.position))
            return replace(subject, ciclosporin=tuple(by_time))
        case CiclosporinDoseAdvised(result=key) as advised:
            return replace(subject, ciclosporin_advice={**subject.ciclosporin_advice, key: advised})
        case SecondDoseEligible():
            return replace(subject, may_have_second_dose=True)
        case SecondDoseIneligible():
            return replace(subject, may_have_second_dose=False)
        case _:
            return subject


def _observation(subject: Subject, recorded: Recorded) -> Subject:
    happened = Happened(recorded.occurred_at, recorded.position)
    match recorded.event:
        case SymptomsScored(week=week) as scored:
            return replace(subject, symptoms={**subject.symptoms, week: scored})
        case TransfusionGiven() as given:
            return replace(subject, transfusions=(*subject.transfusions, (given, happened)))
        case LabReportRecorded(results=results):
            current = {result.key: (result, recorded.position) for result in results if result.current}
            return replace(subject, results={**subject.results, **current})
        case _:
            return replace(subject, adverse_events=evolve_cases(subject.adverse_events, recorded))
