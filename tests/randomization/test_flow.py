"""The CONSORT flow: everybody is counted once, and the arms add up."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.randomization.flow import consort_flow
from services.randomization.projections import AllocationError, Subject
from tests.scenario import DAY_0


def subject(**facts: Any) -> Subject:
    """The row of a subject that was screened, but for what is said of it."""
    return Subject(id="01-001", site="01", birth_year=1960, sex="F", screened_at=DAY_0, **facts)


SCREENED = subject()
FAILED_TWICE = subject(eligible=False, failed_criteria=["age", "hiv"])
CHANGED_THEIR_MIND = subject(withdrawn_from_study_at=DAY_0)
ALLOCATED = subject(eligible=True, arm="MSC")
TREATED = subject(eligible=True, arm="MSC", treated_at=DAY_0, evaluated_at=DAY_0)
LEFT = subject(eligible=True, arm="CSA", treated_at=DAY_0, withdrawn_from_study_at=DAY_0)


def test_who_failed_several_criteria_is_excluded_once_under_the_first() -> None:
    flow = consort_flow([SCREENED, FAILED_TWICE, CHANGED_THEIR_MIND], ["MSC", "CSA"])
    assert (flow.assessed, flow.randomized) == (3, 0)
    assert flow.excluded == {"age": 1, "withdrawn-before-randomization": 1}


def test_the_allocated_are_those_who_received_and_those_who_did_not() -> None:
    flow = consort_flow([ALLOCATED, TREATED, LEFT], ["MSC", "CSA"])
    msc, csa = flow.arms["MSC"], flow.arms["CSA"]
    assert (msc.allocated, msc.received, msc.not_received, msc.discontinued, msc.analysed) == (2, 1, 1, 0, 1)
    assert (csa.allocated, csa.received, csa.not_received, csa.discontinued, csa.analysed) == (1, 1, 0, 1, 0)
    assert flow.randomized == msc.allocated + csa.allocated


def test_who_is_allocated_to_an_arm_without_treatment_has_received_it() -> None:
    usual_care = subject(eligible=True, arm="CARE")
    flow = consort_flow([ALLOCATED, usual_care], ["MSC", "CARE"], untreated=["CARE"])
    assert [(arm.received, arm.not_received) for arm in flow.arms.values()] == [(0, 1), (1, 0)]


def test_who_died_in_the_study_discontinued_it_and_who_died_after_it_did_not() -> None:
    died = subject(eligible=True, arm="MSC", treated_at=DAY_0, died_at=DAY_0, status="died")
    died_later = subject(eligible=True, arm="MSC", treated_at=DAY_0, died_at=DAY_0, status="completed")
    assert consort_flow([died, died_later], ["MSC"]).arms["MSC"].discontinued == 1


def test_who_is_lost_to_follow_up_has_not_discontinued() -> None:
    lost = subject(eligible=True, arm="MSC", treated_at=DAY_0, lost_to_follow_up_at=DAY_0, status="lost")
    arm = consort_flow([lost, TREATED], ["MSC"]).arms["MSC"]
    assert (arm.allocated, arm.lost_to_follow_up, arm.discontinued) == (2, 1, 0)


def test_who_was_lost_and_then_withdrew_or_died_is_not_lost() -> None:
    withdrawn = subject(
        eligible=True, arm="MSC", lost_to_follow_up_at=DAY_0, withdrawn_from_study_at=DAY_0, status="withdrawn"
    )
    died = subject(eligible=True, arm="MSC", lost_to_follow_up_at=DAY_0, died_at=DAY_0, status="died")
    arm = consort_flow([withdrawn, died], ["MSC"]).arms["MSC"]
    assert (arm.lost_to_follow_up, arm.discontinued) == (0, 2)


def test_who_came_again_after_failing_is_assessed_twice_and_said_to_be() -> None:
    again = subject(rescreening_of="01-001")
    flow = consort_flow([FAILED_TWICE, again], ["MSC"])
    assert (flow.assessed, flow.rescreened, flow.excluded) == (2, 1, {"age": 1})


def test_an_arm_without_subjects_is_shown() -> None:
    assert consort_flow([], ["MSC", "CSA"]).arms.keys() == {"MSC", "CSA"}


def error(number: int, kind: str) -> AllocationError:
    """The row of an error of a subject's allocation."""
    facts: dict[str, Any] = {"position": number, "site": "01", "reason": "found", "at": DAY_0}
    return AllocationError(subject=f"01-{number:03d}", error=kind, counted_in_balance=True, **facts)


def test_an_error_of_allocation_is_shown_and_takes_nobody_out_of_the_trial() -> None:
    flow = consort_flow([ALLOCATED, LEFT], ["MSC", "CSA"], [error(1, "randomized-in-error"), error(1, "wrong-stratum")])
    assert flow.randomized == 2
    assert flow.arms["MSC"].errors == {"randomized-in-error": 1, "wrong-stratum": 1}


def test_a_subject_with_the_same_error_twice_is_counted_once() -> None:
    flow = consort_flow([ALLOCATED], ["MSC"], [error(1, "wrong-treatment"), error(1, "wrong-treatment")])
    assert flow.arms["MSC"].errors == {"wrong-treatment": 1}


def test_a_person_who_was_randomized_twice_stays_allocated_twice_and_is_analysed_once() -> None:
    second = subject(eligible=True, arm="MSC", treated_at=DAY_0, evaluated_at=DAY_0, duplicate_of="01-001")
    flow = consort_flow([TREATED, second], ["MSC"])
    assert (flow.randomized, flow.arms["MSC"].allocated, flow.arms["MSC"].analysed) == (2, 2, 1)


SOMETIMES = st.none() | st.just(DAY_0)
SUBJECTS = st.builds(
    subject,
    eligible=st.just(True),
    arm=st.sampled_from([None, "MSC", "CSA"]),
    treated_at=SOMETIMES,
    evaluated_at=SOMETIMES,
    withdrawn_from_treatment_at=SOMETIMES,
    withdrawn_from_study_at=SOMETIMES,
)
KINDS = st.sampled_from(["randomized-in-error", "wrong-stratum", "wrong-treatment", "randomized-twice"])


@given(st.lists(SUBJECTS, max_size=20), st.lists(st.tuples(st.integers(0, 19), KINDS)))
@settings(max_examples=100, deadline=None)
def test_the_identities_of_consort_hold_whatever_has_happened(
    subjects: list[Subject], errors: list[tuple[int, str]]
) -> None:
    numbered = [each.model_copy(update={"id": f"01-{number:03d}"}) for number, each in enumerate(subjects)]
    flow = consort_flow(numbered, ["MSC", "CSA"], [error(*each) for each in errors])
    assert flow.randomized == sum(arm.allocated for arm in flow.arms.values())
    assert all(arm.allocated == arm.received + arm.not_received for arm in flow.arms.values())
    assert flow.assessed >= flow.randomized + sum(flow.excluded.values())
    assert all(count <= arm.allocated for arm in flow.arms.values() for count in arm.errors.values())
