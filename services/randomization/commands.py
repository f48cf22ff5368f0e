"""What may be asked about a subject's way into the trial. Each command extends the request body it is made from."""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator, StrictBool, WithJsonSchema

from services.randomization.eligibility import Findings
from services.randomization.events import ArmShare, ErrorCause, MethodName, Parameters
from shared.decision import Command
from shared.protocol.language import ArmCode, Code, SiteId, SubjectId, Text, Whole


class AboutSubject(Command):
    """The base of every command about one subject, whom the address names."""

    subject: SubjectId


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


class Rescreening(Command):
    """Another screening of a person who failed it; there is nothing to say of it but when it was."""


class RescreenSubject(Rescreening, AboutSubject):
    """Give the person who failed screening as this subject the site's next screening number."""


class Consent(Command):
    """The version of the consent form that was signed."""

    version: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_.\-][A-Za-z0-9_.\- ]*$")]


class ObtainConsent(Consent, AboutSubject):
    """Record that the subject signed the consent form."""


class Eligibility(Command, Findings):
    """What screening found."""


class AssessEligibility(Eligibility, AboutSubject):
    """Check the findings of screening against the protocol's criteria."""

    def findings(self) -> Findings:
        """The findings alone, as they are recorded."""
        return Findings(**{name: getattr(self, name) for name in Findings.model_fields})


class Enrolment(Command):
    """Entry into the trial; there is nothing to say of it but when it was."""


class EnrolSubject(Enrolment, AboutSubject):
    """Enter a consenting, eligible subject into the trial."""


class Randomization(Command):
    """Allocation to an arm; nobody says which, and so there is nothing to say of it but when it was."""


class RandomizeSubject(Randomization, AboutSubject):
    """Allocate the subject to an arm."""


class Withdrawal(Command):
    """What the subject withdraws from, and why."""

    scope: Literal["treatment", "study"]
    reason: Text


class WithdrawSubject(Withdrawal, AboutSubject):
    """Record that the subject left the treatment or the study."""


_FRACTION = r"^[0-9]{1,6}(/[1-9][0-9]{0,5}|\.[0-9]{1,6})?$"


def _fraction(value: object) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if not isinstance(value, str) or not re.fullmatch(_FRACTION, value, re.ASCII):
        raise ValueError('a fraction is written as text, such as "4/5" or "0.8"')
    return Fraction(value)


ExactFraction = Annotated[
    Fraction,
    PlainValidator(_fraction),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _FRACTION, "examples": ["4/5"]}),
]
"""A fraction from 0 on, never rounded: read from a text, written in lowest terms."""


class AnyScheme(Command):
    """What every randomization scheme settles: arms and ratio, and the factors of the protocol that it looks at."""

    ratio: Annotated[dict[ArmCode, Annotated[Whole, Field(ge=1, le=100)]], Field(min_length=1, max_length=16)]
    strata: Annotated[tuple[Code, ...], Field(max_length=8)]


class SimpleScheme(AnyScheme):
    """Every subject by the ratio alone."""

    method: Literal["simple"]


class BiasedCoinScheme(AnyScheme):
    """Efron's biased coin in each stratum, for two equal arms."""

    method: Literal["biased-coin"]
    p: Annotated[ExactFraction, Field(description="The chance of the arm that is behind, from 1/2 to 1.")]


class UrnScheme(AnyScheme):
    """Wei's urn UD(alpha, beta) in each stratum, for equal arms."""

    method: Literal["urn"]
    alpha: Annotated[Whole, Field(ge=0, le=1000, description="Balls of each arm at the start.")]
    beta: Annotated[Whole, Field(ge=0, le=1000, description="Balls of the other arms that each draw adds.")]


class MinimizationScheme(AnyScheme):
    """Pocock and Simon's minimization; its strata are its factors, which it balances over the whole trial."""

    method: Literal["minimization"]
    weights: Annotated[
        dict[Code, ExactFraction],
        Field(min_length=1, max_length=8, description="The weight of each factor in `strata`."),
    ]
    distance: Annotated[Literal["range", "variance"], Field(description="Between the arms' counts.")] = "range"
    p: Annotated[ExactFraction, Field(description="The chance of the preferred arms together.")]


