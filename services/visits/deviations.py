"""What departs from the protocol, found in what was recorded or noted by a person, and how grave it is.

A deviation is any departure; an important one may bear on the data or on a subject's rights, safety or well-being (ICH
E3 Q&A R1, Q7). Which are important stands in the protocol document. A rule looks at one fact of the log and at what is
known of its subject; each deviation names that fact, so that it is recorded once, whoever looks and how often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from services.randomization.events import RandomizationMarkedInError, WrongTreatmentGiven
from services.visits.commands_safety import NoteDeviation, RaiseDeviations, RegradeDeviation
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventReported,
    CiclosporinDosed,
    DeviationKind,
    EvaluationInputsChanged,
    InfusionSafetyChecked,
    ProductInfused,
    ProtocolDeviationGraded,
    ProtocolDeviationRecorded,
    SafetyReportSubmitted,
    SubjectEvaluated,
    SymptomsScored,
)
from services.visits.schedule import InfusionGiven, PlannedItem, plan, started_late, symptom_item
from services.visits.second_dose import NEEDS as SECOND_DOSE_NEEDS
from services.visits.second_dose import grounds_of_given
from services.visits.subject import FIRST, SECOND, Subject, day_0_of, evolve, subject_query
from shared.chronology import require_since_start
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.problems import UNKNOWN_SUBJECT, refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

UNKNOWN_DEVIATION = refusal("unknown-deviation", 404, "No deviation of the subject was recorded there.")
GRADE_UNCHANGED = refusal("deviation-grade-unchanged", 409, "The deviation has this grade already.")


@dataclass(frozen=True, slots=True)
class Departure:
    """What a rule found: a code, what it departs from, the position of what departs, and the item that it is of."""

    code: str
    kind: DeviationKind
    fact: int
    item: str | None = None


@dataclass(frozen=True, slots=True)
class Year:
    """A subject, what first did each item of its schedule, and the deviations on record by their positions."""

    subject: Subject = field(default_factory=Subject)
    done_by: Mapping[str, int] = field(default_factory=dict)
    deviations: Mapping[int, ProtocolDeviationRecorded] = field(default_factory=dict)

    def has(self, code: str) -> bool:
        """Whether any deviation of that code is on record."""
        return any(each.code == code for each in self.deviations.values())


# The rules. Each is asked of a fact of the kinds that it is listed with in RULES.

Rule = Callable[[Protocol, Recorded, Year], Iterator[Departure]]


def treatment_started_late(protocol: Protocol, fact: Recorded, year: Year) -> Iterator[Departure]:
    """The arm's own treatment began more days after randomization than the protocol allows; once for a subject."""
    subject, code = year.subject, "treatment-started-late"
    if subject.arm is None or subject.randomized_at is None or year.has(code):
        return
    first = subject.infusions.get(FIRST)
    began_at = {
        "first-infusion": first.at if first else None,
        "first-csa-dose": subject.ciclosporin_began_at,
    }.get(protocol.arm(subject.arm).anchor)
    if began_at != fact.occurred_at:
        return
    randomized_on = protocol.civil_date(subject.randomized_at, subject.site)
    if started_late(protocol, randomized_on, protocol.civil_date(fact.occurred_at, subject.site)):
        yield Departure(code, "treatment", fact.position)


def dose_outside_tolerance(_protocol: Protocol, fact: Recorded, _year: Year) -> Iterator[Departure]:
    """The delivered dose differs from the protocol's by more than it tolerates, as the infusion itself says."""
    match fact.event:
        case ProductInfused(deviation=True):
            yield Departure("dose-outside-tolerance", "treatment", fact.position)


def wrong_treatment_given(_protocol: Protocol, fact: Recorded, _year: Year) -> Iterator[Departure]:
    """The treatment of another arm was given."""
    yield Departure("wrong-treatment-given", "treatment", fact.position)


