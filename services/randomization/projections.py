"""The read model of this service: one row a subject, a consent, an error of allocation, a site and a cap."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Computed, DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from services.randomization.events import (
    ContactRegained,
    EligibilityAssessed,
    EnrolmentCapLifted,
    EnrolmentCapSet,
    InformedConsentObtained,
    RandomizationMarkedInError,
    SiteClosed,
    SiteOpened,
    StratumCorrected,
    SubjectEnrolled,
    SubjectLostToFollowUp,
    SubjectRandomized,
    SubjectRandomizedTwice,
    SubjectRescreened,
    SubjectScreened,
    SubjectWithdrawn,
    WrongTreatmentGiven,
)
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventReported,
    CiclosporinDosed,
    ProductInfused,
    SubjectEvaluated,
)
from shared.events import Recorded
from shared.projection import Projection
from shared.rows import Rows


class ReadModel(SQLModel):
    """The base of this service's tables: a PostgreSQL schema of its own."""

    metadata = MetaData(schema="randomization")


def _instant() -> Any:  # noqa: ANN401 (SQLModel's Field is untyped about columns)
    return Field(default=None, sa_type=DateTime(timezone=True))


STATUS = """CASE
  WHEN died_at <= coalesce(least(withdrawn_from_study_at, completed_at), died_at) THEN 'died'
  WHEN withdrawn_from_study_at IS NOT NULL THEN 'withdrawn'
  WHEN completed_at IS NOT NULL THEN 'completed'
  WHEN lost_to_follow_up_at IS NOT NULL THEN 'lost'
  WHEN treated_at IS NOT NULL THEN 'on-treatment'
  WHEN randomized_at IS NOT NULL THEN 'randomized'
  WHEN enrolled_at IS NOT NULL THEN 'enrolled'
  WHEN eligible THEN 'eligible'
  WHEN NOT eligible THEN 'screen-failed'
  WHEN consented_at IS NOT NULL THEN 'consented'
  ELSE 'screened'
END"""
"""The furthest step that a subject has taken; computed from the facts, so that no order of events can spoil it.

Who had left the study or completed it before dying did so all the same.
"""


class Subject(ReadModel, table=True):
    """Where a subject stands. Instants are when it happened, not when it was recorded.

    It was allocated under a version of the scheme, in a stratum of that.
    """

    __tablename__ = "subject"

    id: str = Field(primary_key=True)
    site: str = Field(index=True)
    birth_year: int
    sex: str
    status: str | None = Field(default=None, sa_column=Column(Text, Computed(STATUS, persisted=True), index=True))
    eligible: bool | None = None
    stratum: str | None = None
    stratum_corrected: str | None = None
    failed_criteria: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    arm: str | None = Field(default=None, index=True)
    allocated_under: int | None = None
    allocated_in: str | None = None
    randomization_number: str | None = None
    duplicate_of: str | None = Field(default=None, index=True)
    consent_version: str | None = None
    rescreening_of: str | None = None
    rescreened_as: str | None = None
    screened_at: datetime = Field(sa_type=DateTime(timezone=True))
    consented_at: datetime | None = _instant()
    assessed_at: datetime | None = _instant()
    enrolled_at: datetime | None = _instant()
    randomized_at: datetime | None = _instant()
    treated_at: datetime | None = _instant()
    evaluated_at: datetime | None = _instant()
    completed_at: datetime | None = _instant()
    died_at: datetime | None = _instant()
    withdrawn_from_treatment_at: datetime | None = _instant()
    withdrawn_from_study_at: datetime | None = _instant()
    lost_to_follow_up_at: datetime | None = _instant()
    last_contact_on: date | None = None


class Consent(ReadModel, table=True):
    """A version of the consent form that a subject signed."""

    __tablename__ = "consent"

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    subject: str = Field(index=True)
    version: str
    at: datetime = Field(sa_type=DateTime(timezone=True))


class AllocationError(ReadModel, table=True):
    """An error of a subject's allocation; of the members that only one kind of error has, the others are empty."""

    __tablename__ = "allocation_error"

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    subject: str = Field(index=True)
    site: str = Field(index=True)
    error: str
    reason: str
    at: datetime = Field(sa_type=DateTime(timezone=True))
    counted_in_balance: bool
    cause: str | None = None
    stratum: str | None = None
    stratum_corrected: str | None = None
    received: str | None = None
    duplicate_of: str | None = None


class SiteState(ReadModel, table=True):
    """Whether a site takes people in, since when, and why; a site without a row does."""

    __tablename__ = "site_state"

    site: str = Field(primary_key=True)
    state: str
    since: datetime = Field(sa_type=DateTime(timezone=True))
    reason: str


class EnrolmentCap(ReadModel, table=True):
    """How many may be enrolled at a site, or at all of them (`trial`); none where the cap was lifted."""

    __tablename__ = "enrolment_cap"

    scope: str = Field(primary_key=True)
    cap: int | None = None
    since: datetime = Field(sa_type=DateTime(timezone=True))
    reason: str


TRIAL_SCOPE = "trial"
"""The scope of the cap of all sites together."""


def apply(rows: Rows, recorded: Recorded) -> None:
    """Change the row of the subject, the site or the cap that an event is about; add one for a consent or an error."""
    _apply_sites(rows, recorded)
    _apply_entry(rows, recorded)
    _apply_course(rows, recorded)
    _apply_errors(rows, recorded)


