"""Whatever is read of a report in FHIR is answered by valid FHIR, and the same report by the same answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st

from services.labs import domain
from services.labs.fhir_answer import Answer, Came, answer_batch, answer_message, answer_resource, answer_transaction
from services.labs.fhir_issue import FhirError
from services.labs.fhir_json import write
from services.labs.fhir_report import check_body, read_report
from shared.events import Recorded
from tests.labs.examples import SEALED
from tests.labs.fhir_examples import (
    FHIR_SETTING,
    LIS,
    SYSTEM,
    Resource,
    bundle,
    coded,
    exactly,
    header,
    identified,
    observation,
    quantity,
    subject_of,
)
from tests.labs.fhir_mutations import EXAMPLES, mutated
from tests.scenario import BY, DAY_0


def came(resource: object, *, subject_known: bool = True, position: int = 7) -> Came:
    """What a body comes to by the rules, where nothing of it stands."""
    report = read_report(check_body(exactly(resource)), LIS, FHIR_SETTING)
    report = replace(report, command=report.command.model_copy(update={"sealed": SEALED}))
    ledger = domain.Ledger(report.command.message_key, subject_known=subject_known)
    events = domain.record_message(report.command, ledger)
    recorded = tuple(Recorded(at, event, DAY_0, DAY_0, BY, {}) for at, event in enumerate(events, position))
    return Came(report, recorded, SYSTEM)


def answer(resource: Resource, **options: Any) -> Answer:
    """The answer to a body of any kind."""
    outcome = came(resource, **options)
    resource = outcome.report.contents.body
    if resource["resourceType"] != "Bundle":
        return answer_resource(outcome)
    return answer_message(outcome) if resource["type"] == "message" else answer_transaction(outcome)


def require_valid(answered: Answer) -> None:
    resource = answered.resource
    get_fhir_model_class(resource["resourceType"]).model_validate_json(write(resource))


PANEL = observation(
    "58410-2",
    valueQuantity=None,
    component=[
        {"code": coded("718-7"), "valueQuantity": quantity(8.6, "g/dL")},
        {"code": coded("777-3"), "valueQuantity": quantity(62, "10*9/L")},
        {"code": coded("HB1", "urn:lab"), "valueQuantity": quantity(62, "10*9/L")},
    ],
)


@pytest.mark.parametrize("resource", [*EXAMPLES, PANEL, bundle(PANEL, PANEL), observation("20570-8", 27, "%")])
@pytest.mark.parametrize("subject_known", [True, False])
def test_every_answer_is_valid(resource: Resource, subject_known: bool) -> None:
    answered = answer(resource, subject_known=subject_known)
    require_valid(answered)
    require_valid(answer_batch([answered]))
    assert write(answered.resource) == write(answer(resource, subject_known=subject_known).resource)


def test_a_panel_is_answered_by_its_results_and_by_what_is_quarantined() -> None:
    answered = answer(PANEL)
    assert answered.status == 201
    kinds = [entry["resource"]["resourceType"] for entry in answered.resource["entry"]]
    assert kinds == ["Observation", "Observation", "OperationOutcome"]
    assert answered.headers["Location"].endswith("/_history/1")


def test_what_is_quarantined_is_accepted_and_no_more() -> None:
    answered = answer(observation(subject=subject_of("02-001")), subject_known=False)
    assert (answered.status, answered.resource["issue"][0]["severity"]) == (202, "warning")


def test_a_message_with_something_quarantined_is_ok_and_says_what() -> None:
    [entry] = answer(bundle(header(), PANEL, kind="message")).resource["entry"]
    assert entry["resource"]["response"] == {"identifier": "42", "code": "ok", "details": {"reference": "#outcome"}}
    [outcome] = entry["resource"]["contained"]
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[1].resource.component[2].code"]


def test_a_used_identifier_is_a_conflict() -> None:
    first = came(observation(identifier=identified("A1")))
    ledger = domain.Ledger(first.report.command.message_key, subject_known=True, earlier=first.recorded)
    other = came(observation(identifier=identified("A1"), note=[{"text": "x"}]))
    events = domain.record_message(other.report.command, ledger)
    refused = replace(other, recorded=tuple(Recorded(9, event, DAY_0, DAY_0, BY, {}) for event in events))
    with pytest.raises(FhirError) as conflict:
        answer_resource(refused)
    assert conflict.value.status == 409


@given(st.data())
@settings(max_examples=100)
def test_whatever_is_read_of_a_broken_report_is_answered_by_valid_fhir(data: st.DataObject) -> None:
    body = mutated(data.draw(st.sampled_from([*EXAMPLES, PANEL, bundle(PANEL)])), data)
    try:
        answered = answer(body, subject_known=data.draw(st.booleans()))
    except (FhirError, json.JSONDecodeError):
        return
    require_valid(answered)
