"""A subject's lane of a swimmer plot: its time on study and on treatment, and what happened on which study day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from services.visits.answers_views import (
    AdverseEventMark,
    DoseGiven,
    End,
    EndKind,
    EvaluationMark,
    Improvement,
    Lane,
    Span,
    TransfusionMark,
)
from services.visits.events import LineageStatus, OverallResponse
from services.visits.partial_dates import earliest
from services.visits.schedule import anchor_on
from shared.protocol import Anchor, Protocol

SEVERE = 3
"""CTCAE v5.0: grade 3 is severe or medically significant."""


@dataclass(frozen=True, slots=True)
class Dose:
    """A dose: the number of an infusion, or mg/kg/day of ciclosporin from then on."""

    at: datetime
    kind: Literal["infusion", "ciclosporin"]
    amount: Decimal
    position: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The response as evaluated last at a timepoint; `outdated` where it holds no longer."""

    at: datetime
    timepoint: str
    response: OverallResponse
    lineages: Mapping[str, LineageStatus]
    progression: bool
    outdated: bool
    position: int


@dataclass(frozen=True, slots=True)
class Transfusion:
    """Units of a blood component."""

    at: datetime
    component: Literal["RBC", "PLT"]
    units: int
    position: int


@dataclass(frozen=True, slots=True)
class AdverseEvent:
    """An adverse event, on the first day that its onset, a partial date, may mean."""

    at: datetime
    grade: int
    serious: bool
    position: int
    onset_on: str | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """What is known of a randomized subject; `ends` are the instants of what ended its time on study."""

    subject: str
    site: str
    arm: str
    randomized_at: datetime
    left_treatment_at: datetime | None = None
    ends: Mapping[EndKind, datetime | None] = field(default_factory=dict)
    doses: Sequence[Dose] = ()
    evaluations: Sequence[Evaluation] = ()
    transfusions: Sequence[Transfusion] = ()
    adverse_events: Sequence[AdverseEvent] = ()


def lane(protocol: Protocol, course: Course, as_of: date) -> Lane:
    """The lane of a subject as of a day, as known now: what happened later is not on it, what goes on has no end."""

    def on(at: datetime) -> date:
        return protocol.civil_date(at, course.site)

    def began_on(event: AdverseEvent) -> date:
        return on(event.at) if event.onset_on is None else earliest(event.onset_on)

    doses = sorted((each for each in course.doses if on(each.at) <= as_of), key=_by_time)
    day_0 = _day_0(protocol, course, doses)

    def day(at: datetime) -> int:
        return (on(at) - day_0).days

    end = _end({kind: day(at) for kind, at in course.ends.items() if at is not None and on(at) <= as_of})
    left_treatment = None if course.left_treatment_at is None else day(course.left_treatment_at)
    over = min((each for each in (left_treatment, None if end is None else end.day) if each is not None), default=None)
    evaluations = sorted((each for each in course.evaluations if on(each.at) <= as_of), key=_by_time)
    transfusions = sorted((each for each in course.transfusions if on(each.at) <= as_of), key=_by_time)
    severe = [each for each in course.adverse_events if each.grade >= SEVERE and began_on(each) <= as_of]
    return Lane(
        subject=course.subject,
        arm=course.arm,
        day_0=day_0,
        days_on_study=max(0, (as_of - day_0).days if end is None else end.day),
        end=end,
        on_treatment=tuple(_on_treatment([(day(dose.at), dose) for dose in doses], over)),
        doses=tuple(
            DoseGiven(day=day(dose.at), kind=dose.kind, amount=dose.amount, position=dose.position) for dose in doses
        ),
        evaluations=tuple(
            EvaluationMark(
                day=day(made.at),
                timepoint=made.timepoint,
                response=made.response,
                outdated=made.outdated,
                position=made.position,
            )
            for made in evaluations
        ),
        improvements=tuple(_improvements([(day(made.at), made) for made in evaluations], end)),
        transfusions=tuple(
            TransfusionMark(day=day(each.at), component=each.component, units=each.units, position=each.position)
            for each in transfusions
        ),
        adverse_events=tuple(
            AdverseEventMark(
                day=(began_on(each) - day_0).days,
                grade=each.grade,
                serious=each.serious,
                position=each.position,
            )
            for each in sorted(severe, key=lambda each: (began_on(each), each.position))
        ),
    )


def _by_time(each: Dose | Evaluation | Transfusion) -> tuple[datetime, int]:
    return each.at, each.position


def _day_0(protocol: Protocol, course: Course, doses: Iterable[Dose]) -> date:
    """The day of the first treatment, and until then that of randomization; an order of no dose treats nobody."""
    randomized_on = protocol.civil_date(course.randomized_at, course.site)
    milestones: dict[Anchor, date] = {"randomization": randomized_on}
    for dose in doses:
        if dose.amount:
            anchor: Anchor = "first-infusion" if dose.kind == "infusion" else "first-csa-dose"
            milestones.setdefault(anchor, protocol.civil_date(dose.at, course.site))
    return anchor_on(protocol, course.arm, milestones) or randomized_on


def _end(days: Mapping[EndKind, int]) -> End | None:
    """The first of what ended the time on study; of several on one day, the first that is named."""
    return min((End(day=day, kind=kind) for kind, day in days.items()), key=lambda end: end.day, default=None)


def _on_treatment(doses: Iterable[tuple[int, Dose]], over: int | None) -> Iterator[Span]:
    """When a dose held. Ciclosporin is interrupted by an order of none; cells are there until the subject leaves."""
    since: int | None = None
    for day, dose in doses:
        if over is not None and day > over:
            break
        if dose.amount and since is None:
            since = day
        elif not dose.amount and since is not None:
            yield Span(from_day=since, to_day=day)
            since = None
    if since is not None:
        yield Span(from_day=since, to_day=over)


def _improvements(evaluations: Sequence[tuple[int, Evaluation]], end: End | None) -> Iterator[Improvement]:
    """By lineage. What no longer holds says nothing, and progression ends every improvement (IWG 2006)."""
    holding = [(day, made) for day, made in evaluations if not made.outdated]
    for lineage in sorted({code for _, made in holding for code in made.lineages}):
        since: int | None = None
        for day, made in holding:
            status = "not-met" if made.progression else made.lineages.get(lineage)
            if status == "confirmed" and since is None:
                since = day
            elif status == "not-met" and since is not None:
                yield Improvement(lineage=lineage, from_day=since, to_day=day)
                since = None
        if since is not None:
            yield Improvement(lineage=lineage, from_day=since, to_day=None if end is None else max(end.day, since))
