"""The CONSORT flow: how many were assessed, excluded and why, randomized, and what became of them in each arm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from services.randomization.answers import ArmFlow, Flow
from services.randomization.projections import AllocationError, Subject


def consort_flow(
    subjects: Collection[Subject],
    arms: Collection[str],
    errors: Collection[AllocationError] = (),
    untreated: Collection[str] = (),
) -> Flow:
    """The flow of some subjects, and the errors of their allocation.

    Of the arms, the `untreated` are those whose subjects get no treatment that could be recorded as given, such as
    usual care: who is allocated to one has received it. A subject that failed several criteria counts once, under the
    first. Who was randomized stays so whatever error is found of it (intention to treat).
    """
    erroneous = {(error.subject, error.error) for error in errors}
    excluded: dict[str, int] = {}
    for subject in subjects:
        if subject.arm is None and (reason := _exclusion(subject)) is not None:
            excluded[reason] = excluded.get(reason, 0) + 1
    return Flow(
        assessed=len(subjects),
        rescreened=sum(subject.rescreening_of is not None for subject in subjects),
        excluded=excluded,
        randomized=sum(subject.arm is not None for subject in subjects),
        arms={
            arm: _arm_flow([subject for subject in subjects if subject.arm == arm], erroneous, arm not in untreated)
            for arm in arms
        },
    )


def _exclusion(subject: Subject) -> str | None:
    """Why a subject is not in the trial; None while the way in is still open."""
    if subject.eligible is False:
        return subject.failed_criteria[0]
    if subject.withdrawn_from_study_at is not None:
        return "withdrawn-before-randomization"
    return None


def _arm_flow(subjects: Collection[Subject], erroneous: Collection[tuple[str, str]], is_treated: bool) -> ArmFlow:
    ids = {subject.id for subject in subjects}
    received = sum(subject.treated_at is not None or not is_treated for subject in subjects)
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
        lost_to_follow_up=sum(subject.status == "lost" for subject in subjects),
        analysed=sum(subject.evaluated_at is not None and subject.duplicate_of is None for subject in subjects),
        errors=dict(sorted(Counter(error for subject, error in erroneous if subject in ids).items())),
    )
