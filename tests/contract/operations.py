"""Every operation that the four OpenAPI documents describe, its least request, and whether an answer is described."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import schemathesis
from fastapi import FastAPI
from hypothesis import Phase, find, settings

from services.app import SERVICES
from shared.problems import MEDIA_TYPE
from shared.service import create_service

APPLICATIONS: dict[str, FastAPI] = {name: create_service(service) for name, service in SERVICES.items()}


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    service: str
    path: str
    method: str
    described: dict[str, Any]

    @property
    def is_open(self) -> bool:
        return self.path.startswith(f"/{self.service}/health/")

    def answers(self, request: httpx.Request) -> bool:
        pattern = re.sub(r"\{[a-z_]+\}", "[^/]+", self.path)
        return request.method.lower() == self.method and re.fullmatch(pattern, request.url.path) is not None


OPERATIONS = [
    Operation(name, path, method, described)
    for name, application in APPLICATIONS.items()
    for path, methods in application.openapi()["paths"].items()
    for method, described in methods.items()
]


def problem_of(response: httpx.Response) -> str:
    """The type of the problem that an answer tells: in a problem document, or in FHIR in an OperationOutcome."""
    answer = response.json()
    if answer.get("resourceType") == "OperationOutcome":
        return f"/problems/{answer['issue'][0]['details']['coding'][0]['code']}"
    return str(answer["type"])


@cache
def least_request(service: str, path: str, method: str) -> tuple[dict[str, Any], Any]:
    """The query and the body of the simplest request that is generated from the document."""
    described = schemathesis.openapi.from_dict(APPLICATIONS[service].openapi())[path][method]
    first_alone = settings(max_examples=1, phases=[Phase.generate], database=None, derandomize=True)
    case = find(described.as_strategy(), lambda _: True, settings=first_alone)
    return dict(case.query or {}), case.body if method == "post" else None


async def require_documented(response: httpx.Response) -> None:
    """Fail where an operation answers with a status, or with a problem, that its document does not name."""
    request = response.request
    for operation in OPERATIONS:
        if operation.answers(request):
            documented = operation.described["responses"].get(str(response.status_code))
            assert documented is not None, f"{request.method} {operation.path} is not said to answer {response}"
            if response.headers.get("Content-Type") == MEDIA_TYPE:
                await response.aread()
                problem = response.json()["type"]
                assert f"`{problem}`" in documented["description"], f"{operation.path} is not said to answer {problem}"
            return
