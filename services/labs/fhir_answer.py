"""Decides how a report in FHIR is answered: in kind, from what stands recorded, so that the same report gets the same.

A result that was recorded is 201 with its place and version; one that stood already is 200; one that is quarantined is
202, with the issue that says why: it is kept, and nothing need be sent again. What is refused is an OperationOutcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from services.labs.events import LabMessageQuarantined, LabMessageRefused, LabReportRecorded
from services.labs.fhir_bundle import Located, Resource
from services.labs.fhir_issue import FhirError, Issue, held, outcome
from services.labs.fhir_report import Report
from services.labs.fhir_resources import (
    Version,
    collection,
    diagnostic_report,
    observation,
    version_of,
)
from shared.events import Recorded
from shared.eventstore.record import format_instant

BASE = "/labs/fhir"

RECORDED, STANDING, HELD = 201, 200, 202

_PHRASES = {
    200: "200 OK",
    201: "201 Created",
    202: "202 Accepted",
    400: "400 Bad Request",
    403: "403 Forbidden",
    409: "409 Conflict",
    422: "422 Unprocessable Entity",
    503: "503 Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, resource, headers."""

    status: int
    resource: Resource
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Came:
    """What a report came to: the events, empty where all of its results stood already, and what is told of them."""

    report: Report
    recorded: tuple[Recorded, ...]
    subject_system: str

    def require_accepted(self) -> None:
        """Raise FhirError (409) where the message id was used for another content."""
        if any(isinstance(each.event, LabMessageRefused) for each in self.recorded):
            place = self.report.contents.body["resourceType"] + ".identifier"
            text = "the identifier was used before, in the same version, with another content"
            raise FhirError(409, [Issue("duplicate", place, text, "message-id-reused")])

    @property
    def last(self) -> Recorded | None:
        return self.recorded[-1] if self.recorded else None

    def report_recorded(self) -> tuple[LabReportRecorded, int] | None:
        """The report that was recorded, and its position."""
        found = ((each.event, each.position) for each in self.recorded if isinstance(each.event, LabReportRecorded))
        return next(((event, position) for event, position in found if isinstance(event, LabReportRecorded)), None)

    def versions(self, entry: int | None = None) -> list[Version]:
        """The versions that the results of an entry (None: of any) became."""
        recorded = self.report_recorded()
        if recorded is None:
            return []
        event, _ = recorded
        return [version_of(event, each) for each in event.results if each.key in self._keys(entry)]

    def standing(self, entry: int | None = None) -> list[str]:
        """The keys of the results that stood already."""
        if self.held_whole():
            return []
        became = {each.key for each in self.versions()}
        conditional = self.report.command.if_none_exist
        keys = {each.key for each in self.report.command.results if each.number in conditional}
        return sorted(keys & self._keys(entry) - became)

    def _keys(self, entry: int | None) -> set[str]:
        entries = self.report.entries
        results = self.report.command.results
        return {each.key for each in results if entry is None or entries[each.number] == entry}

    def issues(self, path: str = "") -> list[Issue]:
        """Why something is quarantined; of what stands at the path, or of the whole."""
        grounds = (
            ground
            for each in self.recorded
            if isinstance(each.event, LabMessageQuarantined)
            for ground in each.event.grounds
        )
        return [held(ground) for ground in grounds if not path or f"{ground.expression}.".startswith(f"{path}.")]

    def held_whole(self) -> bool:
        """Whether nothing of it is recorded."""
        return any(
            isinstance(each.event, LabMessageQuarantined) and each.event.quarantined is None for each in self.recorded
        )


