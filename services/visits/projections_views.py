"""What the views read: how subjects were evaluated, what is marked on their lanes, and who is out of the count."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import BigInteger, ColumnElement, DateTime, Numeric, String, exists
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, col

from services.audit.events import RecordsSigned
from services.randomization.events import (
    ContactRegained,
    SubjectLostToFollowUp,
    SubjectRandomized,
    SubjectRandomizedTwice,
)
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventReported,
    CiclosporinAdvice,
    CiclosporinDoseAdvised,
    CiclosporinDosed,
    EvaluationInputsChanged,
    LineageStatus,
    OverallResponse,
    ProductInfused,
    SubjectEvaluated,
    TransfusionGiven,
)
from services.visits.read_model import ReadModel, instant
from shared.events import Event, Recorded
from shared.identity import Role
from shared.protocol import Protocol
from shared.rows import Rows
from shared.signing import SignatureMeaning

EVENTS: tuple[type[Event], ...] = (
    SubjectLostToFollowUp,
    ContactRegained,
    SubjectRandomizedTwice,
    TransfusionGiven,
    EvaluationInputsChanged,
    CiclosporinDoseAdvised,
    RecordsSigned,
)
"""What the views read beyond the events that schedules rest on."""


JUDGED = {"grade", "serious", "related", "infusion_reaction"}
"""What a later word on an adverse event may change of its mark."""

MarkKind = Literal["infusion", "ciclosporin", "transfusion", "adverse-event"]


class Evaluation(ReadModel, table=True):
    """The evaluation that was made last at a timepoint; `outdated_by` is where the change stands that it fell by.

    `changed_by` is the last change of its outcome, taken back or not: signatures before it are superseded.
    """

    __tablename__ = "evaluation"

    subject: str = Field(primary_key=True)
    timepoint: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    response: OverallResponse = Field(sa_type=String)
    lineages: dict[str, LineageStatus] = Field(sa_type=JSONB)
    progression: bool
    final: bool
    outdated_by: int | None = Field(default=None, sa_type=BigInteger)
    changed_by: int = Field(default=0, sa_type=BigInteger)


class Signature(ReadModel, table=True):
    """A signature of an investigator over a record, at a position; one that is given with the record stands there."""

    __tablename__ = "signature"

    record: int = Field(primary_key=True, sa_type=BigInteger)
    position: int = Field(primary_key=True, sa_type=BigInteger)
    meaning: SignatureMeaning = Field(sa_type=String)


def is_signed(protocol: Protocol) -> ColumnElement[bool]:
    """Whether an evaluation bears a signature that the protocol asks for, and that no changed outcome superseded."""
    return exists().where(
        col(Signature.record) == col(Evaluation.position),
        col(Signature.meaning).in_(protocol.response.signature_meanings),
        col(Signature.position) > col(Evaluation.changed_by),
    )


class Mark(ReadModel, table=True):
    """Something on a subject's lane: a dose (`amount`), a transfusion (its component, units) or an adverse event.

    An adverse event is as judged last, its onset a partial date. Columns that are not a kind's own are empty.
    """

    __tablename__ = "mark"

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    subject: str = Field(index=True)
    kind: MarkKind = Field(sa_type=String)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    amount: Decimal | None = Field(default=None, sa_type=Numeric)
    component: Literal["RBC", "PLT"] | None = Field(default=None, sa_type=String)
    grade: int | None = None
    serious: bool | None = None
    related: bool | None = None
    infusion_reaction: bool | None = None
    onset_on: str | None = None
    nullified: bool = False


class Advice(ReadModel, table=True):
    """What a laboratory's result was last said to call for, of a subject on ciclosporin."""

    __tablename__ = "advice"

    subject: str = Field(primary_key=True)
    result: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
    analyte: str
    collected_at: datetime = Field(sa_type=DateTime(timezone=True))
    at: datetime = Field(sa_type=DateTime(timezone=True))
    advice: CiclosporinAdvice = Field(sa_type=String)
    repeat_by: date | None = None


class Participation(ReadModel, table=True):
    """Of a randomized subject: since when it is lost, if it is, and whether its number is a second one of a person."""

    __tablename__ = "participation"

    subject: str = Field(primary_key=True)
    lost_at: datetime | None = instant()
    duplicate_of: str | None = None


def apply(rows: Rows, recorded: Recorded) -> None:
    """Change the rows that an event is about."""
    match recorded.event:
        case SubjectRandomized(subject=subject):
            rows.put(Participation, subject=subject)
        case SubjectLostToFollowUp(subject=subject):
            rows.change(Participation, subject, lost_at=recorded.occurred_at)
        case ContactRegained(subject=subject):
            rows.change(Participation, subject, lost_at=None)
        case SubjectRandomizedTwice(subject=subject, duplicate_of=first):
            rows.change(Participation, subject, duplicate_of=first)
        case CiclosporinDoseAdvised() as advised:
            said = {"subject", "result", "analyte", "collected_at", "advice", "repeat_by"}
            rows.put(Advice, position=recorded.position, at=recorded.occurred_at, **advised.model_dump(include=said))
    _apply_evaluations(rows, recorded)
    _apply_marks(rows, recorded)


def _apply_evaluations(rows: Rows, recorded: Recorded) -> None:
    match recorded.event:
        case SubjectEvaluated() as evaluated:
            rows.put(
                Evaluation,
                position=recorded.position,
                at=recorded.occurred_at,
                **evaluated.model_dump(
                    include={"subject", "timepoint", "response", "lineages", "progression", "final"}
                ),
            )
            if evaluated.signature is not None:
                _sign(rows, recorded, recorded.position, evaluated.signature.meaning)
        case RecordsSigned(records=records, meaning=meaning) if recorded.by["role"] == Role.INVESTIGATOR:
            for record in records:
                _sign(rows, recorded, record.position, meaning)
        case EvaluationInputsChanged(subject=subject, timepoint=timepoint, outcome_changed=True):
            at = recorded.position
            rows.change(Evaluation, subject, timepoint, outdated_by=at, changed_by=at)
        case EvaluationInputsChanged(subject=subject, timepoint=timepoint):
            rows.change(Evaluation, subject, timepoint, outdated_by=None)


def _sign(rows: Rows, recorded: Recorded, record: int, meaning: SignatureMeaning) -> None:
    rows.put(Signature, record=record, position=recorded.position, meaning=meaning)


def _apply_marks(rows: Rows, recorded: Recorded) -> None:
    def put(subject: str, kind: MarkKind, **values: Any) -> None:  # noqa: ANN401 (columns of several types)
        at, position = recorded.occurred_at, recorded.position
        rows.put(Mark, position=position, subject=subject, kind=kind, at=at, **values)

    match recorded.event:
        case ProductInfused(subject=subject, dose_number=number):
            put(subject, "infusion", amount=Decimal(number))
        case CiclosporinDosed(subject=subject, mg_per_kg_per_day=dose):
            put(subject, "ciclosporin", amount=dose)
        case TransfusionGiven(subject=subject, component=component, units=units):
            put(subject, "transfusion", component=component, amount=Decimal(units))
        case AdverseEventReported(subject=subject) as reported:
            put(subject, "adverse-event", onset_on=reported.onset_on, **reported.model_dump(include=JUDGED))
        case AdverseEventFollowedUp(adverse_event=number) as followed_up:
            rows.change(Mark, number, **followed_up.model_dump(include=JUDGED))
        case AdverseEventNullified(adverse_event=number):
            rows.change(Mark, number, nullified=True)
