"""What the calls of this service answer with, and how it is made from what was recorded or from a read model."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from services.labs.events import Ground, LabReportRecorded, ResultStatus, Sender, Source
from services.labs.grading import Flag
from services.labs.numerics import Comparator
from services.labs.projections import QuarantinedMessage, Result
from shared.decision import Outcome
from shared.events import Recorded
from shared.problems import Problem, ProblemDocument
from shared.protocol.language import AnalyteCode, Measurement, SiteId, SubjectId


class RecordedResult(BaseModel):
    """One version of a result, in the analyte's canonical unit, graded by CTCAE and flagged against its range."""

    model_config = ConfigDict(from_attributes=True)

    code: AnalyteCode
    value: Measurement | None
    unit: str
    grade: int | None
    flag: Flag | None
    status: ResultStatus
    version: int
    current: Annotated[bool, Field(description="False where a weightier version stood already.")]
    discrepancy: Annotated[bool, Field(description="A final value that changed without being called a correction.")]


class RecordedReport(BaseModel):
    """A report that was recorded, now or when it was sent before."""

    status: Literal[201] = 201
    report: Annotated[str, Field(description="The report's own number, made of its sender and message id.")]
    message_id: str
    subject: SubjectId
    position: int
    results: list[RecordedResult]

    @classmethod
    def of(cls, recorded: Recorded) -> Self:
        """The answer that a recorded report makes. Raises TypeError for another event."""
        report = recorded.event
        if not isinstance(report, LabReportRecorded):
            raise TypeError(f"{report.name} is no report")
        return cls(
            report=report.message_key,
            message_id=report.message_id,
            subject=report.subject,
            position=recorded.position,
            results=[RecordedResult.model_validate(result) for result in report.results],
        )


class RefusedReport(BaseModel):
    """A report of several that was not recorded, and why."""

    status: int
    index: Annotated[int, Field(description="Its place in the request, from 0.")]
    message_id: str | None
    problem: ProblemDocument

    @classmethod
    def of(cls, problem: Problem, index: int, message_id: str | None) -> Self:
        """The answer that the problem of one report makes."""
        document = ProblemDocument.model_validate(problem.document())
        return cls(status=problem.refusal.status, index=index, message_id=message_id, problem=document)


class ReportOutcomes(BaseModel):
    """What became of each report, in the order of the request."""

    reports: list[RecordedReport | RefusedReport]


class ReleasedMessage(BaseModel):
    """What was recorded of a quarantined message."""

    id: int
    position: int
    reports: list[RecordedReport]

    @classmethod
    def of(cls, quarantine: int, outcome: Outcome) -> Self:
        """The answer that a release makes."""
        reports = [RecordedReport.of(each) for each in outcome.events if isinstance(each.event, LabReportRecorded)]
        return cls(id=quarantine, position=outcome.position, reports=reports)


class UnreleasedMessage(BaseModel):
    """A quarantined message that the mapping does not settle, and why not; it stays quarantined."""

    id: int
    problem: ProblemDocument


class ReleaseOutcomes(BaseModel):
    """What became of each quarantined message, by arrival; `next` is the cursor where there are more."""

    messages: list[ReleasedMessage | UnreleasedMessage]
    next: int | None


class SentValue(BaseModel):
    """Code, value and unit as the laboratory wrote them, or their place in the sealed message."""

    code: str
    value: str | None
    unit: str


class ResultItem(BaseModel):
    """One version of a result, as the read model knows it."""

    code: AnalyteCode
    value: Measurement | None
    unit: str
    comparator: Comparator | None
    collected_at: datetime
    reported_at: datetime | None
    status: ResultStatus
    result: Annotated[str, Field(description="What the versions of one result have in common.")]
    version: int
    current: bool
    discrepancy: bool
    reference_low: Measurement | None
    reference_high: Measurement | None
    grade: int | None
    flag: Flag | None
    position: int
    as_sent: SentValue
    source: Source
    sender: Sender
    message_id: str

    @classmethod
    def of(cls, row: Result) -> Self:
        """The item that a row makes."""
        return cls(
            **row.model_dump(exclude={"key", "subject"}),
            result=row.key,
            as_sent=SentValue(code=row.sent_code, value=row.sent_value, unit=row.sent_unit),
            sender=Sender(application=row.sender_application, facility=row.sender_facility),
        )


class ResultList(BaseModel):
    """One page of results by the time of collection; `next` is the cursor of the page after, if any."""

    items: list[ResultItem]
    next: str | None


class QuarantinedItem(BaseModel):
    """A quarantined message, and why it is. What it says stays sealed."""

    id: int
    site: SiteId
    subject: SubjectId | None
    source: Source
    sender: Sender
    message_id: str
    quarantined_at: datetime
    released_at: datetime | None
    reason: Annotated[str, Field(description="The first of the grounds, in words.")]
    grounds: list[Ground]

    @classmethod
    def of(cls, row: QuarantinedMessage) -> Self:
        """The item that a row makes."""
        return cls.model_validate(
            {
                **row.model_dump(),
                "id": row.position,
                "reason": row.grounds[0]["text"],
                "sender": {"application": row.sender_application, "facility": row.sender_facility},
            },
            extra="ignore",
        )


class QuarantinedList(BaseModel):
    """One page of quarantined messages by arrival; `next` is the cursor of the page after, if any."""

    items: list[QuarantinedItem]
    next: int | None
