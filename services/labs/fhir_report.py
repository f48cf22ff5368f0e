"""Decides what a resource or a bundle of FHIR R4 says to the trial: which subject, which results, what is quarantined.

Pure: a parsed body in, a command out, the same as from JSON and HL7 v2. One report tells of one subject. What
identifies a person (Patient, narrative, notes, texts) goes nowhere but into the sealed message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from services.labs import fhir_json
from services.labs.commands import RecordLabReport
from services.labs.events import LABEL_LENGTH_MAX, Ground, Label, Sender
from services.labs.fhir_bundle import Contents, Located, Resource, check_bundle
from services.labs.fhir_issue import FhirError, Issue
from services.labs.fhir_observation import Origin, Placed, instant_of, read_observation
from services.labs.fhir_structure import check_resource
from services.labs.fhir_subject import personal_words, subject_of
from services.labs.hl7_errors import ErrorCode
from services.labs.hl7v2 import Setting
from services.labs.normalization import (
    NO_ALIASES,
    Aliases,
    Fault,
    is_other_test,
    read_results,
    reason_of,
    tables_read_by,
)
from services.labs.recognition import content_digest, message_key

RESOURCES = ("Observation", "DiagnosticReport", "Bundle")
"""What a body may be."""

RESULTS_MAX = 2_000
"""The most results of one report: as many as entries of a bundle."""

_LABEL: TypeAdapter[str] = TypeAdapter(Label)


@dataclass(frozen=True, slots=True)
class Report:
    """A report as read: the command, unsealed yet, and the number of each of its results' entry."""

    command: RecordLabReport
    entries: dict[int, int]
    contents: Contents


def check_body(body: object) -> Resource:
    """The body, once it is a resource of R4 that is received here. Raises FhirError (400, 422) with what is wrong."""
    if issues := check_resource(body):
        raise FhirError(400, issues)
    resource: Resource = body  # type: ignore[assignment]  # what is no object has an issue
    kind = resource["resourceType"]
    if kind not in RESOURCES:
        raise FhirError(422, [Issue("not-supported", kind, f"only {', '.join(RESOURCES)} are received")])
    if kind == "Bundle" and (issues := check_bundle(resource)):
        raise FhirError(422, issues)
    return resource


def sender_of(body: Resource, application: str) -> Sender:
    """Who sent a report: MessageHeader.source and sender where it has a header, else the caller's `application`."""
    facility = ""
    where = body["resourceType"]
    if (header := _header(body)) is not None:
        source = header["source"]
        application = source.get("name") or source["endpoint"]
        facility = header.get("sender", {}).get("identifier", {}).get("value", "")
        where = "Bundle.entry[0].resource.source"
    for text in (application, facility):
        _require_label(text, where)
    return Sender(application=application, facility=facility)


def read_report(
    body: Resource,
    sender: Sender,
    setting: Setting,
    *,
    subject: str | None = None,
    aliases: Aliases = NO_ALIASES,
    quarantined: tuple[int, ...] | None = None,
) -> Report:
    """The command to record a body that has been checked; `setting.authority` is the system of the subjects' ids.

    `subject` is whose it is where that is known better than from the body; with `quarantined` only the results of those
    numbers are read. Raises FhirError (400, 422) where it tells of several subjects or contradicts itself.
    """
    contents = Contents(body)
    named, place = subject_of(contents, setting)
    whose = subject or named
    personal = personal_words(contents)
    origin = Origin(sender.application, sender.facility, setting.zone, whose, personal)
    every = _results(contents, origin)
    if quarantined is not None:
        every = [each for each in every if each.sent.number in quarantined]
    placed = {each.sent.number: each for each in every if not is_other_test(each.sent.codings, aliases)}
    results, faults = read_results((each.sent for each in placed.values()), setting.latest, setting.criteria, aliases)
    grounds = tuple(_ground(fault, placed[fault.number]) for fault in faults)
    numbers: tuple[int, ...] | None = tuple(fault.number for fault in faults)
    reported_at, reported_place = _reported_at(contents, setting)
    if reported_at is not None and reported_at > setting.latest:
        text = "The report is dated in the future."
        ahead = Ground(code="reported-in-the-future", condition=ErrorCode.DATA_TYPE_ERROR, text=text)
        grounds, numbers, results = (ahead.model_copy(update={"expression": reported_place}),), None, ()
    message_id, identity = _identity(body, contents)
    command = RecordLabReport(
        occurred_at=max((result.collected_at for result in results), default=None),
        reason=reason_of(result.status for result in results),
        subject=whose,
        site=setting.site,
        message_key=message_key(setting.site, sender.application, sender.facility, identity),
        digest=fhir_json.digest(body),
        source="fhir",
        sender=sender,
        message_id=message_id,
        tables=tables_read_by(setting.criteria),
        reported_at=reported_at,
        results=results,
        unread=_others(contents) + len(every) - len(placed) if quarantined is None else 0,
        grounds=grounds,
        quarantined=numbers,
        subject_expression=place,
    )
    return Report(command, {each.sent.number: each.entry for each in every}, contents)


