"""What is known of one adverse event, from its report on: how it is judged now, and which reports of it are open.

A case is what ICH E2B calls it: the report, its follow-ups, and its nullification. Its number is the position of the
report in the log. The reporting clocks that a report or a follow-up started stay as they were, whatever comes later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from services.visits.events import (
    ActionTaken,
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventOutcome,
    AdverseEventReported,
    ClockEnded,
    ReportKind,
    SafetyReportSubmitted,
)
from services.visits.safety import Assessment, is_late, sponsor_day
from shared.events import Recorded
from shared.protocol import Protocol


@dataclass(frozen=True, slots=True)
class Clock:
    """A report that is due by an instant, or on a day of the sponsor's calendar, since somebody became aware.

    `started_by` is the position of the report or follow-up that started it. `ended_by` is where its end stands, `late`
    whether that was a report after it was due; an end without a report is that of a nullified case.
    """

    report: ReportKind
    started_by: int
    aware_at: datetime
    due_by: datetime | None = None
    due_on: date | None = None
    ended_by: int | None = None
    ended_at: datetime | None = None
    submitted: bool = False
    late: bool = False

    @property
    def runs(self) -> bool:
        return self.ended_by is None


@dataclass(frozen=True, slots=True)
class SafetyCase:
    """An adverse event as it is judged after all that is recorded of it; `known_by` is where the last word stands."""

    report: AdverseEventReported
    happened_at: datetime
    known_by: int
    assessment: Assessment
    infusion_reaction: bool
    fatal: bool
    outcome: AdverseEventOutcome | None
    action_taken: ActionTaken | None
    resolved_on: str | None = None
    nullified_by: int | None = None
    clocks: tuple[Clock, ...] = ()

    @property
    def stands(self) -> bool:
        """Whether the event happened at all, as far as is known: what was nullified did not."""
        return self.nullified_by is None

    @property
    def authority_told_of(self) -> bool:
        """Whether a report of the case has gone or is to go to the authority."""
        return any(clock.report == "authority" for clock in self.clocks)

    def running(self, report: ReportKind | None = None) -> tuple[Clock, ...]:
        """The clocks that run, of one kind of report or of all."""
        return tuple(clock for clock in self.clocks if clock.runs and report in {None, clock.report})

    def answered_by(self, protocol: Protocol, report: ReportKind, at: datetime) -> tuple[Clock, ...]:
        """The running clocks that a report of that kind answers: whoever hands it in tells all that is known by then.

        Days of the sponsor's calendar are compared, since the hour of a report is often not known.
        """
        on = sponsor_day(protocol, at)
        return tuple(clock for clock in self.running(report) if sponsor_day(protocol, clock.aware_at) <= on)


ClockState = Literal["due", "overdue", "submitted", "submitted-late", "void"]


def state_of(protocol: Protocol, clock: Clock, at: datetime) -> ClockState:
    """How a clock stands at an instant after all that is recorded of it; `void`: its case was nullified."""
    if not clock.runs:
        return ("submitted-late" if clock.late else "submitted") if clock.submitted else "void"
    return "overdue" if is_late(protocol, at, due_by=clock.due_by, due_on=clock.due_on) else "due"


Cases = Mapping[int, SafetyCase]
"""A subject's adverse events by their numbers, in the order of their reports."""


def evolve_cases(cases: Cases, recorded: Recorded) -> Cases:
    """The cases after one more event; what is about none of them changes nothing."""
    match recorded.event:
        case AdverseEventReported() as reported:
            return {**cases, recorded.position: _opened(reported, recorded)}
        case AdverseEventFollowedUp(adverse_event=number) as followed_up if number in cases:
            return {**cases, number: _followed_up(cases[number], followed_up, recorded)}
        case AdverseEventNullified(adverse_event=number, clocks=clocks) if number in cases:
            voided = replace(cases[number], nullified_by=recorded.position, known_by=recorded.position)
            return {**cases, number: _ended(voided, clocks, recorded, submitted=False)}
        case SafetyReportSubmitted(adverse_event=number, clocks=clocks) if number in cases:
            return {**cases, number: _ended(cases[number], clocks, recorded, submitted=True)}
        case _:
            return cases


def died_of(cases: Cases) -> int | None:
    """Where it stands that the subject died of an adverse event; None where it is not on record."""
    return next((case.known_by for case in cases.values() if case.stands and case.fatal), None)


def _opened(reported: AdverseEventReported, recorded: Recorded) -> SafetyCase:
    return SafetyCase(
        report=reported,
        happened_at=recorded.occurred_at,
        known_by=recorded.position,
        assessment=_assessment(reported),
        infusion_reaction=reported.infusion_reaction,
        fatal=reported.fatal,
        outcome=reported.outcome,
        action_taken=reported.action_taken,
        clocks=tuple(_started(reported, recorded.position)),
    )


def _followed_up(case: SafetyCase, followed_up: AdverseEventFollowedUp, recorded: Recorded) -> SafetyCase:
    return replace(
        case,
        known_by=recorded.position,
        assessment=_assessment(followed_up),
        infusion_reaction=followed_up.infusion_reaction,
        fatal=followed_up.fatal,
        outcome=followed_up.outcome,
        action_taken=followed_up.action_taken,
        resolved_on=followed_up.resolved_on,
        clocks=(*case.clocks, *_started(followed_up, recorded.position)),
    )


def _assessment(event: AdverseEventReported | AdverseEventFollowedUp) -> Assessment:
    return Assessment(event.grade, event.serious, event.seriousness_criteria, event.related, event.expected)


def _started(event: AdverseEventReported | AdverseEventFollowedUp, position: int) -> Iterator[Clock]:
    if event.sponsor_by is not None:
        yield Clock("sponsor", position, event.aware_at, due_by=event.sponsor_by)
    if event.authority_on is not None:
        yield Clock("authority", position, event.aware_at, due_on=event.authority_on)
    if event.follow_up_on is not None:
        yield Clock("authority-follow-up", position, event.aware_at, due_on=event.follow_up_on)


def _ended(case: SafetyCase, ends: tuple[ClockEnded, ...], recorded: Recorded, *, submitted: bool) -> SafetyCase:
    late = {(end.report, end.started_by): end.late for end in ends}
    clocks = tuple(
        replace(
            clock,
            ended_by=recorded.position,
            ended_at=recorded.occurred_at,
            submitted=submitted,
            late=late[clock.report, clock.started_by],
        )
        if (clock.report, clock.started_by) in late
        else clock
        for clock in case.clocks
    )
    return replace(case, clocks=clocks)
