"""What has happened to a subject on the way into the trial and out of it: this service's published language."""

from __future__ import annotations

from typing import Literal

from services.randomization.eligibility import Findings
from shared.events import Event
from shared.protocol.language import ArmCode, SiteId, SubjectId

Sex = Literal["F", "M", "U", "UNDIFFERENTIATED"]
"""CDISC controlled terminology for SEX."""


class SubjectScreened(Event, name="subject-screened", version=1, tags=("subject", "site")):
    """A person entered screening under a coded number, which is never used again."""

    subject: SubjectId
    site: SiteId
    birth_year: int
    sex: Sex


class InformedConsentObtained(Event, name="informed-consent-obtained", version=1, tags=("subject", "site")):
    """The subject signed a version of the consent form."""

    subject: SubjectId
    site: SiteId
    consent_version: str


class EligibilityAssessed(Event, name="eligibility-assessed", version=1, tags=("subject", "site")):
    """The criteria of the protocol were checked against the findings of screening."""

    subject: SubjectId
    site: SiteId
    findings: Findings
    eligible: bool
    stratum: str
    failed_criteria: tuple[str, ...]


class SubjectEnrolled(Event, name="subject-enrolled", version=1, tags=("subject", "site")):
    """A consenting, eligible subject entered the trial."""

    subject: SubjectId
    site: SiteId


class SubjectRandomized(Event, name="subject-randomized", version=1, tags=("subject", "site", "stratum")):
    """The next slot of the stratum's list was given to the subject, for good."""

    subject: SubjectId
    site: SiteId
    stratum: str
    slot: int
    arm: ArmCode
    randomization_number: str


class SubjectWithdrawn(Event, name="subject-withdrawn", version=1, tags=("subject", "site")):
    """The subject left the treatment, or the study as a whole; what was recorded stays."""

    subject: SubjectId
    site: SiteId
    scope: Literal["treatment", "study"]
