"""How journeys speak FHIR: each answer has to be a valid resource."""

from __future__ import annotations

import json

import httpx
from fhir.resources.R4B import get_fhir_model_class

from tests.labs.fhir_examples import Resource

FHIR = {"Content-Type": "application/fhir+json"}


async def send(
    client: httpx.AsyncClient, resource: object, path: str = "", status: int = 200, **headers: str
) -> httpx.Response:
    """POST a resource and expect a status, and an answer that is valid FHIR."""
    content = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
    response = await client.post(f"/labs/fhir{path}", content=content, headers=FHIR | headers)
    assert response.status_code == status, response.text
    return valid(response)


async def find(client: httpx.AsyncClient, path: str, at: int, **parameters: str | int | list[str]) -> Resource:
    """GET from a read model that reflects at least a position."""
    response = await client.get(f"/labs/fhir{path}", params=parameters, headers={"Log-Position": str(at)})
    assert response.status_code == 200, response.text
    return dict(valid(response).json())


def valid(response: httpx.Response) -> httpx.Response:
    assert response.headers["Content-Type"] == "application/fhir+json"
    get_fhir_model_class(response.json()["resourceType"]).model_validate_json(response.content)
    return response


def issues(response: httpx.Response) -> list[tuple[str, str, str | None]]:
    """(severity, code, expression) of each issue of an OperationOutcome."""
    found = response.json()["issue"]
    return [(each["severity"], each["code"], each.get("expression", [None])[0]) for each in found]


def statuses(response: httpx.Response) -> list[str]:
    return [entry["response"]["status"] for entry in response.json()["entry"]]
