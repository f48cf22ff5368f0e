"""Decides how a fault is told in FHIR: an issue of an OperationOutcome, with its code, its place and its words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from services.labs.events import Ground

Severity = Literal["error", "warning", "information"]

PROBLEM_SYSTEM = "urn:marrow:problem"
"""The code system of the stable codes of problems and grounds (`unknown-unit`)."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue: a code of http://hl7.org/fhir/issue-type, the FHIRPath of the element, and why in words.

    `problem` is our own stable code of it, where it has one. Nothing here repeats what was sent.
    """

    code: str
    expression: str
    text: str
    problem: str = ""
    severity: Severity = "error"

    def as_resource(self) -> dict[str, Any]:
        """The element OperationOutcome.issue."""
        issue: dict[str, Any] = {"severity": self.severity, "code": self.code}
        if self.problem:
            issue["details"] = {"coding": [{"system": PROBLEM_SYSTEM, "code": self.problem}]}
        issue["diagnostics"] = self.text
        if self.expression:
            issue["expression"] = [self.expression]
        return issue


class FhirError(Exception):
    """A resource that is refused, with the HTTP status that it is answered with and every issue that is told."""

    def __init__(self, status: int, issues: Iterable[Issue]) -> None:
        self.status = status
        self.issues = tuple(issues)
        super().__init__("; ".join(f"{each.expression}: {each.text}" for each in self.issues))


def outcome(*issues: Issue) -> dict[str, Any]:
    """The OperationOutcome that tells the issues, of which there is at least one."""
    return {"resourceType": "OperationOutcome", "issue": [issue.as_resource() for issue in issues]}


_BY_GROUND = {
    "unknown-subject": "not-found",
    "unknown-analyte": "code-invalid",
    "contradictory-codes": "code-invalid",
    "unsupported-status": "code-invalid",
    "unknown-unit": "code-invalid",
    "ambiguous-unit": "code-invalid",
    "repeated-result": "duplicate",
    "collection-time-missing": "required",
    "value-missing": "required",
    "missing-unit": "required",
}
"""Codes of http://hl7.org/fhir/issue-type for grounds; any other is about a value."""


def held(ground: Ground) -> Issue:
    """A ground of a quarantine, as the sender is told: a warning, for the report is kept and nothing need be resent."""
    code = _BY_GROUND.get(ground.code, "value")
    return Issue(code, ground.expression or "", f"Quarantined: {ground.text}", ground.code, "warning")
