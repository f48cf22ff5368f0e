"""CTCAE grades, by v5.0 unless it says otherwise, and flags. Limits of normal are those of an example laboratory."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.labs.grading import CRITERIA, criteria_of, flag
from shared.protocol import ProtocolDocumentError, load_protocol

LLN = {
    "HGB": Decimal(135), "NEUT": Decimal("2.0"), "PLT": Decimal(150), "WBC": Decimal("4.0"), "LYM": Decimal("1.1"),
}  # fmt: skip
grade = CRITERIA["5.0"].grade

VALUES = st.decimals(min_value=0, max_value=2000, places=2)


@pytest.mark.parametrize(
    ("code", "bounds"),
    [
        ("HGB", [("135", 0), ("134.9", 1), ("100", 1), ("99.9", 2), ("80", 2), ("79.9", 3), ("20", 3)]),
        ("NEUT", [("2.0", 0), ("1.99", 1), ("1.5", 1), ("1.49", 2), ("1.0", 2), ("0.99", 3), ("0.5", 3), ("0.49", 4)]),
        ("PLT", [("150", 0), ("149", 1), ("75", 1), ("74.9", 2), ("50", 2), ("49.9", 3), ("25", 3), ("24.9", 4)]),
        ("WBC", [("4.0", 0), ("3.99", 1), ("3.0", 1), ("2.99", 2), ("2.0", 2), ("1.99", 3), ("1.0", 3), ("0.99", 4)]),
        ("LYM", [("1.1", 0), ("1.09", 1), ("0.8", 1), ("0.79", 2), ("0.5", 2), ("0.49", 3), ("0.2", 3), ("0.19", 4)]),
    ],
)  # fmt: skip
def test_a_falling_count_is_graded_by_strict_bounds(code: str, bounds: list[tuple[str, int]]) -> None:
    for value, expected in bounds:
        assert grade(code, Decimal(value), low=LLN[code]) == expected, f"{code} {value}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("90", 0), ("90.1", 1), ("135", 1), ("135.1", 2), ("270", 2), ("270.1", 3), ("540", 3), ("540.1", 4)],
)
def test_creatinine_is_graded_by_multiples_of_the_upper_limit(value: str, expected: int) -> None:
    assert grade("CREAT", Decimal(value), high=Decimal(90)) == expected


def test_the_limit_of_normal_is_needed_only_where_it_decides() -> None:
    assert grade("PLT", Decimal("74.9")) == 2
    assert grade("PLT", Decimal(75)) is None
    assert grade("CREAT", Decimal(500)) is None


def test_an_analyte_without_criteria_has_no_grade() -> None:
    assert grade("MCV", Decimal(90), Decimal(80), Decimal(98)) is None


@given(st.sampled_from(sorted(LLN)), VALUES, VALUES)
def test_a_lower_count_never_has_a_lower_grade(code: str, first: Decimal, second: Decimal) -> None:
    lower, higher = (grade(code, value, low=LLN[code]) for value in sorted((first, second)))
    assert lower is not None
    assert higher is not None
    assert lower >= higher


@given(VALUES, VALUES)
def test_a_higher_creatinine_never_has_a_lower_grade(first: Decimal, second: Decimal) -> None:
    lower, higher = (grade("CREAT", value, high=Decimal(90)) for value in sorted((first, second)))
    assert lower is not None
    assert higher is not None
    assert lower <= higher


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [("3.9", "4", "11", "L"), ("4", "4", "11", "N"), ("11", "4", "11", "N"), ("11.1", "4", "11", "H"),
     ("0.2", None, "0.21", "N"), ("0.3", None, "0.21", "H"), ("50", "60", None, "L"), ("1", None, None, None)],
)  # fmt: skip
def test_the_flag_compares_with_the_bounds_that_are_known(
    value: str, low: str | None, high: str | None, expected: str | None
) -> None:
    assert flag(Decimal(value), Decimal(low) if low else None, Decimal(high) if high else None) == expected


@pytest.mark.parametrize(
    ("code", "bounds"),
    [
        ("HGB", [("134.9", 1), ("99.9", 2), ("79.9", 3)]),
        ("NEUT", [("1.5", 0), ("1.49", 1), ("1.0", 1), ("0.99", 2), ("0.5", 2), ("0.49", 3), ("0.1", 3), ("0.09", 4)]),
        ("PLT", [("149", 1), ("74.9", 2), ("50", 2), ("49.9", 3), ("10", 3), ("9.9", 4)]),
        ("WBC", [("3.99", 1), ("2.99", 2), ("1.99", 3), ("0.99", 4)]),
        ("LYM", [("0.49", None)]),
    ],
)  # fmt: skip
def test_version_6_has_other_bounds_of_neutrophils_and_platelets_and_none_of_lymphocytes(
    code: str, bounds: list[tuple[str, int | None]]
) -> None:
    for value, expected in bounds:
        assert CRITERIA["6.0"].grade(code, Decimal(value), low=LLN[code]) == expected, f"{code} {value}"


def test_results_are_graded_by_the_version_that_the_protocol_chooses() -> None:
    own = load_protocol()
    chosen = own.model_copy(update={"safety": own.safety.model_copy(update={"ctcae_version": "6.0"})})
    assert [criteria_of(protocol).version for protocol in (own, chosen)] == ["5.0", "6.0"]


def test_a_protocol_that_chooses_a_version_without_a_table_is_refused() -> None:
    own = load_protocol()
    unknown = own.model_copy(update={"safety": own.safety.model_copy(update={"ctcae_version": "4.03"})})
    with pytest.raises(ProtocolDocumentError, match=r"safety\.ctcae_version: there is no table of CTCAE 4\.03"):
        criteria_of(unknown)
