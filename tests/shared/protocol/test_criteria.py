"""Eligibility and product release: which criteria of the protocol fail."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from shared.protocol import Criterion, Fact, load_protocol
from shared.protocol.criteria import failed

PROTOCOL = load_protocol()

ELIGIBLE: dict[str, Fact] = {
    "consented": True,
    "age_years": 61,
    "diagnosis": "RA",
    "marrow_blasts_pct": Decimal("2.0"),
    "blood_blasts_pct": Decimal(0),
    "ring_sideroblasts_pct": Decimal(3),
    "ecog": 1,
    "ejection_fraction_pct": Decimal(60),
    "creatinine_umol_L": Decimal(80),
    "hiv": "negative",
    "pregnancy": "not-applicable",
    "active_infection": False,
    "psychiatric_condition": False,
    "other_trial_within_4_weeks": False,
}

RELEASABLE: dict[str, Fact] = {
    "cd73_pct": Decimal(98),
    "cd90_pct": Decimal(97),
    "cd105_pct": Decimal(96),
    "negative_markers_pct": Decimal(1),
    "viability_pct": Decimal(92),
    "sterility": "negative",
    "mycoplasma": "negative",
    "endotoxin_EU_per_kg": Decimal("0.4"),
}


def failed_criteria(facts: Mapping[str, Fact]) -> tuple[str, ...]:
    return failed(PROTOCOL.eligibility.criteria, facts)


def test_a_subject_who_meets_every_criterion_is_eligible() -> None:
    assert failed_criteria(ELIGIBLE) == ()


@pytest.mark.parametrize(
    ("fact", "meets", "fails", "code"),
    [
        ("consented", True, False, "consent"),
        ("age_years", 18, 17, "age"),
        ("age_years", 80, 81, "age"),
        ("marrow_blasts_pct", Decimal("4.9"), Decimal(5), "marrow-blasts"),
        ("blood_blasts_pct", Decimal("0.9"), Decimal(1), "blood-blasts"),
        ("ring_sideroblasts_pct", Decimal("14.9"), Decimal(15), "ring-sideroblasts"),
        ("ecog", 2, 3, "ecog"),
        ("ejection_fraction_pct", Decimal("45.1"), Decimal(45), "ejection-fraction"),
        ("creatinine_umol_L", Decimal("175.9"), Decimal(176), "creatinine"),
        ("hiv", "negative", "positive", "hiv"),
        ("pregnancy", "negative", "positive", "pregnancy"),
        ("active_infection", False, True, "active-infection"),
        ("psychiatric_condition", False, True, "psychiatric-condition"),
        ("other_trial_within_4_weeks", False, True, "other-trial"),
    ],
)
def test_each_criterion_holds_up_to_its_bound_and_fails_beyond(fact: str, meets: Fact, fails: Fact, code: str) -> None:
    assert failed_criteria(ELIGIBLE | {fact: meets}) == ()
    assert failed_criteria(ELIGIBLE | {fact: fails}) == (code,)


def test_rars_needs_at_least_15_per_cent_ring_sideroblasts() -> None:
    rars = ELIGIBLE | {"diagnosis": "RARS"}
    assert failed_criteria(rars | {"ring_sideroblasts_pct": Decimal(15)}) == ()
    assert failed_criteria(rars | {"ring_sideroblasts_pct": Decimal("14.9")}) == ("ring-sideroblasts",)


def test_a_fact_that_is_not_known_fails_its_criterion() -> None:
    unknown = {fact: value for fact, value in ELIGIBLE.items() if fact != "hiv"}
    assert failed_criteria(unknown) == ("hiv",)


def test_all_failed_criteria_are_named_in_the_order_of_the_document() -> None:
    assert failed_criteria(ELIGIBLE | {"ecog": 3, "age_years": 90}) == ("age", "ecog")


@pytest.mark.parametrize(
    ("fact", "fails", "code"),
    [
        ("cd73_pct", Decimal("94.9"), "cd73"),
        ("cd90_pct", Decimal("94.9"), "cd90"),
        ("cd105_pct", Decimal("94.9"), "cd105"),
        ("negative_markers_pct", Decimal("2.1"), "negative-markers"),
        ("viability_pct", Decimal(80), "viability"),
        ("sterility", "positive", "sterility"),
        ("mycoplasma", "positive", "mycoplasma"),
        ("endotoxin_EU_per_kg", Decimal("5.1"), "endotoxin"),
        ("karyotype", "abnormal", "karyotype"),
    ],
)
def test_a_lot_that_fails_a_release_criterion_is_not_released(fact: str, fails: Fact, code: str) -> None:
    assert PROTOCOL.failed_release(RELEASABLE) == ()
    assert PROTOCOL.failed_release(RELEASABLE | {fact: fails}) == (code,)


def test_words_never_lie_within_numeric_bounds() -> None:
    assert not Criterion(code="ecog", fact="ecog", at_most=Decimal(2)).holds_for({"ecog": "1"})
    assert not Criterion(code="ecog", fact="ecog", at_most=Decimal(2)).holds_for({"ecog": True})


def test_a_criterion_without_a_bound_is_none() -> None:
    with pytest.raises(ValueError, match="needs a bound"):
        Criterion(code="nothing", fact="ecog")
