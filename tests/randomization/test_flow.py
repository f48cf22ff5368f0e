"""The CONSORT flow: everybody is counted once, and the arms add up."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.randomization.flow import consort_flow
from services.randomization.projections import Subject
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


def test_who_died_in_the_study_discontinued_it_and_who_died_after_it_did_not() -> None:
    died = subject(eligible=True, arm="MSC", treated_at=DAY_0, died_at=DAY_0, status="died")
    died_later = subject(eligible=True, arm="MSC", treated_at=DAY_0, died_at=DAY_0, status="completed")
    assert consort_flow([died, died_later], ["MSC"]).arms["MSC"].discontinued == 1


def test_an_arm_without_subjects_is_shown() -> None:
    assert consort_flow([], ["MSC", "CSA"]).arms.keys() == {"MSC", "CSA"}


INSTANTS = st.none() | st.just(DAY_0)
ANYBODY = st.builds(
    subject,
    eligible=st.sampled_from([None, True, False]),
    failed_criteria=st.just(["age"]),
    arm=st.sampled_from([None, "MSC", "CSA"]),
    treated_at=INSTANTS,
    evaluated_at=INSTANTS,
    withdrawn_from_treatment_at=INSTANTS,
    withdrawn_from_study_at=INSTANTS,
)


@given(st.lists(ANYBODY, max_size=30))
def test_the_flow_adds_up_whoever_takes_part(subjects: list[Subject]) -> None:
    flow = consort_flow(subjects, ["MSC", "CSA"])
    assert flow.assessed == len(subjects) >= flow.randomized + sum(flow.excluded.values())
    assert flow.randomized == sum(arm.allocated for arm in flow.arms.values())
    for arm in flow.arms.values():
        assert arm.allocated == arm.received + arm.not_received
        assert max(arm.discontinued, arm.analysed) <= arm.allocated
