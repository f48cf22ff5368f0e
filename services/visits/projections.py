"""The read model of this service: who is followed, what was done when, and what laboratories collected.

The schedule of a subject is not stored. It is derived from these rows, the protocol and the day that is asked about.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, MetaData
from sqlmodel import Field, SQLModel

from services.labs.events import LabReportRecorded
from services.randomization.events import SubjectRandomized, SubjectScreened, SubjectWithdrawn
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventReported,
    CiclosporinDosed,
    InfusionSafetyChecked,
    ProductInfused,
    ProtocolDeviationGraded,
    ProtocolDeviationRecorded,
    SafetyReportSubmitted,
    SecondDoseEligible,
    SecondDoseIneligible,
    SubjectEvaluated,
    SymptomsScored,
)
from shared.events import Recorded
from shared.projection import Projection
from shared.rows import Rows


class ReadModel(SQLModel):
    """The base of this service's tables: a PostgreSQL schema of its own."""

    metadata = MetaData(schema="visits")


def _instant() -> Any:  # noqa: ANN401 (SQLModel's Field is untyped about columns)
    return Field(default=None, sa_type=DateTime(timezone=True))


class Subject(ReadModel, table=True):
    """What bears on the whole of a subject's schedule. Instants are when it happened, not when it was recorded."""

    __tablename__ = "subject"

    id: str = Field(primary_key=True)
    site: str = Field(index=True)
    arm: str | None = None
    randomized_at: datetime | None = _instant()
    withdrawn_from_treatment_at: datetime | None = _instant()
    withdrawn_from_study_at: datetime | None = _instant()
    died_at: datetime | None = _instant()
    may_have_second_dose: bool | None = None
    second_dose_decided_at: datetime | None = _instant()


class Kind(StrEnum):
    """What site staff do for a subject."""

    INFUSION = "infusion"
    SAFETY_LOOK = "safety-look"
    CICLOSPORIN = "ciclosporin"
    SYMPTOMS = "symptoms"
    EVALUATION = "evaluation"


class Performed(ReadModel, table=True):
    """Something that site staff did for a subject; `which` week, timepoint, dose or look it was, where that matters."""

    __tablename__ = "performed"

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    subject: str = Field(index=True)
    kind: str
    which: str
    at: datetime = Field(sa_type=DateTime(timezone=True))


class Collected(ReadModel, table=True):
    """A specimen's result; `stands` is false for one that was not obtainable, deleted or of another patient."""

    __tablename__ = "collected"

    subject: str = Field(primary_key=True)
    result: str = Field(primary_key=True)
    analyte: str
    at: datetime = Field(sa_type=DateTime(timezone=True))
    position: int = Field(sa_type=BigInteger)
    stands: bool


class SafetyReport(ReadModel, table=True):
    """A reporting clock of an adverse event: what started it, by when the report is due, and when the clock ended."""

    __tablename__ = "safety_report"

    started_by: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    report: str = Field(primary_key=True)
    subject: str = Field(index=True)
    site: str
    adverse_event: int = Field(sa_type=BigInteger)
    aware_at: datetime = Field(sa_type=DateTime(timezone=True))
    due_by: datetime | None = _instant()
    due_on: date | None = None
    ended_at: datetime | None = _instant()


class Deviation(ReadModel, table=True):
    """A departure from the protocol, as grave as it was last judged; `fact` is what departs, if a rule found it."""

    __tablename__ = "deviation"

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    subject: str = Field(index=True)
    site: str = Field(index=True)
    kind: str
    code: str
    grade: str
    item: str | None = None
    fact: int | None = Field(default=None, sa_type=BigInteger)
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))
    reason: str | None = None
    regraded_by: int | None = Field(default=None, sa_type=BigInteger)
    regrading_reason: str | None = None


def apply(rows: Rows, recorded: Recorded) -> None:
    """Change the rows that an event is about."""
    _apply_standing(rows, recorded)
    _apply_performed(rows, recorded)
    _apply_safety(rows, recorded)
    _apply_deviations(rows, recorded)
    match recorded.event:
        case LabReportRecorded(subject=subject, results=results):
            for result in results:
                if result.current:
                    rows.put(
                        Collected,
                        subject=subject,
                        result=result.key,
                        analyte=result.code,
                        at=result.collected_at,
                        position=recorded.position,
                        stands=result.value is not None,
                    )


