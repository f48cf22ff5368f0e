"""What the calls of this service answer with, made from what was recorded or from the rows of the read model."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from services.randomization.events import (
    EligibilityAssessed,
    RandomizationSchemeSealed,
    RandomizationSeedRevealed,
    Sex,
    SubjectRandomized,
)
from services.randomization.projections import Subject
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
]


class ScreenedSubject(Written):
    """The number that the person goes by from now on."""

    status: Literal["screened"] = "screened"


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
    method: str
    ratio: dict[ArmCode, int]
    strata: list[str]
    list_length: int
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
        ratio={each.code: each.share for each in scheme.arms},
        strata=list(scheme.strata),
        list_length=scheme.list_length,
        seed_commitment=scheme.seed_commitment,
        parameters_commitment=scheme.parameters_commitment,
        list_roots=scheme.list_roots,
        revealed=secret,
    )


class SubjectDetail(BaseModel):
    """Where a subject stands, as the read model knows it."""

    subject: SubjectId
    site: SiteId
    status: Status
    birth_year: int
    sex: Sex
    stratum: str | None
    failed_criteria: list[str]
    arm: ArmCode | None
    randomization_number: str | None
    consent_version: str | None
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

    @classmethod
    def of(cls, row: Subject) -> Self:
        """What the subject's row says."""
        return cls.model_validate({"subject": row.id, **row.model_dump()}, extra="ignore")


class SubjectList(BaseModel):
    """One page of subjects in the order of their numbers; `next` is the cursor of the page after, if any."""

    items: list[SubjectDetail]
    next: str | None

    @classmethod
    def of(cls, rows: list[Subject], limit: int) -> Self:
        """A page of at most `limit` subjects, of which one more was looked for."""
        items = [SubjectDetail.of(row) for row in rows[:limit]]
        return cls(items=items, next=items[-1].subject if len(rows) > limit else None)


class ArmFlow(BaseModel):
    """What became of those allocated to one arm. allocated = received + not_received."""

    allocated: int
    received: Annotated[int, Field(description="Started the allocated treatment.")]
    not_received: int
    discontinued: Annotated[int, Field(description="Left the treatment or the study, or died in it.")]
    analysed: Annotated[int, Field(description="Evaluated at least once after the start.")]


class Flow(BaseModel):
    """CONSORT 2025, item 22. randomized = Σ allocated over the arms."""

    assessed: int
    excluded: Annotated[dict[str, int], Field(description="Not randomized, by reason; a criterion's code or a step.")]
    randomized: int
    arms: dict[str, ArmFlow]
