"""What the calls of this service answer with, made from what was recorded or from the rows of the read model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from services.randomization.events import (
    EligibilityAssessed,
    ErrorCause,
    MethodName,
    Parameters,
    RandomizationSchemeSealed,
    RandomizationSeedRevealed,
    Sex,
    StratumCorrected,
    SubjectRandomized,
    SubjectRescreened,
)
from services.randomization.projections import AllocationError, Consent, Subject
from services.randomization.scheme import Schemes
from shared.answers import Written
from shared.protocol.language import ArmCode, SiteId, SubjectId

Status = Literal[
    "screened",
    "consented",
    "eligible",
    "screen-failed",
    "enrolled",
    "randomized",
    "on-treatment",
    "completed",
    "withdrawn",
    "died",
    "lost",
]


AllocationErrorKind = Literal["randomized-in-error", "wrong-stratum", "wrong-treatment", "randomized-twice"]


class ScreenedSubject(Written):
    """The number that the person goes by from now on."""

    status: Literal["screened"] = "screened"


class RescreenedSubject(ScreenedSubject):
    """The number that the person goes by from now on, and the one under which the person failed screening."""

    rescreening_of: SubjectId

    @classmethod
    def of(cls, rescreened: SubjectRescreened, position: int) -> Self:
        """The new screening that was recorded."""
        return cls(subject=rescreened.subject, position=position, rescreening_of=rescreened.rescreening_of)


class AssessedEligibility(Written):
    """What the criteria say, the failed ones by their codes."""

    eligible: bool
    stratum: str | None
    failed_criteria: list[str]

    @classmethod
    def of(cls, assessed: EligibilityAssessed, position: int) -> Self:
        """The assessment that was recorded; who is not eligible has no stratum."""
        return cls(
            subject=assessed.subject,
            position=position,
            eligible=assessed.eligible,
            stratum=assessed.stratum if assessed.eligible else None,
            failed_criteria=list(assessed.failed_criteria),
        )


class AllocatedArm(Written):
    """The arm that the subject belongs to, for good."""

    arm: ArmCode
    randomization_number: str

    @classmethod
    def of(cls, allocated: SubjectRandomized, position: int) -> Self:
        """The allocation that was recorded; which slot it was is not told."""
        return cls(
            subject=allocated.subject,
            position=position,
            arm=allocated.arm,
            randomization_number=allocated.randomization_number,
        )


class SealedScheme(BaseModel):
    """The version under which a scheme was sealed, and what of it is committed to."""

    version: int
    position: int
    seed_commitment: str
    parameters_commitment: str
    list_roots: dict[str, str]

    @classmethod
    def of(cls, sealed: RandomizationSchemeSealed, position: int) -> Self:
        """The scheme that was recorded."""
        return cls(
            version=sealed.scheme,
            position=position,
            seed_commitment=sealed.seed_commitment,
            parameters_commitment=sealed.parameters_commitment,
            list_roots=sealed.list_roots,
        )


class RevealedScheme(BaseModel):
    """The version whose secret is public now."""

    version: int
    position: int


class RevealedSecret(BaseModel):
    """Seed and nonce in hexadecimal digits, and the block sizes."""

    seed: str
    nonce: str
    block_sizes: list[int]


class SchemeDetail(BaseModel):
    """A scheme as far as it may be known."""

    version: int
    method: MethodName
    parameters: Annotated[Parameters, Field(description="What the method is told, but block sizes; empty for lists.")]
    ratio: dict[ArmCode, int]
    strata: list[str]
    list_length: Annotated[int, Field(description="0 for a method that makes no lists.")]
    seed_commitment: str
    parameters_commitment: str
    list_roots: Annotated[dict[str, str], Field(description="By stratum; over the first `list_length` rows.")]
    revealed: RevealedSecret | None


class SchemeList(BaseModel):
    """All schemes in the order of their versions; the last one is in effect."""

    items: list[SchemeDetail]

    @classmethod
    def of(cls, schemes: Schemes) -> Self:
        """What the log says of them."""
        return cls(items=[_detail(scheme, schemes.revealed.get(scheme.scheme)) for scheme in schemes.sealed])


def _detail(scheme: RandomizationSchemeSealed, revealed: RandomizationSeedRevealed | None) -> SchemeDetail:
    secret = None
    if revealed is not None:
        secret = RevealedSecret(seed=revealed.seed, nonce=revealed.nonce, block_sizes=list(revealed.block_sizes))
    return SchemeDetail(
        version=scheme.scheme,
        method=scheme.method,
        parameters=scheme.parameters,
        ratio={each.code: each.share for each in scheme.arms},
        strata=list(scheme.strata),
        list_length=scheme.list_length,
        seed_commitment=scheme.seed_commitment,
        parameters_commitment=scheme.parameters_commitment,
        list_roots=scheme.list_roots,
        revealed=secret,
    )


class CorrectedStratum(Written):
    """The stratum that was used, which stays so, and the one that the subject truly belongs to."""

    stratum: str
    stratum_corrected: str

    @classmethod
    def of(cls, corrected: StratumCorrected, position: int) -> Self:
        """The correction that was recorded."""
        return cls.model_validate({**dict(corrected), "position": position}, extra="ignore")


class SubjectSummary(BaseModel):
    """Where a subject stands, as the read model knows it."""

    subject: SubjectId
    site: SiteId
    status: Status
    birth_year: int
    sex: Sex
    rescreening_of: Annotated[
        SubjectId | None, Field(description="The number under which the person failed screening before.")
    ]
    rescreened_as: Annotated[SubjectId | None, Field(description="The number that the person went on under.")]
    stratum: Annotated[str | None, Field(description="The one that is used, or was used, to allocate.")]
    stratum_corrected: Annotated[str | None, Field(description="The true one, where an error of stratum is on record.")]
    failed_criteria: list[str]
    arm: ArmCode | None
    randomization_number: str | None
    duplicate_of: Annotated[
        SubjectId | None, Field(description="The number under which the same person was randomized first.")
    ]
    consent_version: Annotated[str | None, Field(description="The one that was recorded last.")]
    screened_at: datetime
    consented_at: datetime | None
    assessed_at: datetime | None
    enrolled_at: datetime | None
    randomized_at: datetime | None
    treated_at: datetime | None
    evaluated_at: datetime | None
    completed_at: datetime | None
    died_at: datetime | None
    withdrawn_from_treatment_at: datetime | None
    withdrawn_from_study_at: datetime | None
    lost_to_follow_up_at: Annotated[datetime | None, Field(description="Null again once the subject is reached.")]
    last_contact_on: Annotated[date | None, Field(description="Before the loss, where it is known.")]

    @classmethod
    def of(cls, row: Subject) -> Self:
        """What the subject's row says."""
        return cls.model_validate({"subject": row.id, **row.model_dump()}, extra="ignore")