def second_dose_without_grounds(protocol: Protocol, _fact: Recorded, year: Year) -> Iterator[Departure]:
    """What is known now of the time before the second infusion would not have allowed it; once for the infusion."""
    given, grounds = year.subject.infusions.get(SECOND), grounds_of_given(protocol, year.subject)
    if given is not None and grounds is not None and grounds.state != "eligible":
        yield Departure("second-dose-without-grounds", "treatment", given.position)


def randomized_without_right(_protocol: Protocol, fact: Recorded, _year: Year) -> Iterator[Departure]:
    """A subject was randomized who did not meet the criteria, or had not validly consented."""
    match fact.event:
        case RandomizationMarkedInError(cause="ineligible"):
            yield Departure("eligibility-breached", "eligibility", fact.position)
        case RandomizationMarkedInError(cause="consent-invalid"):
            yield Departure("consent-invalid", "consent", fact.position)


def item_out_of_window(protocol: Protocol, fact: Recorded, year: Year) -> Iterator[Departure]:
    """An item was done, for the first time, on a day outside its window. A specimen outside any is unscheduled."""
    code = item_done(protocol, year.subject.arm, fact.event)
    if code is None or year.done_by.get(code) != fact.position:
        return
    item = _planned(protocol, year.subject, code)
    if item is not None and not item.window.holds(protocol.civil_date(fact.occurred_at, year.subject.site)):
        yield Departure("item-out-of-window", "assessment", fact.position, item=code)


def adverse_event_reported_late(_protocol: Protocol, fact: Recorded, _year: Year) -> Iterator[Departure]:
    """A serious adverse event came to the sponsor later than the protocol allows."""
    match fact.event:
        case SafetyReportSubmitted(report="sponsor", clocks=clocks) if any(clock.late for clock in clocks):
            yield Departure("adverse-event-reported-late", "safety-reporting", fact.position)


RULES: Mapping[type[Event], tuple[Rule, ...]] = {
    ProductInfused: (treatment_started_late, dose_outside_tolerance, item_out_of_window, second_dose_without_grounds),
    CiclosporinDosed: (treatment_started_late,),
    SymptomsScored: (item_out_of_window,),
    SubjectEvaluated: (item_out_of_window,),
    InfusionSafetyChecked: (item_out_of_window,),
    EvaluationInputsChanged: (second_dose_without_grounds,),
    AdverseEventReported: (second_dose_without_grounds,),
    AdverseEventFollowedUp: (second_dose_without_grounds,),
    SafetyReportSubmitted: (adverse_event_reported_late,),
    WrongTreatmentGiven: (wrong_treatment_given,),
    RandomizationMarkedInError: (randomized_without_right,),
}
"""Which rules are asked of which kind of fact."""


def item_done(protocol: Protocol, arm: str | None, event: Event) -> str | None:
    """The item of the schedule that a record of site staff says it is of."""
    match event:
        case SymptomsScored(week=week) if arm is not None:
            return symptom_item(protocol, arm, week)
        case SubjectEvaluated(timepoint=timepoint):
            return next((each.item for each in protocol.response.evaluations if each.timepoint == timepoint), None)
        case InfusionSafetyChecked(look=look):
            return look
        case ProductInfused(dose_number=number) if number == SECOND and protocol.second_dose is not None:
            return protocol.second_dose.item
        case _:
            return None


def _planned(protocol: Protocol, subject: Subject, code: str) -> PlannedItem | None:
    day_0: date | None = day_0_of(protocol, subject)
    if subject.arm is None or day_0 is None:
        return None
    infusions = [InfusionGiven(number, given.at) for number, given in subject.infusions.items()]
    items = plan(protocol, subject.arm, subject.site, day_0, infusions=infusions)
    return next((item for item in items if item.code == code), None)


# From the log to the deviations, and back.

NEEDS: tuple[type[Event], ...] = tuple(
    dict.fromkeys((*RULES, *SECOND_DOSE_NEEDS, ProtocolDeviationRecorded, ProtocolDeviationGraded))
)
"""What bears on a deviation, besides the subject's standing."""