def answer_resource(came: Came) -> Answer:
    """The answer to an Observation or a DiagnosticReport: the resource as it is recorded, or why it is quarantined.

    Where it came to several (a panel, or results of which some are quarantined) they are told in a collection.
    """
    came.require_accepted()
    issues = came.issues()
    recorded = came.report_recorded()
    versions = came.versions()
    kind = came.report.contents.body["resourceType"]
    if recorded is None and came.recorded:
        return Answer(HELD, outcome(*issues))
    if recorded is None or (not versions and came.standing()):
        path = f"Observation/{came.standing()[0]}"
        stood = Issue("informational", kind, "it stands recorded already", severity="information")
        return Answer(STANDING, outcome(stood), {"Location": f"{BASE}/{path}"})
    event, position = recorded
    if kind == "Observation" and not versions:
        return Answer(HELD, outcome(*(issues or [_unread(kind)])))
    if kind == "DiagnosticReport":
        told = [diagnostic_report(event, position, came.subject_system)]
        headers = {"Location": f"{BASE}/DiagnosticReport/{position}", "ETag": 'W/"1"'}
    else:
        told = [observation(each, came.subject_system) for each in versions]
        headers = {"Location": f"{BASE}/{versions[0].path}", "ETag": versions[0].etag}
    if issues:
        told.append(outcome(*issues))
    return Answer(RECORDED, told[0] if len(told) == 1 else collection(told), headers)


def answer_transaction(came: Came) -> Answer:
    """The answer to a transaction or a collection: a transaction-response with a response for each entry."""
    came.require_accepted()
    body = came.report.contents.body
    roots = {root.entry: root for root in came.report.contents.roots}
    entries = [{"response": _response(came, roots.get(number))} for number in range(len(body["entry"]))]
    return Answer(200, {"resourceType": "Bundle", "type": "transaction-response", "entry": entries})


def _response(came: Came, root: Located | None) -> dict[str, Any]:
    """Bundle.entry.response of one entry."""
    last = came.last
    modified = {"lastModified": format_instant(last.recorded_at)} if last else {}
    if root is None:
        return {"status": _PHRASES[200]}
    issues = came.issues(root.path)
    if came.held_whole():
        issues = issues or came.issues()[:1]
    versions = came.versions(root.entry)
    recorded = came.report_recorded()
    told = {"outcome": outcome(*issues)} if issues else {}
    if versions and root.type == "Observation":
        place = {"location": versions[0].path, "etag": versions[0].etag}
        return {"status": _PHRASES[RECORDED]} | place | modified | told
    if root.type == "DiagnosticReport" and recorded is not None:
        place = {"location": f"DiagnosticReport/{recorded[1]}", "etag": 'W/"1"'}
        return {"status": _PHRASES[RECORDED]} | place | modified | told
    if standing := came.standing(root.entry):
        return {"status": _PHRASES[STANDING], "location": f"Observation/{standing[0]}"} | told
    return {"status": _PHRASES[HELD]} | modified | {"outcome": outcome(*(issues or [_unread(root.path)]))}


def _unread(path: str) -> Issue:
    """That a resource holds no result of the trial's own: another test, a panel, a specimen."""
    return Issue("informational", path, "kept, sealed, and no result of the trial", severity="information")


def answer_batch(answers: Sequence[Answer]) -> Answer:
    """The answer to a batch: what became of each entry, which stood for itself."""
    entries = []
    for each in answers:
        response: dict[str, Any] = {"status": _PHRASES.get(each.status, str(each.status))}
        if "Location" in each.headers:
            response["location"] = each.headers["Location"].removeprefix(f"{BASE}/")
        if "ETag" in each.headers:
            response["etag"] = each.headers["ETag"]
        if each.resource["resourceType"] == "OperationOutcome":
            response["outcome"] = each.resource
        entries.append({"response": response})
    return Answer(200, {"resourceType": "Bundle", "type": "batch-response", "entry": entries})


def answer_message(came: Came) -> Answer:
    """The answer to a message: a message-response that takes the event of the message up (R4, messaging.html)."""
    came.require_accepted()
    header = came.report.contents.roots[0].resource
    last = came.last
    event: Resource = {name: header[name] for name in ("eventCoding", "eventUri") if name in header}
    response = {"identifier": header.get("id", came.report.command.message_key), "code": "ok"}
    issues = came.issues()
    details = {"details": {"reference": "#outcome"}} if issues else {}
    answered: Resource = {
        "resourceType": "MessageHeader",
        "id": f"position-{last.position if last else 0}",
        **event,
        "source": {"endpoint": "urn:marrow:labs"},
        "response": response | details,
    }
    if issues:
        answered["contained"] = [outcome(*issues) | {"id": "outcome"}]
    bundle: Resource = {"resourceType": "Bundle", "type": "message", "entry": [{"resource": answered}]}
    if last is not None:
        bundle["timestamp"] = format_instant(last.recorded_at)
    return Answer(200, bundle)
