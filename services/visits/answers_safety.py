"""What the calls about adverse events, their reports and deviations answer with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from services.visits.events import (
    ActionTaken,
    AdverseEventFollowedUp,
    AdverseEventOutcome,
    AdverseEventReported,
    DeviationKind,
    ReportKind,
    SafetyReportSubmitted,
)
from services.visits.projections import Deviation, SafetyReport
from services.visits.safety_case import Clock, ClockState, SafetyCase, state_of
from shared.answers import Written
from shared.events import Recorded
from shared.protocol import Protocol
from shared.protocol.deviations import DeviationGrade
from shared.protocol.language import SiteId, SubjectId

AdverseEventNumber = Annotated[int, Field(description="Which of the subject's: the log position of its report.")]


class ReportsDue(BaseModel):
    """By when an adverse event is to be reported; null where no report is called for."""

    sponsor_by: datetime | None
    authority_on: Annotated[date | None, Field(description="Last day in the sponsor's zone.")]
    follow_up_on: Annotated[date | None, Field(description="Last day for the complete report.")]


class ReportedAdverseEvent(Written):
    """The reports that the adverse event calls for."""

    due: ReportsDue

    @classmethod
    def of(cls, reported: AdverseEventReported, position: int) -> Self:
        """The adverse event that was recorded."""
        due = ReportsDue.model_validate(dict(reported), extra="ignore")
        return cls(subject=reported.subject, position=position, due=due)


class FollowedUpAdverseEvent(Written):
    """The reports that the follow-up calls for, beside those that were due before."""

    adverse_event: AdverseEventNumber
    due: ReportsDue

    @classmethod
    def of(cls, followed_up: AdverseEventFollowedUp, position: int) -> Self:
        """The follow-up that was recorded."""
        due = ReportsDue.model_validate(dict(followed_up), extra="ignore")
        return cls(subject=followed_up.subject, position=position, adverse_event=followed_up.adverse_event, due=due)


class SubmittedReport(Written):
    """The report that was handed in, and whether it was late for any of the clocks that it answers."""

    adverse_event: AdverseEventNumber
    report: ReportKind
    answers: Annotated[list[int], Field(description="The positions of what had started the clocks.")]
    late: bool

    @classmethod
    def of(cls, submitted: SafetyReportSubmitted, position: int) -> Self:
        """The report that was recorded."""
        return cls(
            subject=submitted.subject,
            position=position,
            adverse_event=submitted.adverse_event,
            report=submitted.report,
            answers=[clock.started_by for clock in submitted.clocks],
            late=any(clock.late for clock in submitted.clocks),
        )


class ReportingClock(BaseModel):
    """A report that is or was due: by an instant, or on a last day in the sponsor's zone."""

    report: ReportKind
    started_by: Annotated[int, Field(description="The position of the report or follow-up that started it.")]
    aware_at: datetime
    due_by: datetime | None
    due_on: date | None
    state: Annotated[ClockState, Field(description="`void`: the adverse event was reported in error.")]
    ended_at: datetime | None
    ended_by: int | None

    @classmethod
    def of(cls, protocol: Protocol, clock: Clock, at: datetime) -> Self:
        """A clock as it stands at an instant."""
        return cls(
            report=clock.report,
            started_by=clock.started_by,
            aware_at=clock.aware_at,
            due_by=clock.due_by,
            due_on=clock.due_on,
            state=state_of(protocol, clock, at),
            ended_at=clock.ended_at,
            ended_by=clock.ended_by,
        )


class RecordOfAdverseEvent(BaseModel):
    """One word on an adverse event: its report, a follow-up, a report handed in, its nullification."""

    position: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    by: dict[str, Any]
    reason: str | None
    data: dict[str, Any]

    @classmethod
    def of(cls, recorded: Recorded) -> Self:
        """What stands in the log."""
        return cls(
            position=recorded.position,
            type=recorded.event.name,
            occurred_at=recorded.occurred_at,
            recorded_at=recorded.recorded_at,
            by=recorded.by,
            reason=recorded.document["reason"],
            data=recorded.event.model_dump(mode="json"),
        )


class AdverseEventDetail(BaseModel):
    """An adverse event as it is judged now, the reports of it, and all that was recorded of it."""

    adverse_event: AdverseEventNumber
    term: str
    grade: int
    serious: bool
    seriousness_criteria: list[str]
    related: bool
    expected: bool
    infusion_reaction: bool
    fatal: bool
    onset_on: str | None
    resolved_on: str | None
    outcome: AdverseEventOutcome | None
    action_taken: ActionTaken | None
    nullified: bool
    reports: list[ReportingClock]
    history: list[RecordOfAdverseEvent]

    @classmethod
    def of(cls, protocol: Protocol, number: int, case: SafetyCase, history: Sequence[Recorded], at: datetime) -> Self:
        """A case, its clocks as they stand at an instant, and the events that tell it."""
        judged = case.assessment
        return cls(
            adverse_event=number,
            term=case.report.term,
            grade=judged.grade,
            serious=judged.serious,
            seriousness_criteria=list(judged.seriousness_criteria),
            related=judged.related,
            expected=judged.expected,
            infusion_reaction=case.infusion_reaction,
            fatal=case.fatal,
            onset_on=case.report.onset_on,
            resolved_on=case.resolved_on,
            outcome=case.outcome,
            action_taken=case.action_taken,
            nullified=not case.stands,
            reports=[ReportingClock.of(protocol, clock, at) for clock in case.clocks],
            history=[RecordOfAdverseEvent.of(recorded) for recorded in history],
        )


class AdverseEventList(BaseModel):
    """A subject's adverse events in the order of their reports, those that were void included."""

    subject: SubjectId
    items: list[AdverseEventDetail]


class DueSafetyReport(BaseModel):
    """A report that was due at the instant asked about, and whether it was overdue."""

    subject: SubjectId
    site: SiteId
    adverse_event: AdverseEventNumber
    report: ReportKind
    started_by: Annotated[int, Field(description="The position of the report or follow-up that started the clock.")]
    aware_at: datetime
    due_by: datetime | None
    due_on: Annotated[date | None, Field(description="Last day in the sponsor's zone.")]
    state: Literal["due", "overdue"]

    @classmethod
    def of(cls, row: SafetyReport, *, overdue: bool) -> Self:
        """A row of the read model."""
        return cls.model_validate({**row.model_dump(), "state": "overdue" if overdue else "due"}, extra="ignore")


class DueSafetyReportList(BaseModel):
    """One page, what is due first before what is due later; `next` is the cursor of the page after, if any."""

    as_of: datetime
    items: list[DueSafetyReport]
    next: str | None


class RecordedDeviation(BaseModel):
    """A departure from the protocol, as grave as it was last judged."""

    deviation: Annotated[int, Field(description="The log position of its record.")]
    subject: SubjectId
    site: SiteId
    kind: DeviationKind
    code: str
    grade: DeviationGrade
    item: Annotated[str | None, Field(description="The item of the schedule that it is of.")]
    fact: Annotated[int | None, Field(description="The log position of what departs; null where a person noted it.")]
    occurred_at: datetime
    reason: str | None
    regraded_by: Annotated[int | None, Field(description="The log position of the last judgement by a person.")]
    regrading_reason: str | None

    @classmethod
    def of(cls, row: Deviation) -> Self:
        """A row of the read model."""
        return cls.model_validate({**row.model_dump(), "deviation": row.position}, extra="ignore")


class DeviationList(BaseModel):
    """One page in the order of their records; `next` is the cursor of the page after, if any."""

    items: list[RecordedDeviation]
    next: str | None
