"""Whether a body is a resource of FHIR R4, and at which element it is none."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from services.labs.fhir_bundle import check_bundle
from services.labs.fhir_structure import DEPTH_MAX, DIGITS_MAX, ISSUES_MAX, check_resource
from tests.labs.fhir_examples import bundle, coded, exactly, observation


def faults(resource: object) -> list[tuple[str, str]]:
    return [(issue.code, issue.expression) for issue in check_resource(exactly(resource))]


@pytest.mark.parametrize("resource", [observation(), bundle(observation()), bundle(observation(), kind="collection")])
def test_what_r4_has_is_no_fault(resource: dict[str, Any]) -> None:
    assert faults(resource) == []


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"comments": "haemolysed"}, ("structure", "Observation.comments")),  # DSTU2
        ({"context": {"reference": "Encounter/1"}}, ("structure", "Observation.context")),  # STU3
        ({"triggeredBy": [{"type": "reflex"}]}, ("structure", "Observation.triggeredBy")),  # R5
        ({"valueAttachment": {"title": "x"}}, ("structure", "Observation.valueAttachment")),  # R5
        ({"category": coded("laboratory")}, ("structure", "Observation.category")),  # DSTU2: one
        ({"interpretation": coded("L")}, ("structure", "Observation.interpretation")),  # STU3: one
        ({"subject": [{"reference": "Patient/1"}]}, ("structure", "Observation.subject")),
        ({"status": "done"}, ("code-invalid", "Observation.status")),
        ({"status": None}, ("required", "Observation.status")),
        ({"status": None, "_status": {"id": "x"}}, ("required", "Observation.status")),
        ({"code": None}, ("required", "Observation.code")),
        ({"code": "718-7"}, ("structure", "Observation.code")),
        ({"code": {"coding": [None]}}, ("structure", "Observation.code.coding[0]")),
        ({"issued": "2025-12-31"}, ("value", "Observation.issued")),
        ({"effectiveDateTime": "2025-02-30"}, ("value", "Observation.effective")),
        ({"effectiveDateTime": "2025-12-31T08:00"}, ("value", "Observation.effective")),
        ({"effectiveDateTime": "2025-12-31T08:00:00"}, ("value", "Observation.effective")),
        ({"effectivePeriod": {"start": "2025"}}, ("structure", "Observation.effective")),
        ({"valueQuantity": {"value": "8.6"}}, ("value", "Observation.value.value")),
        ({"valueQuantity": {"value": True}}, ("value", "Observation.value.value")),
        ({"valueQuantity": {"comparator": "ad"}}, ("code-invalid", "Observation.value.comparator")),  # R5
        ({"valueString": "8.6"}, ("structure", "Observation.value")),  # beside valueQuantity
        ({"valueQuantity": {}}, ("structure", "Observation.valueQuantity")),
        ({"note": []}, ("structure", "Observation.note")),
        ({"method": {"text": " "}}, ("value", "Observation.method.text")),
        ({"modifierExtension": [{"url": "urn:x"}]}, ("extension", "Observation.modifierExtension")),
        ({"implicitRules": "urn:x"}, ("extension", "Observation.implicitRules")),
        ({"fhir_comments": ["x"]}, ("structure", "Observation")),
        ({"a b": 1}, ("structure", "Observation")),
        ({"_code": {"id": "x"}}, ("structure", "Observation.code")),
        ({"valueQuantity": {"value": 10 ** (DIGITS_MAX + 1)}}, ("value", "Observation.valueQuantity.value")),
        ({"contained": [{"id": "x"}]}, ("structure", "Observation.contained[0].resourceType")),
        ({"contained": [{"resourceType": "Bundle", "type": "batch"}]}, ("not-supported", "Observation.contained[0]")),
        ({"referenceRange": [{"meaning": coded("normal")}]}, ("structure", "Observation.referenceRange[0].meaning")),
    ],
)
def test_a_fault_is_told_by_its_place(members: dict[str, Any], fault: tuple[str, str]) -> None:
    assert fault in faults(observation(**members))


def test_an_element_of_another_version_is_told_to_be_one() -> None:
    [issue] = check_resource(exactly(observation(comments="haemolysed")))
    assert issue.text == "comments is an element of DSTU2, not of Observation in R4"


def test_what_stands_in_an_entry_is_told_by_the_path_through_the_bundle() -> None:
    assert faults(bundle(observation(), observation(status="done"))) == [
        ("code-invalid", "Bundle.entry[1].resource.status")
    ]


@pytest.mark.parametrize("body", [None, 1, "Observation", [], {}, {"resourceType": 1}, {"resourceType": "a b"}])
def test_what_is_no_resource_is_refused(body: object) -> None:
    assert check_resource(body) != []


def test_many_faults_are_told_up_to_a_limit_and_depth_has_one() -> None:
    assert len(check_resource(observation(**{f"x{number}": 1 for number in range(50)}))) == ISSUES_MAX
    deep: dict[str, Any] = {"url": "urn:x"}
    for _ in range(DEPTH_MAX):
        deep = {"url": "urn:x", "extension": [deep]}
    assert [code for code, _ in faults(observation(extension=[deep]))] == ["too-long"]


@pytest.mark.parametrize(
    ("change", "expression"),
    [
        ({"type": "document"}, "Bundle.type"),
        ({"type": "searchset"}, "Bundle.type"),
        ({"entry": None}, "Bundle.entry"),
        ({"type": "message"}, "Bundle.entry[0].resource"),
        ({"type": "collection"}, "Bundle.entry[0].request"),
        ({"entry": [{"resource": observation()}]}, "Bundle.entry[0].request"),
        ({"entry": [{"request": {"method": "POST", "url": "Observation"}}]}, "Bundle.entry[0].resource"),
        ({"entry": [{"request": {"method": "DELETE", "url": "Observation/1"}}]}, "Bundle.entry[0].request.method"),
        (
            {"entry": [{"resource": observation(), "request": {"method": "POST", "url": "Patient"}}]},
            "Bundle.entry[0].request.url",
        ),
    ],
)
def test_a_bundle_that_is_not_received_is_told_where(change: dict[str, Any], expression: str) -> None:
    changed = {name: member for name, member in (bundle(observation()) | change).items() if member is not None}
    assert expression in [issue.expression for issue in check_bundle(changed)]


@pytest.mark.parametrize("kind", ["Observation", "DiagnosticReport", "Specimen", "Patient", "MessageHeader", "Bundle"])
def test_the_table_has_the_elements_that_the_library_knows(kind: str) -> None:
    from services.labs.fhir_structure import _elements

    of_library = set(get_fhir_model_class(kind).elements_sequence())
    assert set(_elements(kind)) - {"extension", "modifierExtension"} == of_library - {"extension", "modifierExtension"}
