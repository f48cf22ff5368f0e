"""The CONSORT flow: how many were assessed, excluded and why, randomized, and what became of them in each arm."""

from __future__ import annotations

from collections.abc import Collection

from services.randomization.answers import ArmFlow, Flow
from services.randomization.projections import Subject


def consort_flow(subjects: Collection[Subject], arms: Collection[str]) -> Flow:
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
            subject.withdrawn_from_treatment_at is not None
            or subject.withdrawn_from_study_at is not None
            or subject.status == "died"
            for subject in subjects
        ),
        analysed=sum(subject.evaluated_at is not None for subject in subjects),
    )
