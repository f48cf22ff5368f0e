"""The CONSORT flow: how many were assessed, excluded and why, randomized, and what became of them in each arm."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import BaseModel, Field
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.randomization.projections import Subject
from shared.protocol import Protocol


class ArmFlow(BaseModel):
    """What became of those allocated to one arm. allocated = received + not_received."""

    allocated: int
    received: Annotated[int, Field(description="Started the allocated treatment.")]
    not_received: int
    discontinued: Annotated[int, Field(description="Left the treatment or the study.")]
    analysed: Annotated[int, Field(description="Evaluated at least once after the start.")]


class Flow(BaseModel):
    """CONSORT 2025, item 22. randomized = Σ allocated over the arms."""

    assessed: int
    excluded: Annotated[dict[str, int], Field(description="Not randomized, by reason; a criterion's code or a step.")]
    randomized: int
    arms: dict[str, ArmFlow]


async def consort_flow(session: AsyncSession, protocol: Protocol, sites: Collection[str] | None) -> Flow:
    """Count the read model's subjects of `sites` (all, when None)."""
    question = select(Subject)
    if sites is not None:
        question = question.where(col(Subject.site).in_(sites))
    return count((await session.exec(question)).all(), [arm.code for arm in protocol.arms])


def count(subjects: Collection[Subject], arms: Collection[str]) -> Flow:
    """The flow of some subjects. A subject that failed several criteria counts once, under the first."""
    excluded: dict[str, int] = {}
    for subject in subjects:
        if subject.arm is None and (reason := _exclusion(subject)) is not None:
            excluded[reason] = excluded.get(reason, 0) + 1
    return Flow(
        assessed=len(subjects),
        excluded=excluded,
        randomized=sum(subject.arm is not None for subject in subjects),
        arms={arm: _arm_flow([subject for subject in subjects if subject.arm == arm]) for arm in arms},
    )


def _exclusion(subject: Subject) -> str | None:
    """Why a subject is not in the trial; None while the way in is still open."""
    if subject.eligible is False:
        return subject.failed_criteria[0]
    if subject.withdrawn_from_study_at is not None:
        return "withdrawn-before-randomization"
    return None


def _arm_flow(subjects: Collection[Subject]) -> ArmFlow:
    received = sum(subject.treated_at is not None for subject in subjects)
    return ArmFlow(
        allocated=len(subjects),
        received=received,
        not_received=len(subjects) - received,
        discontinued=sum(
            subject.withdrawn_from_treatment_at is not None or subject.withdrawn_from_study_at is not None
            for subject in subjects
        ),
        analysed=sum(subject.evaluated_at is not None for subject in subjects),
    )
