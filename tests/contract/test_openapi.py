"""The four OpenAPI documents: stable, complete, and of one shape."""

from __future__ import annotations

import pytest

from shared.problems import MEDIA_TYPE
from tests.contract.operations import APPLICATIONS, OPERATIONS, Operation

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")


@each_operation
def test_every_path_stands_under_its_services_prefix(operation: Operation) -> None:
    assert operation.path.startswith(f"/{operation.service}/")


@each_operation
def test_every_operation_is_described_and_has_an_id_of_its_own(operation: Operation) -> None:
    assert operation.described["description"]
    ids = [other.described["operationId"] for other in OPERATIONS if other.service == operation.service]
    assert ids.count(operation.described["operationId"]) == 1


@each_operation
def test_no_route_but_health_is_open(operation: Operation) -> None:
    assert bool(operation.described.get("security")) is not operation.is_open


@each_operation
def test_every_post_takes_an_idempotency_key(operation: Operation) -> None:
    headers = {each["name"] for each in operation.described.get("parameters", []) if each["in"] == "header"}
    assert ("Idempotency-Key" in headers) is (operation.method == "post")


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if not each.is_open], ids=lambda each: f"{each.method} {each.path}"
)
def test_every_refusal_is_a_problem_document(operation: Operation) -> None:
    refusals = {status: answer for status, answer in operation.described["responses"].items() if status >= "400"}
    assert {"401", "403", "422", "503"} <= set(refusals)
    assert all(MEDIA_TYPE in answer["content"] for answer in refusals.values())


@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_documents_resolve_all_their_references(name: str) -> None:
    document = APPLICATIONS[name].openapi()
    missing = {
        each for each in _references(document) if each.rsplit("/", 1)[-1] not in document["components"]["schemas"]
    }
    assert not missing


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [each for member in value.values() for each in _references(member)]
    if isinstance(value, list):
        return [each for member in value for each in _references(member)]
    return []
