"""What a report in JSON says, and how a bad one among several is told."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from services.labs.commands import REPORTS_MAX, LabReport
from services.labs.domain import UNREADABLE
from services.labs.grading import CRITERIA
from services.labs.json_report import Malformed, Reports, read_report
from shared.problems import IN_FUTURE, INVALID, Problem
from tests.labs.examples import COLLECTED, REPORTED, body, hgb, report
from tests.scenario import DAY_0

REPORTS: TypeAdapter[list[LabReport | Malformed]] = TypeAdapter(Reports)


def refusal(*results: dict[str, Any], **members: Any) -> Problem:
    with pytest.raises(Problem) as raised:
        report(*results, **members)
    return raised.value


def test_the_collection_is_when_it_happened() -> None:
    assert report().occurred_at == COLLECTED


def test_a_loinc_code_names_an_analyte_as_well() -> None:
    [result] = report({"loinc": "718-7", "value": "8.6", "unit": "g/dL", "status": "F"}).results
    assert (result.code, result.value) == ("HGB", Decimal(86))


def test_the_digits_are_kept_as_they_were_sent() -> None:
    [result] = report(hgb("86.50")).results
    assert (str(result.value), result.as_sent.value) == ("86.50", "86.50")


def test_a_correction_gives_its_reason_unless_the_sender_does() -> None:
    assert report(hgb(status="C")).reason == "The laboratory reported: corrected."
    assert report(hgb(status="C"), reason="haemolysis").reason == "haemolysis"
    assert report().reason is None


def test_the_same_content_has_the_same_digest_however_its_instants_are_written() -> None:
    elsewhere = report(collected_at="2025-12-31T08:00:00+08:00")
    assert elsewhere.digest == report().digest
    assert report(hgb("86.0")).digest != report().digest


@pytest.mark.parametrize("member", ["collected_at", "reported_at"])
def test_what_lies_in_the_future_is_refused(member: str) -> None:
    late = (DAY_0 + timedelta(minutes=1)).isoformat()
    assert refusal(**{member: late}).refusal is IN_FUTURE


@pytest.mark.parametrize(
    ("result", "code", "at"),
    [
        (hgb(code="NOVEL"), "unknown-analyte", "results/1/code"),
        (hgb(unit="furlong"), "unknown-unit", "results/1/unit"),
        (hgb(unit=""), "missing-unit", "results/1/unit"),
        (hgb("-1"), "implausible-value", "results/1/value"),
        (hgb("8600"), "implausible-value", "results/1/value"),
        (hgb(None), "value-missing", "results/1/value"),
        (hgb(code="PLT"), "unknown-unit", "results/1/unit"),
        (hgb(loinc="777-3"), "contradictory-codes", "results/1/code"),
        (hgb(), "repeated-result", "results/1/code"),
    ],
)
def test_a_result_that_cannot_be_read_is_named_with_its_place(result: dict[str, Any], code: str, at: str) -> None:
    problem = refusal(hgb(), result)
    assert problem.refusal is UNREADABLE[code]
    [error] = problem.members["errors"]
    assert (error["at"], error["code"]) == (at, code)
    assert str(result["code"]) in problem.detail


def test_one_or_many_reports_are_read_and_a_malformed_one_costs_itself_alone() -> None:
    good = body()
    assert REPORTS.validate_python(good) == [LabReport.model_validate(good)]
    read = REPORTS.validate_python([good, body(hgb(status="Q")), 7])
    assert [type(each) for each in read] == [LabReport, Malformed, Malformed]
    assert isinstance(read[1], Malformed)
    problem = read[1].problem()
    assert (problem.refusal, problem.members["errors"][0]["at"]) == (INVALID, "results/0/status")


@pytest.mark.parametrize("many", [[], [body()] * (REPORTS_MAX + 1)], ids=["none", "too many"])
def test_a_list_has_at_least_one_report_and_not_too_many(many: list[Any]) -> None:
    with pytest.raises(ValidationError):
        REPORTS.validate_python(many)


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "Jane Doe"},
        {"message_id": ""},
        {"message_id": "a\nb"},
        {"message_id": 7},
        {"sender": {"application": "", "facility": "LAB"}},
        {"collected_at": "2025-12-31T08:00:00"},
        {"collected_at": 1767225600},
        {"results": []},
        {"surname": "Doe"},
        {"results": [hgb("NaN")]},
        {"results": [hgb(value=True)]},
        {"results": [hgb(status="f")]},
        {"results": [hgb(patient="Doe")]},
    ],
    ids=str,
)
def test_a_report_of_another_shape_is_malformed(wrong: dict[str, Any]) -> None:
    [read] = REPORTS.validate_python(body(**wrong))
    assert isinstance(read, Malformed)


def test_a_number_of_json_is_a_value_too() -> None:
    command = read_report(LabReport.model_validate(body(hgb(value=86.5))), DAY_0, CRITERIA["5.0"])
    assert command.results[0].value == Decimal("86.5")
    assert command.reported_at == REPORTED
