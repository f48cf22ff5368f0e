"""The read model of this service: who is followed, what was done when, what laboratories collected, what was missed.

The schedule of a subject is not stored: it is derived from these rows, the protocol and the day that is asked about.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, DateTime
from sqlmodel import Field

from services.randomization.events import InformedConsentObtained, SubjectScreened
from services.visits import projections_views
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventReported,
    ItemMissed,
    ProtocolDeviationGraded,
    ProtocolDeviationRecorded,
    SafetyReportSubmitted,
)
from services.visits.followed import EVENTS, FIRST_COUNTS, change_of_standing, deed_of, specimens_of
from services.visits.read_model import ReadModel, instant
from shared.events import Recorded
from shared.projection import Projection
from shared.protocol.language import site_of
from shared.rows import Rows


class Subject(ReadModel, table=True):
    """A subject's standing (`followed.Standing`), and when the log last learned anything that bears on its calendar."""

    __tablename__ = "subject"

    id: str = Field(primary_key=True)
    site: str = Field(index=True)
    screened_at: datetime | None = instant()
    arm: str | None = None
    randomized_at: datetime | None = instant()
    withdrawn_from_treatment_at: datetime | None = instant()
    withdrawn_from_study_at: datetime | None = instant()
    died_at: datetime | None = instant()
    may_have_second_dose: bool | None = None
    second_dose_decided_at: datetime | None = instant()
    replanned_by: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    known_at: datetime | None = instant()


class Consented(ReadModel, table=True):
    """A version of the consent form that a subject signed (`Signed`)."""

    __tablename__ = "consented"

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    subject: str = Field(index=True)
    version: str
    at: datetime = Field(sa_type=DateTime(timezone=True))


class Performed(ReadModel, table=True):
    """Something that site staff did for a subject (`followed.Deed`)."""

    __tablename__ = "performed"

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    subject: str = Field(index=True)
    kind: str
    which: str
    at: datetime = Field(sa_type=DateTime(timezone=True))


class Collected(ReadModel, table=True):
    """A specimen's result (`followed.Specimen`)."""

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
    due_by: datetime | None = instant()
    due_on: date | None = None
    ended_at: datetime | None = instant()


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


class Missed(ReadModel, table=True):
    """A miss that was recorded: of which item and window, and when."""

    __tablename__ = "missed"

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    subject: str = Field(index=True)
    code: str
    opens_on: date
    closes_on: date
    recorded_at: datetime = Field(sa_type=DateTime(timezone=True))


def apply(rows: Rows, recorded: Recorded) -> None:
    """Change the rows that an event is about."""
    if isinstance(recorded.event, EVENTS):
        _apply_followed(rows, recorded)
    _apply_safety(rows, recorded)
    _apply_deviations(rows, recorded)
    projections_views.apply(rows, recorded)


def _apply_followed(rows: Rows, recorded: Recorded) -> None:
    subject: str = recorded.event.subject  # type: ignore[attr-defined]  # each of EVENTS is about one
    match recorded.event:
        case SubjectScreened():
            rows.put(Subject, id=subject, site=site_of(subject), screened_at=recorded.occurred_at)
        case InformedConsentObtained(consent_version=version):
            rows.put(Consented, position=recorded.position, subject=subject, version=version, at=recorded.occurred_at)
        case ItemMissed(code=code, opens_on=opens_on, closes_on=closes_on):
            window = {"opens_on": opens_on, "closes_on": closes_on}
            at, position = recorded.recorded_at, recorded.position
            rows.put(Missed, position=position, subject=subject, code=code, recorded_at=at, **window)
    change = change_of_standing(recorded)
    first = {name: change.pop(name) for name in FIRST_COUNTS if change.get(name) is not None}
    rows.change(Subject, subject, known_at=recorded.recorded_at, **change)
    if first:
        rows.first(Subject, subject, **first)
    if (deed := deed_of(recorded)) is not None:
        done = {"kind": deed.kind, "which": deed.which, "at": deed.at}
        rows.put(Performed, position=deed.position, subject=subject, **done)
    for key, specimen in specimens_of(recorded).items():
        found = {"analyte": specimen.analyte, "at": specimen.at, "stands": specimen.stands}
        rows.put(Collected, subject=subject, result=key, position=specimen.position, **found)


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
    events=tuple(
        dict.fromkeys(
            (
                *EVENTS,
                SafetyReportSubmitted,
                ProtocolDeviationRecorded,
                ProtocolDeviationGraded,
                *projections_views.EVENTS,
            )
        )
    ),
    apply=apply,
)
