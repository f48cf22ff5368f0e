"""Eligibility by the protocol of NCT01129739, version 1.0: every criterion at, below and above its bound."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.randomization.eligibility import Assessment, Findings, assess
from shared.protocol import Criterion, load_protocol
from tests.randomization.examples import FINDINGS

ELIGIBILITY = load_protocol().eligibility
AGE = 60

BOUNDS: list[tuple[str, dict[str, Any], bool]] = [
    # the criterion, what differs from the eligible example, whether it holds
    ("age", {"age": 17}, False),
    ("age", {"age": 18}, True),
    ("age", {"age": 19}, True),
    ("age", {"age": 79}, True),
    ("age", {"age": 80}, True),
    ("age", {"age": 81}, False),
    ("marrow-blasts", {"marrow_blasts_pct": "4.9"}, True),
    ("marrow-blasts", {"marrow_blasts_pct": "5"}, False),
    ("marrow-blasts", {"marrow_blasts_pct": "5.1"}, False),
    ("blood-blasts", {"blood_blasts_pct": "0.99"}, True),
    ("blood-blasts", {"blood_blasts_pct": "1"}, False),
    ("blood-blasts", {"blood_blasts_pct": "1.01"}, False),
    ("ring-sideroblasts", {"diagnosis": "RA", "ring_sideroblasts_pct": "14.9"}, True),
    ("ring-sideroblasts", {"diagnosis": "RA", "ring_sideroblasts_pct": "15"}, False),
    ("ring-sideroblasts", {"diagnosis": "RA", "ring_sideroblasts_pct": "15.1"}, False),
    ("ring-sideroblasts", {"diagnosis": "RARS", "ring_sideroblasts_pct": "14.9"}, False),
    ("ring-sideroblasts", {"diagnosis": "RARS", "ring_sideroblasts_pct": "15"}, True),
    ("ring-sideroblasts", {"diagnosis": "RARS", "ring_sideroblasts_pct": "15.1"}, True),
    ("ecog", {"ecog": 1}, True),
    ("ecog", {"ecog": 2}, True),
    ("ecog", {"ecog": 3}, False),
    ("ejection-fraction", {"ejection_fraction_pct": "44.9"}, False),
    ("ejection-fraction", {"ejection_fraction_pct": "45"}, False),
    ("ejection-fraction", {"ejection_fraction_pct": "45.1"}, True),
    ("creatinine", {"creatinine_umol_L": "175.9"}, True),
    ("creatinine", {"creatinine_umol_L": "176"}, False),
    ("creatinine", {"creatinine_umol_L": "176.1"}, False),
    ("hiv", {"hiv": "negative"}, True),
    ("hiv", {"hiv": "positive"}, False),
    ("pregnancy", {"pregnancy": "not-applicable"}, True),
    ("pregnancy", {"pregnancy": "negative"}, True),
    ("pregnancy", {"pregnancy": "positive"}, False),
    ("active-infection", {"active_infection": False}, True),
    ("active-infection", {"active_infection": True}, False),
    ("psychiatric-condition", {"psychiatric_condition": False}, True),
    ("psychiatric-condition", {"psychiatric_condition": True}, False),
    ("other-trial", {"other_trial_within_4_weeks": False}, True),
    ("other-trial", {"other_trial_within_4_weeks": True}, False),
    ("consent", {"consented": True}, True),
    ("consent", {"consented": False}, False),
]


def assessment_of(*, age: int = AGE, consented: bool = True, **differing: object) -> Assessment:
    """The assessment of the eligible example with some findings changed."""
    return assess(ELIGIBILITY, Findings(**(FINDINGS | differing)), age=age, consented=consented)


def test_the_example_subject_is_eligible() -> None:
    assert assessment_of() == Assessment(failed_criteria=())
    assert assessment_of().eligible


@pytest.mark.parametrize(("criterion", "differing", "holds"), BOUNDS)
def test_a_criterion_holds_up_to_its_bound(criterion: str, differing: dict[str, Any], holds: bool) -> None:
    assessment = assessment_of(**differing)

    assert assessment.failed_criteria == (() if holds else (criterion,))
    assert assessment.eligible is holds


@pytest.mark.parametrize("criterion", ELIGIBILITY.criteria, ids=lambda criterion: criterion.code)
def test_every_criterion_of_the_protocol_is_seen_to_hold_and_to_fail(criterion: Criterion) -> None:
    seen = {holds for code, _, holds in BOUNDS if code == criterion.code}

    assert seen == {True, False}


def test_every_failed_criterion_is_named_in_the_protocols_order() -> None:
    """CONSORT 2010 item 13b: exclusions with their reasons."""
    assessment = assessment_of(
        age=17, other_trial_within_4_weeks=True, hiv="positive", creatinine_umol_L="200", marrow_blasts_pct="6"
    )

    assert assessment.failed_criteria == ("age", "marrow-blasts", "creatinine", "hiv", "other-trial")


def test_an_amended_bound_changes_the_decision_and_the_code_does_not() -> None:
    stricter = [
        criterion.model_copy(update={"less_than": Decimal(150)}) if criterion.code == "creatinine" else criterion
        for criterion in ELIGIBILITY.criteria
    ]
    amended = ELIGIBILITY.model_copy(update={"criteria": tuple(stricter)})
    findings = Findings(**(FINDINGS | {"creatinine_umol_L": "160"}))

    assert assess(ELIGIBILITY, findings, age=AGE).eligible
    assert assess(amended, findings, age=AGE).failed_criteria == ("creatinine",)


@given(creatinine=st.decimals("0.001", "2000", places=3))
@settings(max_examples=100)
def test_creatinine_is_compared_exactly(creatinine: Decimal) -> None:
    assert assessment_of(creatinine_umol_L=creatinine).eligible == (creatinine < 176)


@given(pct=st.decimals("0", "100", places=2))
@settings(max_examples=100)
def test_ring_sideroblasts_fit_exactly_one_of_the_two_diagnoses(pct: Decimal) -> None:
    """WHO 2008: from 15 % on RARS, below it RA, and nothing in between."""
    fitting = [
        diagnosis
        for diagnosis in ("RA", "RARS")
        if assessment_of(diagnosis=diagnosis, ring_sideroblasts_pct=pct).eligible
    ]

    assert fitting == (["RARS"] if pct >= 15 else ["RA"])


@pytest.mark.parametrize(
    "absurd",
    [
        {"diagnosis": "RAEB-1"},
        {"marrow_blasts_pct": "-0.1"},
        {"blood_blasts_pct": "100.1"},
        {"ring_sideroblasts_pct": "NaN"},
        {"ecog": 6},
        {"ecog": -1},
        {"ecog": True},
        {"ecog": "1"},
        {"ejection_fraction_pct": "Infinity"},
        {"creatinine_umol_L": "0"},
        {"hiv": "unknown"},
        {"pregnancy": ""},
        {"active_infection": "no"},
        {"psychiatric_condition": 0},
        {"other_trial_within_4_weeks": None},
        {"name": "a person's name"},
    ],
    ids=str,
)
def test_findings_that_nobody_can_have_are_refused(absurd: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Findings(**(FINDINGS | absurd))


@pytest.mark.parametrize("missing", FINDINGS)
def test_findings_are_complete_or_refused(missing: str) -> None:
    with pytest.raises(ValidationError):
        Findings(**{name: value for name, value in FINDINGS.items() if name != missing})
