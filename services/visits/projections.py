"""The read model of this service: who is followed, what was done when, and what laboratories collected.

The schedule of a subject is not stored: it is derived from these rows, the protocol and the day that is asked about.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, DateTime
from sqlmodel import Field

from services.labs.events import LabReportRecorded
from services.randomization.events import SubjectRandomized, SubjectScreened, SubjectWithdrawn
from services.visits import projections_views
from services.visits.events import (
    AdverseEventReported,
    CiclosporinDosed,
    InfusionSafetyChecked,
    ProductInfused,
    SecondDoseEligible,
    SecondDoseIneligible,
    SubjectEvaluated,
    SymptomsScored,
)
from services.visits.read_model import ReadModel, instant
from shared.events import Recorded
from shared.projection import Projection
from shared.rows import Rows


class Subject(ReadModel, table=True):
    """What bears on the whole of a subject's schedule. Instants are when it happened, not when it was recorded."""

    __tablename__ = "subject"

    id: str = Field(primary_key=True)
    site: str = Field(index=True)
    arm: str | None = None
    randomized_at: datetime | None = instant()
    withdrawn_from_treatment_at: datetime | None = instant()
    withdrawn_from_study_at: datetime | None = instant()
    died_at: datetime | None = instant()
    may_have_second_dose: bool | None = None
    second_dose_decided_at: datetime | None = instant()


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


def apply(rows: Rows, recorded: Recorded) -> None:
    """Change the rows that an event is about."""
    _apply_standing(rows, recorded)
    _apply_performed(rows, recorded)
    projections_views.apply(rows, recorded)
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
        case AdverseEventReported(subject=subject, fatal=True):
            rows.change(Subject, subject, died_at=at)
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
        SubjectEvaluated,
        SecondDoseEligible,
        SecondDoseIneligible,
        LabReportRecorded,
        *projections_views.EVENTS,
    ),
    apply=apply,
)
