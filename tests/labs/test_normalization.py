"""What one result says in the trial's own terms, and what bars its reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.labs import normalization, units
from services.labs.grading import CRITERIA
from services.labs.normalization import Aliases, Fault, FaultKind, ReadResult, SentResult, read_result, read_results
from tests.labs.examples import COLLECTED
from tests.scenario import DAY_0

CTCAE = CRITERIA["5.0"]

HGB = SentResult(
    number=1,
    codings=(("LN", "718-7"),),
    text="8.6",
    value=Decimal("8.6"),
    unit="g/dL",
    status="F",
    collected_at=COLLECTED,
    order="o1",
    reference_low=Decimal("12.0"),
    reference_high=Decimal("16.0"),
)


def read(sent: SentResult, aliases: Aliases = normalization.NO_ALIASES) -> ReadResult:
    result = read_result(sent, DAY_0, CTCAE, aliases)
    assert isinstance(result, ReadResult), result
    return result


def test_a_value_and_its_limits_are_brought_to_the_canonical_unit_graded_and_flagged() -> None:
    result = read(HGB)
    assert (result.code, str(result.value), result.unit) == ("HGB", "86", "g/L")
    assert (result.reference_low, result.reference_high) == (Decimal(120), Decimal(160))
    assert (result.grade, result.flag) == (2, "L")


def test_what_was_sent_stands_beside_it() -> None:
    assert read(HGB).as_sent.model_dump() == {"code": "718-7", "value": "8.6", "unit": "g/dL"}


def test_a_bound_has_neither_grade_nor_flag() -> None:
    result = read(replace(HGB, text="<8.6", comparator="<"))
    assert (result.comparator, result.grade, result.flag) == ("<", None, None)


def test_limits_of_free_text_that_cannot_be_converted_are_left_out() -> None:
    absurd = replace(HGB, reference_low=Decimal("1E-20"), reference_high=Decimal(10) ** 30)
    result = read(absurd)
    assert (result.reference_low, result.reference_high, result.flag) == (None, None, None)


@pytest.mark.parametrize("status", ["X", "D", "W"])
def test_a_result_that_was_cancelled_or_retracted_has_no_value(status: str) -> None:
    result = read(replace(HGB, status=status, value=None, text="clotted", unit=""))
    assert (result.status, result.value, result.grade, result.as_sent.value) == (status, None, None, None)


@pytest.mark.parametrize("status", ["P", "R", "S", "I"])
def test_what_is_no_final_word_is_preliminary(status: str) -> None:
    assert read(replace(HGB, status=status)).status == "P"


def test_a_pending_result_needs_no_value() -> None:
    assert read(replace(HGB, status="I", value=None, text=None, unit="")).value is None


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"codings": (("LN", "2823-3"),)}, normalization.UNKNOWN_ANALYTE),
        ({"codings": ()}, normalization.UNKNOWN_ANALYTE),
        ({"codings": (("LN", "718-7"), ("L", "PLT"))}, normalization.CONTRADICTORY_CODES),
        ({"status": "N"}, normalization.UNSUPPORTED_STATUS),
        ({"status": ""}, normalization.UNSUPPORTED_STATUS),
        ({"collected_at": None}, normalization.UNDATED),
        ({"collected_at": DAY_0 + timedelta(seconds=1)}, normalization.IN_FUTURE),
        ({"value": None, "text": None}, normalization.VALUE_MISSING),
        ({"value": None, "text": "see comment"}, normalization.NOT_A_NUMBER),
        ({"status": "X"}, normalization.VALUE_OF_CANCELLED),
        ({"unit": ""}, normalization.MISSING_UNIT),
        ({"unit": "g/mL"}, normalization.UNKNOWN_UNIT),
        ({"unit": "mmol/L"}, normalization.AMBIGUOUS_UNIT),
        ({"value": Decimal("-8.6")}, normalization.IMPLAUSIBLE_VALUE),
        ({"value": Decimal(86)}, normalization.IMPLAUSIBLE_VALUE),
    ],
)
def test_what_is_not_sure_is_a_fault(change: dict[str, object], kind: FaultKind) -> None:
    fault = read_result(replace(HGB, **change), DAY_0, CTCAE)  # type: ignore[arg-type]  # one field of several types
    assert isinstance(fault, Fault)
    assert (fault.number, fault.kind) == (1, kind)


def test_a_tiny_value_that_no_record_could_hold_is_implausible() -> None:
    dust = replace(HGB, codings=(("", "WBC"),), value=Decimal("1E-12"), unit="/uL")
    fault = read_result(dust, DAY_0, CTCAE)
    assert isinstance(fault, Fault)
    assert fault.kind is normalization.IMPLAUSIBLE_VALUE


def test_an_alias_names_an_analyte_and_a_unit() -> None:
    local = replace(HGB, codings=(("99LAB", "HB1"),), unit="gram per dl")
    assert isinstance(read_result(local, DAY_0, CTCAE), Fault)
    assert read(local, Aliases({"HB1": "HGB"}, {"gram per dl": "g/dL"})).value == Decimal(86)


def test_an_alias_to_what_is_no_analyte_is_a_fault_and_no_error() -> None:
    local = replace(HGB, codings=(("99LAB", "HB1"),))
    fault = read_result(local, DAY_0, CTCAE, Aliases({"HB1": "HAEMO"}))
    assert isinstance(fault, Fault)
    assert fault.kind is normalization.UNKNOWN_ANALYTE


def test_of_a_result_that_is_given_twice_the_second_is_a_fault() -> None:
    results, faults = read_results([HGB, replace(HGB, number=2)], DAY_0, CTCAE)
    assert [result.number for result in results] == [1]
    assert [(fault.number, fault.kind) for fault in faults] == [(2, normalization.REPEATED)]


def test_the_same_analyte_of_another_specimen_is_another_result() -> None:
    results, faults = read_results([HGB, replace(HGB, number=2, specimen="S2")], DAY_0, CTCAE)
    assert (len({result.key for result in results}), faults) == (2, ())


@pytest.mark.parametrize(
    ("pairs", "other"),
    [
        ((("LN", "20570-8"),), True),
        ((("L", "hct"),), True),
        ((("WinPath", "tt-0003-03"),), True),
        ((("LN", "HCT"),), False),
        ((("LN", "718-7"), ("L", "HCT")), False),
        ((("LN", "11125-2"),), False),  # platelet morphology, under which some send the count
        ((("99LAB", "HB1"),), False),
        ((), False),
    ],
)
def test_only_what_is_known_to_be_another_test_is_passed_over(pairs: tuple[tuple[str, str], ...], other: bool) -> None:
    assert normalization.is_other_test(pairs) is other


def test_a_mapping_to_nothing_passes_a_test_over() -> None:
    assert normalization.is_other_test((("99LAB", "HB1"),), Aliases({"HB1": None}))


def test_every_fault_of_a_unit_has_a_kind() -> None:
    codes = {kind.code for kind in normalization.FAULT_KINDS}
    assert {error.problem for error in units.UnitError.__subclasses__()} <= codes


def test_a_change_of_an_earlier_result_gives_its_reason() -> None:
    assert normalization.reason_of(["F", "W", "C", "C"]) == "The laboratory reported: corrected, of another patient."
    assert normalization.reason_of(["F", "P"]) is None


@settings(max_examples=100, deadline=None)
@given(
    value=st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**15), max_value=10**15),
    code=st.sampled_from(sorted(units.ANALYTES)),
    unit=st.sampled_from(["g/L", "g/dL", "10*9/L", "%", "/uL", "umol/L", "mg/dL", "nonsense", ""]),
    status=st.sampled_from(["F", "C", "P", "X", "D", "W", "N"]),
)
def test_every_result_is_read_within_its_bounds_or_a_fault(value: Decimal, code: str, unit: str, status: str) -> None:
    sent = replace(HGB, codings=(("", code),), value=value, text=str(value), unit=unit, status=status)
    result = read_result(sent, DAY_0, CTCAE)
    if isinstance(result, ReadResult) and result.value is not None:
        analyte = units.ANALYTES[code]
        assert analyte.low <= result.value <= analyte.high
        assert result.unit == analyte.unit