def _apply_standing(rows: Rows, recorded: Recorded) -> None:
    at = recorded.occurred_at
    match recorded.event:
        case SubjectScreened(subject=subject, site=site):
            rows.put(Subject, id=subject, site=site)
        case SubjectRandomized(subject=subject, arm=arm):
            rows.change(Subject, subject, randomized_at=at, arm=arm)
        case SubjectWithdrawn(subject=subject, scope="treatment"):
            rows.change(Subject, subject, withdrawn_from_treatment_at=at)
        case SubjectWithdrawn(subject=subject):
            rows.change(Subject, subject, withdrawn_from_study_at=at)
        case AdverseEventReported(subject=subject, fatal=True) | AdverseEventFollowedUp(subject=subject, fatal=True):
            rows.first(Subject, subject, died_at=at)
        case (
            AdverseEventFollowedUp(subject=subject, death_retracted=True)
            | AdverseEventNullified(subject=subject, death_retracted=True)
        ):
            rows.change(Subject, subject, died_at=None)
        case SecondDoseEligible(subject=subject):
            rows.change(Subject, subject, may_have_second_dose=True, second_dose_decided_at=at)
        case SecondDoseIneligible(subject=subject):
            rows.change(Subject, subject, may_have_second_dose=False, second_dose_decided_at=at)


def _apply_performed(rows: Rows, recorded: Recorded) -> None:
    def put(subject: str, kind: Kind, which: object = "") -> None:
        at, position = recorded.occurred_at, recorded.position
        rows.put(Performed, position=position, subject=subject, kind=kind.value, which=str(which), at=at)

    match recorded.event:
        case ProductInfused(subject=subject, dose_number=number):
            put(subject, Kind.INFUSION, number)
        case InfusionSafetyChecked(subject=subject, look=look):
            put(subject, Kind.SAFETY_LOOK, look)
        case CiclosporinDosed(subject=subject):
            put(subject, Kind.CICLOSPORIN)
        case SymptomsScored(subject=subject, week=week):
            put(subject, Kind.SYMPTOMS, week)
        case SubjectEvaluated(subject=subject, timepoint=timepoint):
            put(subject, Kind.EVALUATION, timepoint)


def _apply_safety(rows: Rows, recorded: Recorded) -> None:
    match recorded.event:
        case AdverseEventReported() as event:
            _start_clocks(rows, event, recorded.position, recorded.position)
        case AdverseEventFollowedUp() as event:
            _start_clocks(rows, event, recorded.position, event.adverse_event)
        case AdverseEventNullified(clocks=clocks) | SafetyReportSubmitted(clocks=clocks):
            for clock in clocks:
                rows.change(SafetyReport, clock.started_by, clock.report, ended_at=recorded.occurred_at)


def _start_clocks(
    rows: Rows, event: AdverseEventReported | AdverseEventFollowedUp, position: int, adverse_event: int
) -> None:
    due: tuple[tuple[str, datetime | None, date | None], ...] = (
        ("sponsor", event.sponsor_by, None),
        ("authority", None, event.authority_on),
        ("authority-follow-up", None, event.follow_up_on),
    )
    for report, due_by, due_on in due:
        if due_by is not None or due_on is not None:
            rows.put(
                SafetyReport,
                started_by=position,
                report=report,
                subject=event.subject,
                site=event.site,
                adverse_event=adverse_event,
                aware_at=event.aware_at,
                due_by=due_by,
                due_on=due_on,
            )


def _apply_deviations(rows: Rows, recorded: Recorded) -> None:
    match recorded.event:
        case ProtocolDeviationRecorded() as deviation:
            rows.put(
                Deviation,
                position=recorded.position,
                occurred_at=recorded.occurred_at,
                reason=recorded.document["reason"],
                **dict(deviation),
            )
        case ProtocolDeviationGraded(deviation=position, grade=grade):
            reason = recorded.document["reason"]
            rows.change(Deviation, position, grade=grade, regraded_by=recorded.position, regrading_reason=reason)


PROJECTION = Projection(
    name="visits",
    metadata=ReadModel.metadata,
    events=(
        SubjectScreened,
        SubjectRandomized,
        SubjectWithdrawn,
        ProductInfused,
        InfusionSafetyChecked,
        CiclosporinDosed,
        SymptomsScored,
        AdverseEventReported,
        AdverseEventFollowedUp,
        AdverseEventNullified,
        SafetyReportSubmitted,
        ProtocolDeviationRecorded,
        ProtocolDeviationGraded,
        SubjectEvaluated,
        SecondDoseEligible,
        SecondDoseIneligible,
        LabReportRecorded,
    ),
    apply=apply,
)
