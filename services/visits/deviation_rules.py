"""Which facts depart from the protocol: one rule for each kind of departure, asked of one fact of a subject's year.

A rule looks at one fact of the log and at what is known of its subject; each departure names the fact that departs, so
that it is one departure, whoever looks and how often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from services.randomization.events import RandomizationMarkedInError, WrongTreatmentGiven
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventReported,
    CiclosporinDosed,
    DeviationKind,
    EvaluationInputsChanged,
    InfusionSafetyChecked,
    ItemMissed,
    ProductInfused,
    ProtocolDeviationRecorded,
    SafetyReportSubmitted,
    SubjectEvaluated,
    SymptomsScored,
)
from services.visits.schedule import InfusionGiven, PlannedItem, plan, started_late, symptom_item
from services.visits.second_dose import grounds_of_given
from services.visits.subject import FIRST, SECOND, Subject, day_0_of
from shared.events import Event, Recorded
from shared.protocol import Protocol


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


def weight_too_old(protocol: Protocol, fact: Recorded, year: Year) -> Iterator[Departure]:
    """The dose was reckoned for a weight older than the protocol allows, where it is known when that was taken."""
    match fact.event:
        case ProductInfused(weighed_on=date() as weighed_on) if protocol.dose is not None:
            given_on = protocol.civil_date(fact.occurred_at, year.subject.site)
            if given_on - weighed_on > timedelta(days=protocol.dose.weight_age_days_max):
                yield Departure("weight-too-old", "treatment", fact.position)


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


def item_missed(protocol: Protocol, fact: Recorded, _year: Year) -> Iterator[Departure]:
    """The window of an item closed, and nothing was done; an evaluation is more than a visit."""
    match fact.event:
        case ItemMissed(code=item):
            is_evaluation = item in {each.item for each in protocol.response.evaluations}
            yield Departure("evaluation-missed" if is_evaluation else "item-missed", "assessment", fact.position, item)


def adverse_event_reported_late(_protocol: Protocol, fact: Recorded, _year: Year) -> Iterator[Departure]:
    """A serious adverse event came to the sponsor later than the protocol allows."""
    match fact.event:
        case SafetyReportSubmitted(report="sponsor", clocks=clocks) if any(clock.late for clock in clocks):
            yield Departure("adverse-event-reported-late", "safety-reporting", fact.position)


RULES: Mapping[type[Event], tuple[Rule, ...]] = {
    ProductInfused: (
        treatment_started_late,
        dose_outside_tolerance,
        weight_too_old,
        item_out_of_window,
        second_dose_without_grounds,
    ),
    CiclosporinDosed: (treatment_started_late,),
    SymptomsScored: (item_out_of_window,),
    SubjectEvaluated: (item_out_of_window,),
    InfusionSafetyChecked: (item_out_of_window,),
    ItemMissed: (item_missed,),
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