def evolve_year(protocol: Protocol, year: Year, recorded: Recorded) -> Year:
    """The year after one more event."""
    year = replace(year, subject=evolve(year.subject, recorded))
    match recorded.event:
        case ProtocolDeviationRecorded() as deviation:
            return replace(year, deviations={**year.deviations, recorded.position: deviation})
        case ProtocolDeviationGraded(deviation=position, grade=grade) if position in year.deviations:
            regraded = year.deviations[position].model_copy(update={"grade": grade})
            return replace(year, deviations={**year.deviations, position: regraded})
    code = item_done(protocol, year.subject.arm, recorded.event)
    return year if code is None else replace(year, done_by={code: recorded.position, **year.done_by})


def raise_deviations(protocol: Protocol, command: RaiseDeviations, fact: Recorded, year: Year) -> Sequence[Event]:
    """What the policy records of one fact: each departure that the rules find and that is not on record yet."""
    on_record = {(each.code, each.fact) for each in year.deviations.values()}
    return [
        ProtocolDeviationRecorded(
            subject=command.subject,
            site=site_of(command.subject),
            kind=found.kind,
            code=found.code,
            grade=protocol.deviations.grade(found.code),
            item=found.item,
            fact=found.fact,
        )
        for rule in RULES.get(type(fact.event), ())
        for found in rule(protocol, fact, year)
        if (found.code, found.fact) not in on_record
    ]


def deviations_of(protocol: Protocol, fact: Recorded) -> Decider[RaiseDeviations, Year]:
    """The rules of deviations, asked of one fact, under a protocol."""
    return Decider(
        boundary=lambda command: subject_query(command.subject, *NEEDS),
        initial=lambda _: Year(),
        evolve=lambda year, recorded: evolve_year(protocol, year, recorded),
        decide=lambda command, year: raise_deviations(protocol, command, fact, year),
    )


def note_deviation(protocol: Protocol, command: NoteDeviation, year: Year) -> Sequence[Event]:
    """What a person noted, also of a subject in screening: a departure that no rule finds, graded by who noted it."""
    if not year.subject.known:
        raise UNKNOWN_SUBJECT()
    require_since_start(protocol, site_of(command.subject), command.at)
    return [
        ProtocolDeviationRecorded(
            subject=command.subject,
            site=site_of(command.subject),
            kind=command.kind,
            code=command.code,
            grade=command.grade,
            item=command.item,
            fact=None,
        )
    ]


def regrade_deviation(command: RegradeDeviation, year: Year) -> Sequence[Event]:
    """The single deviation is more or less grave than its code; both grades stay in the log."""
    if not year.subject.known:
        raise UNKNOWN_SUBJECT()
    deviation = year.deviations.get(command.deviation)
    if deviation is None:
        raise UNKNOWN_DEVIATION()
    if deviation.grade == command.grade:
        raise GRADE_UNCHANGED(grade=command.grade)
    return [
        ProtocolDeviationGraded(
            subject=command.subject,
            site=site_of(command.subject),
            deviation=command.deviation,
            grade_before=deviation.grade,
            grade=command.grade,
        )
    ]


def noting(protocol: Protocol) -> Decider[NoteDeviation, Year]:
    """The rules of deviations that people note, under a protocol."""
    return Decider(
        boundary=lambda command: subject_query(command.subject),
        initial=lambda _: Year(),
        evolve=lambda year, recorded: evolve_year(protocol, year, recorded),
        decide=lambda command, year: note_deviation(protocol, command, year),
    )


def regrading(protocol: Protocol) -> Decider[RegradeDeviation, Year]:
    """The rules of another grade, under a protocol."""
    return Decider(
        boundary=lambda command: subject_query(command.subject, ProtocolDeviationRecorded, ProtocolDeviationGraded),
        initial=lambda _: Year(),
        evolve=lambda year, recorded: evolve_year(protocol, year, recorded),
        decide=regrade_deviation,
    )