def _apply_sites(rows: Rows, recorded: Recorded) -> None:
    """Where and how far the trial takes people in."""
    why = {"since": recorded.occurred_at, "reason": recorded.document["reason"]}
    match recorded.event:
        case SiteOpened(site=site):
            rows.put(SiteState, site=site, state="open", **why)
        case SiteClosed(site=site):
            rows.put(SiteState, site=site, state="closed", **why)
        case EnrolmentCapSet(site=capped, cap=cap):
            rows.put(EnrolmentCap, scope=capped or TRIAL_SCOPE, cap=cap, **why)
        case EnrolmentCapLifted(site=capped):
            rows.put(EnrolmentCap, scope=capped or TRIAL_SCOPE, cap=None, **why)


def _apply_entry(rows: Rows, recorded: Recorded) -> None:
    """The steps into the trial."""
    at = recorded.occurred_at
    match recorded.event:
        case SubjectScreened(subject=subject, site=site, birth_year=birth_year, sex=sex):
            rows.put(Subject, id=subject, site=site, birth_year=birth_year, sex=sex, screened_at=at)
        case SubjectRescreened(subject=subject, rescreening_of=earlier):
            rows.change(Subject, subject, rescreening_of=earlier)
            rows.change(Subject, earlier, rescreened_as=subject)
        case InformedConsentObtained(subject=subject, consent_version=version):
            rows.put(Consent, position=recorded.position, subject=subject, version=version, at=at)
            rows.change(Subject, subject, consented_at=at, consent_version=version)
        case EligibilityAssessed(subject=subject, eligible=eligible, stratum=stratum, failed_criteria=failed):
            rows.change(
                Subject,
                subject,
                assessed_at=at,
                eligible=eligible,
                stratum=stratum if eligible else None,
                failed_criteria=list(failed),
            )
        case SubjectEnrolled(subject=subject):
            rows.change(Subject, subject, enrolled_at=at)
        case SubjectRandomized(subject=subject, arm=arm, randomization_number=number) as allocated:
            rows.change(
                Subject,
                subject,
                randomized_at=at,
                arm=arm,
                allocated_under=allocated.scheme,
                allocated_in=allocated.stratum,
                randomization_number=number,
            )


def _apply_course(rows: Rows, recorded: Recorded) -> None:
    """What became of the subject in the trial."""
    at = recorded.occurred_at
    match recorded.event:
        case SubjectWithdrawn(subject=subject, scope="treatment"):
            rows.change(Subject, subject, withdrawn_from_treatment_at=at)
        case SubjectWithdrawn(subject=subject):
            rows.change(Subject, subject, withdrawn_from_study_at=at)
        case SubjectLostToFollowUp(subject=subject, last_contact_on=last):
            rows.change(Subject, subject, lost_to_follow_up_at=at, last_contact_on=last)
        case ContactRegained(subject=subject):
            rows.change(Subject, subject, lost_to_follow_up_at=None, last_contact_on=None)
        case ProductInfused(subject=subject) | CiclosporinDosed(subject=subject):
            rows.first(Subject, subject, treated_at=at)
        case SubjectEvaluated(subject=subject, final=final):
            rows.change(Subject, subject, evaluated_at=at, **({"completed_at": at} if final else {}))
        case AdverseEventReported(subject=subject, fatal=True) | AdverseEventFollowedUp(subject=subject, fatal=True):
            rows.first(Subject, subject, died_at=at)
        case (
            AdverseEventFollowedUp(subject=subject, death_retracted=True)
            | AdverseEventNullified(subject=subject, death_retracted=True)
        ):
            rows.change(Subject, subject, died_at=None)


def _apply_errors(rows: Rows, recorded: Recorded) -> None:
    """What was wrong with the subject's allocation, which stands."""
    match recorded.event:
        case RandomizationMarkedInError():
            error = "randomized-in-error"
        case StratumCorrected(subject=subject, stratum_corrected=stratum):
            error = "wrong-stratum"
            rows.change(Subject, subject, stratum_corrected=stratum)
        case WrongTreatmentGiven():
            error = "wrong-treatment"
        case SubjectRandomizedTwice(subject=subject, duplicate_of=first):
            error = "randomized-twice"
            rows.change(Subject, subject, duplicate_of=first)
        case _:
            return
    found = recorded.event.model_dump(exclude={"arm"})
    reason = recorded.document["reason"]
    rows.put(AllocationError, position=recorded.position, error=error, reason=reason, at=recorded.occurred_at, **found)


PROJECTION = Projection(
    name="randomization",
    metadata=ReadModel.metadata,
    events=(
        SubjectScreened,
        SubjectRescreened,
        InformedConsentObtained,
        EligibilityAssessed,
        SubjectEnrolled,
        SubjectRandomized,
        SubjectWithdrawn,
        SubjectLostToFollowUp,
        ContactRegained,
        RandomizationMarkedInError,
        StratumCorrected,
        WrongTreatmentGiven,
        SubjectRandomizedTwice,
        SiteOpened,
        SiteClosed,
        EnrolmentCapSet,
        EnrolmentCapLifted,
        ProductInfused,
        CiclosporinDosed,
        SubjectEvaluated,
        AdverseEventReported,
        AdverseEventFollowedUp,
        AdverseEventNullified,
    ),
    apply=apply,
)
