"""The read models of this service: a row a version of a result, a row a quarantined message, the known subjects."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, MetaData, Numeric
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from services.labs.events import LabMessageQuarantined, LabMessageReleased, LabReportRecorded, LabResult
from services.randomization.events import SubjectScreened
from shared.events import Recorded
from shared.projection import Projection
from shared.rows import Rows


class ReadModel(SQLModel):
    """The base of this service's tables: a PostgreSQL schema of its own."""

    metadata = MetaData(schema="labs")


def _instant(*, nullable: bool = True) -> Any:  # noqa: ANN401 (SQLModel's Field is untyped about columns)
    return Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=nullable))


def _exact() -> Any:  # noqa: ANN401
    """A numeric without a fixed scale: it keeps the digits that were reported."""
    return Field(default=None, sa_column=Column(Numeric()))


class Subject(ReadModel, table=True):
    """A subject that has been screened."""

    __tablename__ = "subject"

    id: str = Field(primary_key=True)


class Result(ReadModel, table=True):
    """One version of a result. Of the versions with one key, at most one is `current`."""

    __tablename__ = "result"
    __table_args__ = (Index("ix_result_subject", "subject", "collected_at", "code", "key", "version"),)

    key: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    subject: str
    code: str
    value: Decimal | None = _exact()
    unit: str
    comparator: str | None = None
    collected_at: datetime = _instant(nullable=False)
    reported_at: datetime | None = _instant()
    status: str
    current: bool
    discrepancy: bool
    reference_low: Decimal | None = _exact()
    reference_high: Decimal | None = _exact()
    grade: int | None = None
    flag: str | None = None
    sent_code: str
    sent_value: str | None = None
    sent_unit: str
    source: str
    sender_application: str
    sender_facility: str
    message_id: str
    position: int = Field(sa_column=Column(BigInteger, nullable=False))


class QuarantinedMessage(ReadModel, table=True):
    """A message in quarantine, by the position at which it was quarantined."""

    __tablename__ = "quarantined_message"

    position: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    site: str = Field(index=True)
    subject: str | None = None
    source: str
    sender_application: str
    sender_facility: str
    message_id: str
    grounds: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    quarantined_at: datetime = _instant(nullable=False)
    released_at: datetime | None = _instant()


def apply(rows: Rows, recorded: Recorded) -> None:
    """Add what an event tells, and turn off the version that a newer one supersedes."""
    match recorded.event:
        case SubjectScreened(subject=subject):
            rows.put(Subject, id=subject)
        case LabReportRecorded(results=results) as report:
            for result in results:
                rows.put(Result, **_row(report, result, recorded.position))
                if result.supersedes is not None:
                    rows.change(Result, result.key, result.supersedes.version, current=False)
        case LabMessageQuarantined() as message:
            rows.put(
                QuarantinedMessage,
                position=recorded.position,
                site=message.site,
                subject=message.subject,
                source=message.source,
                sender_application=message.sender.application,
                sender_facility=message.sender.facility,
                message_id=message.message_id,
                grounds=[ground.model_dump(mode="json") for ground in message.grounds],
                quarantined_at=recorded.recorded_at,
            )
        case LabMessageReleased(quarantine=quarantine):
            rows.change(QuarantinedMessage, quarantine, released_at=recorded.recorded_at)


def _row(report: LabReportRecorded, result: LabResult, position: int) -> dict[str, object]:
    return {
        "key": result.key,
        "version": result.version,
        "subject": report.subject,
        "code": result.code,
        "value": result.value,
        "unit": result.unit,
        "comparator": result.comparator,
        "collected_at": result.collected_at,
        "reported_at": report.reported_at,
        "status": result.status,
        "current": result.current,
        "discrepancy": result.discrepancy,
        "reference_low": result.reference_low,
        "reference_high": result.reference_high,
        "grade": result.grade,
        "flag": result.flag,
        "sent_code": result.as_sent.code,
        "sent_value": result.as_sent.value,
        "sent_unit": result.as_sent.unit,
        "source": report.source,
        "sender_application": report.sender.application,
        "sender_facility": report.sender.facility,
        "message_id": report.message_id,
        "position": position,
    }


PROJECTION = Projection(
    name="labs",
    metadata=ReadModel.metadata,
    events=(SubjectScreened, LabReportRecorded, LabMessageQuarantined, LabMessageReleased),
    apply=apply,
)
