"""What is told in FHIR is valid R4, exact to the digit, and read again says the same."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st

from services.labs import units
from services.labs.events import ResultStatus
from services.labs.fhir_bundle import Resource
from services.labs.fhir_capability import capability_statement
from services.labs.fhir_issue import FhirError, Issue, outcome
from services.labs.fhir_json import digest, write
from services.labs.fhir_outcome import error_of, outcome_of
from services.labs.fhir_resources import (
    STATUSES,
    Version,
    collection,
    diagnostic_report,
    observation,
    searchset,
    version_of,
)
from shared.json_body import parse_exact
from shared.problems import TOO_LARGE
from tests.labs.examples import hgb, recorded, report
from tests.labs.fhir_examples import SYSTEM, read

COLLECTED = datetime(2025, 12, 31, tzinfo=UTC)
PLAIN = st.decimals(min_value=1, max_value=20, places=2)


def version(value: Decimal | None = Decimal("86.0"), code: str = "HGB", status: ResultStatus = "F") -> Version:
    return Version(
        key="0" * 32,
        version=2,
        subject="01-001",
        code=code,
        value=value,
        unit=units.ANALYTES[code].unit,
        comparator=None,
        status=status,
        collected_at=COLLECTED,
        reported_at=COLLECTED,
        reference_low=None if value is None else Decimal("1.0"),
        reference_high=None if value is None else Decimal(160),
        flag=None if value is None else "N",
        sent_code="718-7",
        sent_unit="g/dL",
    )


def valid(resource: Resource) -> Resource:
    """The resource, once the library has taken it."""
    get_fhir_model_class(resource["resourceType"]).model_validate_json(write(resource))
    return resource


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("value", [Decimal("86.0"), None])
def test_every_version_of_a_result_is_a_valid_observation(status: ResultStatus, value: Decimal | None) -> None:
    told = valid(observation(version(value, status=status), SYSTEM))
    assert (told["status"], told["meta"]["versionId"]) == (STATUSES[status], "2")
    assert ("valueQuantity" in told) is (value is not None)


def test_digits_are_written_as_they_are() -> None:
    assert b'"value":86.0' in write(observation(version(), SYSTEM))
    assert b'"value":120' in write(observation(version(Decimal("1.2E+2")), SYSTEM))


def test_a_loinc_code_is_told_while_it_is_of_the_kind_of_the_value() -> None:
    def systems(told: Resource) -> list[str]:
        return [coding["system"] for coding in told["code"]["coding"]]

    assert systems(observation(version(), SYSTEM)) == ["urn:marrow:analyte", "http://loinc.org"]
    command = report({"loinc": "2160-0", "value": "1.0", "unit": "mg/dL", "status": "F"})  # a mass, told in moles
    event = recorded(command)
    assert systems(observation(version_of(event, event.results[0]), SYSTEM)) == ["urn:marrow:analyte"]


@given(value=PLAIN, code=st.sampled_from(sorted(units.ANALYTES)))
@settings(max_examples=100)
def test_what_is_told_and_read_again_says_the_same(value: Decimal, code: str) -> None:
    analyte = units.ANALYTES[code]
    sent = version(min(max(value, analyte.low), analyte.high), code)
    [again] = read(write(valid(observation(sent, SYSTEM)))).results
    assert (again.code, str(again.value), again.unit) == (sent.code, str(sent.value), sent.unit)
    assert (again.collected_at, again.status) == (sent.collected_at, sent.status)
    assert (str(again.reference_low), str(again.reference_high)) == ("1.0", "160")


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([hgb()], "final"),
        ([hgb(status="P")], "preliminary"),
        ([hgb(), hgb(status="P", code="PLT", value=None, unit="10*9/L")], "partial"),
        ([hgb(), hgb(status="C", code="PLT", value="60", unit="10*9/L")], "corrected"),
        ([hgb(), hgb(status="X", code="PLT", value=None, unit="10*9/L")], "final"),
        ([hgb(status="W")], "entered-in-error"),
    ],
)
def test_a_report_stands_as_its_results_do(results: list[Resource], status: str) -> None:
    told = valid(diagnostic_report(recorded(report(*results)), 7, SYSTEM))
    assert (told["status"], len(told["result"])) == (status, len(results))


def test_lists_answers_and_the_statement_are_valid() -> None:
    told = observation(version(), SYSTEM)
    valid(searchset([told], "http://x/labs/fhir", {"self": "http://x/labs/fhir/Observation"}))
    valid(searchset([], "http://x/labs/fhir", {"self": "http://x/labs/fhir/Observation"}))
    valid(collection([told, outcome(Issue("value", "Observation.value", "no"))]))
    valid(capability_statement("http://x/labs/fhir"))
    valid(outcome(Issue("value", "Observation.value", "no", "not-a-number", "warning")))


def test_an_error_of_a_batch_is_told_by_the_path_through_the_batch() -> None:
    status, issues = error_of(FhirError(400, [Issue("value", "Observation.issued", "no"), Issue("value", "", "no")]))
    told = valid(outcome_of(issues, below="Bundle.entry[3].resource"))
    assert (status, [each["expression"] for each in told["issue"]]) == (
        400,
        [["Bundle.entry[3].resource.issued"], ["Bundle.entry[3].resource"]],
    )
    assert error_of(TOO_LARGE())[1][0].code == "too-long"


def test_content_is_compared_without_its_order_and_lines_and_large_numbers_are_kept() -> None:
    assert digest({"a": Decimal("1.0"), "b": 2}) == digest({"b": 2, "a": Decimal("1.0")})
    assert digest({"a": Decimal("1.0")}) != digest({"a": Decimal("1.00")})
    assert parse_exact(write({"a": [10**30, Decimal("1E-40")]})) == {"a": [10**30, Decimal("1E-40")]}
