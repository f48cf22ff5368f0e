"""Decides with which status and which OperationOutcome a refusal or a failure is answered on the routes of FHIR."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from services.labs.fhir_bundle import Resource
from services.labs.fhir_issue import FhirError, Issue, outcome
from shared.problems import Problem

_BY_STATUS = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    410: "deleted",
    412: "business-rule",
    413: "too-long",
    415: "not-supported",
    422: "processing",
    429: "throttled",
    500: "exception",
    503: "transient",
}
"""HTTP status → code of http://hl7.org/fhir/issue-type."""


def error_of(error: FhirError | Problem) -> tuple[int, tuple[Issue, ...]]:
    """The status and the issues of an error."""
    if isinstance(error, FhirError):
        return error.status, error.issues
    status = error.refusal.status
    code = _BY_STATUS.get(status, "processing")
    return status, (Issue(code, "", error.detail or error.refusal.title, error.refusal.code),)


def outcome_of(issues: Iterable[Issue], below: str = "") -> Resource:
    """The OperationOutcome of some issues; of a batch's entry, with their places `below` the entry's resource."""
    return outcome(*(replace(each, expression=_below(each.expression, below)) for each in issues))


def _below(expression: str, path: str) -> str:
    """`Observation.code` of the entry at `Bundle.entry[3].resource` is `Bundle.entry[3].resource.code`."""
    if not path:
        return expression
    return f"{path}.{rest}" if (rest := expression.partition(".")[2]) else path
