"""What may be asked about adverse events, their reports, and departures from the protocol. Codes and no stories."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool

from services.visits.commands import AboutSubject
from services.visits.events import ActionTaken, AdverseEventOutcome, DeviationKind, ReportKind
from services.visits.partial_dates import PartialDate
from shared.clock import Instant
from shared.decision import Command
from shared.protocol.deviations import DeviationGrade
from shared.protocol.language import Code, Text, Whole


class AdverseEvent(Command):
    """Something untoward, related to the treatment or not. A term, no story: nothing that names a person."""

    term: Annotated[Text, Field(description="As MedDRA or CTCAE names it.")]
    grade: Annotated[Whole, Field(ge=1, le=5, description="By CTCAE; 5 is death.")]
    serious: StrictBool
    seriousness_criteria: Annotated[
        tuple[Code, ...], Field(max_length=10, description="By the protocol; at least one where it is serious.")
    ] = ()
    related: Annotated[StrictBool, Field(description="Whether the treatment is suspected.")]
    expected: Annotated[StrictBool, Field(description="By the reference safety information.")] = False
    infusion_reaction: StrictBool = False
    aware_at: Annotated[Instant, Field(description="When the sponsor became aware of it.")]
    onset_on: Annotated[PartialDate | None, Field(description="As exact as it is known.")] = None
    outcome: AdverseEventOutcome | None = None
    action_taken: ActionTaken | None = None


class ReportAdverseEvent(AdverseEvent, AboutSubject):
    """Record an adverse event and settle by when it is to be reported."""


Criteria = Annotated[tuple[Code, ...], Field(max_length=10)]


class AdverseEventFollowUp(Command):
    """What more became known of an adverse event. What is not said stays as it was.

    A changed judgement needs a reason, and so does another end of what had ended; the course of an event needs none.
    """

    aware_at: Annotated[Instant, Field(description="When the sponsor became aware of it.")]
    grade: Annotated[int | None, Field(strict=True, ge=1, le=5, description="By CTCAE; 5 is death.")] = None
    serious: StrictBool | None = None
    seriousness_criteria: Criteria | None = None
    related: StrictBool | None = None
    expected: StrictBool | None = None
    infusion_reaction: StrictBool | None = None
    outcome: AdverseEventOutcome | None = None
    action_taken: ActionTaken | None = None
    resolved_on: Annotated[PartialDate | None, Field(description="As exact as it is known.")] = None


class AboutAdverseEvent(AboutSubject):
    """Which adverse event of the subject is meant: the log position of its report."""

    adverse_event: Whole


class FollowUpAdverseEvent(AdverseEventFollowUp, AboutAdverseEvent):
    """Record what more became known, and settle which reports are due because of it."""


class Nullification(Command):
    """That an adverse event was reported in error, and why."""

    reason: Text


class NullifyAdverseEvent(Nullification, AboutAdverseEvent):
    """Record that the report of an adverse event is void."""


class ReportSubmission(Command):
    """The report that was handed in, and to whom."""

    report: ReportKind


class SubmitSafetyReport(ReportSubmission, AboutAdverseEvent):
    """Record that a report of an adverse event was handed in."""


class Deviation(Command):
    """A departure from the protocol that a person noted, and why it came to it. A reason, no story."""

    kind: DeviationKind
    code: Annotated[Code, Field(description="What it was, as a code.")]
    grade: DeviationGrade
    item: Annotated[
        str | None,
        Field(pattern=r"^[A-Z][A-Z0-9-]{0,11}$", description="Its item in the schedule, if it is of one."),
    ] = None
    reason: Text


class NoteDeviation(Deviation, AboutSubject):
    """Record a departure from the protocol."""


class Regrading(Command):
    """How grave a deviation is after all, and why."""

    grade: DeviationGrade
    reason: Text


class RegradeDeviation(Regrading, AboutSubject):
    """Record another grade of the deviation that was recorded at a log position."""

    deviation: Whole


class RaiseDeviations(AboutSubject):
    """See whether what stands at a log position departs from the protocol."""
