"""What may be asked about a subject's way into the trial. Each command extends the request body it is made from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from services.randomization.eligibility import Findings
from shared.decision import Command
from shared.protocol.language import SiteId, SubjectId, Text, Whole


class Screening(Command):
    """A person to be screened: no name, no date of birth, only what the trial needs."""

    site: SiteId
    birth_year: Annotated[Whole, Field(ge=1900, le=2200)]
    sex: Annotated[
        Literal["F", "M", "U", "UNDIFFERENTIATED", "female", "male", "unknown", "other"],
        Field(description="CDISC code, or the FHIR word for it."),
    ]


class ScreenSubject(Screening):
    """Give a person the site's next screening number."""


class Consent(Command):
    """The version of the consent form that was signed."""

    version: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_.\-][A-Za-z0-9_.\- ]*$")]


class ObtainConsent(Consent):
    """Record that the subject signed the consent form."""

    subject: SubjectId


class Eligibility(Command, Findings):
    """What screening found."""


class AssessEligibility(Eligibility):
    """Check the findings of screening against the protocol's criteria."""

    subject: SubjectId

    def findings(self) -> Findings:
        """The findings alone, as they are recorded."""
        return Findings(**{name: getattr(self, name) for name in Findings.model_fields})


class Enrolment(Command):
    """Entry into the trial; there is nothing to say of it but when it was."""


class EnrolSubject(Enrolment):
    """Enter a consenting, eligible subject into the trial."""

    subject: SubjectId


class Randomization(Command):
    """Allocation to an arm; nobody says which, and so there is nothing to say of it but when it was."""


class RandomizeSubject(Randomization):
    """Allocate the subject to an arm."""

    subject: SubjectId


class Withdrawal(Command):
    """What the subject withdraws from, and why."""

    scope: Literal["treatment", "study"]
    reason: Text


class WithdrawSubject(Withdrawal):
    """Record that the subject left the treatment or the study."""

    subject: SubjectId
