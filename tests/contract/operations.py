"""Every operation that the four OpenAPI documents describe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from services.app import SERVICES
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


OPERATIONS = [
    Operation(name, path, method, described)
    for name, application in APPLICATIONS.items()
    for path, methods in application.openapi()["paths"].items()
    for method, described in methods.items()
]