def _header(body: Resource) -> Resource | None:
    is_message = body["resourceType"] == "Bundle" and body["type"] == "message"
    return body["entry"][0]["resource"] if is_message else None


def _require_label(text: str, place: str) -> None:
    try:
        _LABEL.validate_python(text)
    except ValidationError:
        why = f"longer than {LABEL_LENGTH_MAX} characters, or with control characters"
        raise FhirError(422, [Issue("value", place, why)]) from None


def _identity(body: Resource, contents: Contents) -> tuple[str, str]:
    """The message id, and the text that the message is known again by.

    Bundle.identifier, or the id of a message's header. An Observation or a DiagnosticReport is one word on what its
    identifier names: it is known by that with its version, status and time, which all change with a later word; and
    it is called by a digest, for a laboratory's numbers stand nowhere in clear. What has no identifier is its content.
    """
    identifiers = [body["identifier"]] if body["resourceType"] == "Bundle" and "identifier" in body else []
    if (header := _header(body)) is not None and not identifiers and "id" in header:
        return header["id"], header["id"]
    for each in identifiers:
        if "value" in each:
            _require_label(each["value"], "Bundle.identifier.value")
            return each["value"], f"{each['system']}|{each['value']}" if "system" in each else each["value"]
    root = contents.roots[0].resource if contents.roots else body
    if body["resourceType"] != "Bundle":
        for each in root.get("identifier", ()):
            if "value" in each:
                word = (root.get("meta", {}).get("versionId"), root.get("status"), root.get("issued"))
                parts = (root["resourceType"], each.get("system"), each["value"], *word)
                name = content_digest("\0".join(part or "" for part in parts).encode())[:32]
                return name, name
    name = fhir_json.digest(body)[:32]
    return name, name


def _results(contents: Contents, origin: Origin) -> list[Placed]:
    """The results of every Observation of the body, each with the DiagnosticReport that lists it."""
    listed: dict[str, Located] = {}
    for report in contents.of_type("DiagnosticReport"):
        for reference in report.resource.get("result", ()):
            if (observation := contents.resolve(reference, report)) is not None:
                listed.setdefault(observation.path, report)
    placed: list[Placed] = []
    for observation in contents.of_type("Observation"):
        placed += read_observation(observation, listed.get(observation.path), contents, origin, len(placed) + 1)
    if len(placed) > RESULTS_MAX:
        raise FhirError(422, [Issue("too-long", contents.body["resourceType"], f"more than {RESULTS_MAX} results")])
    return placed


def _others(contents: Contents) -> int:
    """How many parts of the body are no results: other resources, and results that stand elsewhere."""
    read = ("Observation", "DiagnosticReport", "Patient", "Specimen", "MessageHeader")
    others = sum(each.type not in read for each in contents.all)
    elsewhere = (
        contents.resolve(reference, report) is None
        for report in contents.of_type("DiagnosticReport")
        for reference in report.resource.get("result", ())
    )
    return others + sum(elsewhere)


def _reported_at(contents: Contents, setting: Setting) -> tuple[datetime | None, str]:
    """The latest `issued` of a report, else of an observation, else the time of the bundle; and where it stands."""
    for kind in ("DiagnosticReport", "Observation"):
        issued = [
            (at, f"{each.path}.issued")
            for each in contents.of_type(kind)
            if "issued" in each.resource and (at := instant_of(each.resource["issued"], setting.zone)) is not None
        ]
        if issued:
            return max(issued)
    return instant_of(contents.body.get("timestamp", ""), setting.zone), "Bundle.timestamp"


def _ground(fault: Fault, placed: Placed) -> Ground:
    system, code = placed.sent.codings[0]
    return Ground(
        code=fault.kind.code,
        condition=fault.kind.condition,
        text=fault.text,
        sent_system=system or None,
        sent_code=code,
        sent_unit=placed.sent.unit or None,
        expression=placed.places[fault.kind.part],
    )