class ConsentItem(BaseModel):
    """A version of the consent form that the subject signed, and when."""

    position: int
    version: str
    occurred_at: datetime

    @classmethod
    def of(cls, row: Consent) -> Self:
        """What the consent's row says."""
        return cls(position=row.position, version=row.version, occurred_at=row.at)


class AllocationErrorItem(BaseModel):
    """An error of the subject's allocation; of the last five, those that this kind of error has, the others null."""

    position: int
    error: AllocationErrorKind
    reason: str
    occurred_at: datetime
    counted_in_balance: bool
    cause: ErrorCause | None
    stratum: str | None
    stratum_corrected: str | None
    received: Annotated[ArmCode | None, Field(description="The arm whose treatment was given.")]
    duplicate_of: SubjectId | None

    @classmethod
    def of(cls, row: AllocationError) -> Self:
        """What the error's row says."""
        return cls.model_validate({"occurred_at": row.at, **row.model_dump()}, extra="ignore")


class SubjectDetail(SubjectSummary):
    """Where a subject stands, what it has consented to, and what was wrong with its allocation."""

    consents: Annotated[list[ConsentItem], Field(description="In the order of their recording.")]
    errors: list[AllocationErrorItem]
    duplicates: Annotated[list[SubjectId], Field(description="Later numbers of the same person, randomized in error.")]

    @classmethod
    def of_record(
        cls,
        row: Subject,
        *,
        consents: Sequence[Consent],
        errors: Sequence[AllocationError],
        duplicates: Sequence[str],
    ) -> Self:
        """What the rows about a subject say."""
        return cls(
            **SubjectSummary.of(row).model_dump(),
            consents=[ConsentItem.of(consent) for consent in consents],
            errors=[AllocationErrorItem.of(error) for error in errors],
            duplicates=list(duplicates),
        )


class SubjectList(BaseModel):
    """One page of subjects in the order of their numbers; `next` is the cursor of the page after, if any."""

    items: list[SubjectSummary]
    next: str | None

    @classmethod
    def of(cls, rows: list[Subject], limit: int) -> Self:
        """A page of at most `limit` subjects, of which one more was looked for."""
        items = [SubjectSummary.of(row) for row in rows[:limit]]
        return cls(items=items, next=items[-1].subject if len(rows) > limit else None)


class ArmFlow(BaseModel):
    """What became of those allocated to one arm. allocated = received + not_received."""

    allocated: int
    received: Annotated[int, Field(description="Started the allocated treatment.")]
    not_received: int
    discontinued: Annotated[int, Field(description="Left the treatment or the study, or died in it.")]
    lost_to_follow_up: Annotated[int, Field(description="Cannot be reached, and not known to have left or died.")]
    analysed: Annotated[
        int,
        Field(description="Evaluated at least once after the start; a person who was randomized twice counts once."),
    ]
    errors: Annotated[
        dict[str, int],
        Field(description="Subjects by the error of their allocation. None of them is taken from those allocated."),
    ]


class Flow(BaseModel):
    """CONSORT 2025, item 22. randomized = Σ allocated over the arms."""

    assessed: Annotated[int, Field(description="Screening numbers: who came again after failing counts as often.")]
    rescreened: Annotated[int, Field(description="Those of the assessed who had failed under an earlier number.")]
    excluded: Annotated[dict[str, int], Field(description="Not randomized, by reason; a criterion's code or a step.")]
    randomized: int
    arms: dict[str, ArmFlow]
