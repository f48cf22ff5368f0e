"""Every resource of another maker is accepted with all its results, quarantined with a reason, or refused with a code.

Whether a resource is one of R4 is also asked of the library `fhir.resources`, which knows R4B: the two are equal in
what laboratories send.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.labs.fhir_issue import FhirError, Issue
from services.labs.fhir_json import write
from services.labs.fhir_structure import check_resource
from shared.json_body import parse_exact
from tests.corpus import CORPUS, needs_corpus
from tests.labs.examples import S
from tests.labs.fhir_examples import LIS, read
from tests.labs.fhir_mutations import EXAMPLES, mutated

FILES = sorted((CORPUS / "fhir").rglob("*.json"))
REFUSED = {
    "Bundle-bundle-references": ("business-rule", "Bundle.entry[4].resource.subject"),
    "Bundle-father": ("not-supported", "Bundle.type"),
    "Specimen-101": ("not-supported", "Specimen"),
    "Specimen-isolate": ("not-supported", "Specimen"),
    "Specimen-pooled-serum": ("not-supported", "Specimen"),
    "Specimen-sst": ("not-supported", "Specimen"),
    "Specimen-vma-urine": ("not-supported", "Specimen"),
}
"""What tells of several subjects, is no report, or is a document."""

RESULTS = {"Bundle-101": 7, "Bundle-report": 2, "Observation-f004": 1, "Observation-f005": 1}
"""How many results are the trial's, once the subject is named; of all others none is."""


def is_valid(resource: dict[str, Any]) -> bool:
    """Whether the library takes the resource."""
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate_json(write(resource))
    except ValidationError:
        return False
    return True


def outcome_of(path: Path) -> tuple[str, int, int]:
    """What becomes of a file whose subject is named: a line, how many results are recorded and how many quarantined."""
    try:
        command = read(path.read_bytes(), LIS, subject=S)
    except FhirError as error:
        issue = error.issues[0]
        return f"refused      {error.status} {issue.code} at {issue.expression}", 0, 0
    reasons = ", ".join(sorted({ground.code for ground in command.grounds}))
    found = f"{len(command.results)} recorded, {len(command.grounds)} quarantined"
    told = f"{found} ({reasons})" if reasons else found
    return told, len(command.results), len(command.grounds)


@needs_corpus
def test_the_table_of_what_becomes_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"{path.stem:36} {outcome_of(path)[0]}" for path in FILES]
    with capsys.disabled():
        print("\n" + "\n".join(lines))  # noqa: T201 (the table is for who reads the run)
    assert len(lines) == len(FILES) > 0


@needs_corpus
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_resource_is_accepted_quarantined_or_refused_for_the_right_reason(path: Path) -> None:
    if path.stem in REFUSED:
        with pytest.raises(FhirError) as refused:
            read(path.read_bytes(), LIS, subject=S)
        assert [(issue.code, issue.expression) for issue in refused.value.issues] == [REFUSED[path.stem]]
        return
    command = read(path.read_bytes(), LIS, subject=S)
    assert len(command.results) == RESULTS.get(path.stem, 0)
    assert {ground.code for ground in command.grounds} <= {"unknown-analyte", "collection-time-missing"}
    assert all(ground.expression for ground in command.grounds)
    assert read(path.read_bytes(), LIS).subject is None


@needs_corpus
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_resource_is_one_of_r4_where_the_library_says_so(path: Path) -> None:
    resource = parse_exact(path.read_bytes())
    assert (check_resource(resource) == []) is is_valid(resource)


def _issues_of(body: Any) -> tuple[Issue, ...]:
    """Why a body is refused, none where it is read: nothing else is raised."""
    try:
        read(json.dumps(body).encode())
    except json.JSONDecodeError:
        return ()
    except FhirError as error:
        return error.issues
    return ()


@given(st.data())
@settings(max_examples=100)
def test_a_broken_report_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    issues = _issues_of(mutated(data.draw(st.sampled_from(EXAMPLES)), data))
    assert all(issue.text and issue.expression for issue in issues)


@needs_corpus
@given(st.data())
@settings(max_examples=100)
def test_a_broken_resource_of_another_maker_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(FILES))
    issues = _issues_of(mutated(json.loads(path.read_bytes()), data))
    assert all(issue.text and issue.expression for issue in issues)