class BlockedScheme(AnyScheme):
    """Permuted blocks in each stratum. Their sizes are told to nobody before the reveal."""

    method: Literal["permuted-blocks"]
    block_sizes: Annotated[tuple[Annotated[Whole, Field(ge=1, le=256)], ...], Field(min_length=1, max_length=16)]
    sites: Annotated[
        tuple[SiteId, ...], Field(max_length=99, description="The sites whose lists are committed to row by row.")
    ] = ()
    list_length: Annotated[Whole, Field(ge=1, le=1000, description="Rows of each list that are committed to.")] = 200


DynamicScheme = SimpleScheme | BiasedCoinScheme | UrnScheme | MinimizationScheme
"""The schemes that look at the counts when a subject comes: there is no list, and nothing but the seed is hidden."""

Scheme = Annotated[BlockedScheme | DynamicScheme, Field(discriminator="method")]
"""A randomization scheme as a statistician describes it; the method says which parameters it has."""


class SealScheme(Command):
    """Settle a scheme, as far as it is published; `only_first` asks for nothing where one has been sealed."""

    id: str
    method: MethodName
    parameters: Parameters
    arms: tuple[ArmShare, ...]
    factors: tuple[str, ...]
    strata: tuple[str, ...]
    list_length: int
    seed_commitment: str
    parameters_commitment: str
    list_roots: dict[str, str]
    sealed: str
    only_first: bool = False


class Reveal(Command):
    """Why the seed of a scheme may be known now."""

    reason: Text


class RevealSeed(Reveal):
    """Make the secret of a scheme public."""

    scheme: int
    seed: str
    nonce: str
    block_sizes: tuple[int, ...]


class LossToFollowUp(Command):
    """How it came that the site can no longer reach the subject."""

    last_contact_on: Annotated[date | None, Field(description="The last day on which the subject was reached.")] = None
    reason: Annotated[Text, Field(description="What was tried.")]


class LoseSubject(LossToFollowUp, AboutSubject):
    """Record that the subject is lost to follow-up."""


class Contact(Command):
    """How the subject was reached again."""

    reason: Text


class RegainContact(Contact, AboutSubject):
    """Record that the subject, who was lost to follow-up, was reached again."""


class ErroneousAllocation(Command):
    """What every error of an allocation is recorded with."""

    reason: Annotated[Text, Field(description="What happened, and how it was found.")]
    counted_in_balance: Annotated[
        StrictBool,
        Field(description="Whether a method that balances over those allocated before goes on counting the subject."),
    ] = True


class ErroneousRandomization(ErroneousAllocation):
    """Why the subject should not have been randomized."""

    cause: ErrorCause


class MarkRandomizationInError(ErroneousRandomization, AboutSubject):
    """Record that the subject was randomized and should not have been."""


class StratumCorrection(ErroneousAllocation):
    """The level of the stratification factor that the subject truly has."""

    diagnosis: Annotated[Literal["RA", "RARS"], Field(description="By WHO 2008.")]


class CorrectStratum(StratumCorrection, AboutSubject):
    """Record the stratum that the subject truly belongs to, beside the one that was used."""


class WrongTreatment(ErroneousAllocation):
    """The treatment that was given in place of the allocated one."""

    received: Annotated[ArmCode, Field(description="The arm whose treatment it is.")]


class RecordWrongTreatment(WrongTreatment, AboutSubject):
    """Record that the subject was given the treatment of another arm."""


class DuplicateRandomization(ErroneousAllocation):
    """The subject of the same site that is the same person and was randomized first."""

    duplicate_of: SubjectId


class MarkRandomizedTwice(DuplicateRandomization, AboutSubject):
    """Record that the subject is a person who had been randomized before under another number."""


class SiteOpening(Command):
    """Why the site takes people in from now on."""

    reason: Text


class OpenSite(SiteOpening):
    """Record that a site is open."""

    site: SiteId


class SiteClosure(Command):
    """Why the site takes nobody in any more."""

    reason: Text


class CloseSite(SiteClosure):
    """Record that a site is closed."""

    site: SiteId


class AboutEnrolmentCap(Command):
    """The base of every command about a cap on enrolment."""

    site: Annotated[SiteId | None, Field(description="Whose cap it is; null: that of all sites together.")] = None
    reason: Text


class LiftEnrolmentCap(AboutEnrolmentCap):
    """Let as many be enrolled as come, at a site or at all of them together."""


class SetEnrolmentCap(AboutEnrolmentCap):
    """Set, raise or lower how many subjects may be enrolled, at a site or at all of them together."""

    cap: Annotated[Whole, Field(ge=0, le=99_999, description="Of subjects who were ever enrolled.")]
