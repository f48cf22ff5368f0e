"""Decides whose a report in FHIR is, and by which words it says so that may not be told.

The subject is named by its coded identifier alone, as PID-3 does in HL7 v2: nobody is found by a name or a birth date.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.labs.disclosure import words_of
from services.labs.fhir_bundle import Contents, Located, Resource
from services.labs.fhir_issue import FhirError, Issue
from services.labs.hl7v2 import Setting
from shared.protocol.language import SubjectId, site_of

_NOT_PERSONAL = frozenset({"resourceType", "system", "use", "url", "text", "meta"})
"""Members that say nothing of a person, or (the narrative) only repeat what others say."""

_SUBJECT: TypeAdapter[str] = TypeAdapter(SubjectId)


def subject_of(contents: Contents, setting: Setting) -> tuple[str | None, str]:
    """The subject of this site that the report names, None without one; and where it is, or would be, named.

    Raises FhirError where two subjects are named: one report, one subject.
    """
    named: dict[object, str] = {}
    subjects: list[str | None] = []
    reports = [each for each in contents.all if each.type in ("Observation", "DiagnosticReport")]
    for each in reports:
        if (reference := each.resource.get("subject")) is not None:
            identity, subject = _whose(reference, each, contents, setting)
            named.setdefault(identity, f"{each.path}.subject")
            subjects.append(subject)
    if len(named) > 1:
        raise FhirError(422, [Issue("business-rule", list(named.values())[1], "a report tells of one subject")])
    place = next(iter(named.values()), f"{reports[0].path}.subject" if reports else contents.body["resourceType"])
    return (subjects[0] if subjects else None), place


def _whose(reference: Resource, at: Located, contents: Contents, setting: Setting) -> tuple[object, str | None]:
    """What a subject is told from another by, and the trial's number of it, if it is of this site.

    The identifier under the trial's system, of the reference or of the Patient that it leads to; `Patient/01-001` is
    the trial's own Patient. Identifiers of other systems, names and birth dates name nobody.
    """
    patient = contents.resolve(reference, at)
    identifiers = [reference["identifier"]] if "identifier" in reference else []
    if patient is not None and patient.type == "Patient":
        identifiers += patient.resource.get("identifier", ())
    values = {each.get("value") for each in identifiers if each.get("system") == setting.authority}
    if not values and (name := str(reference.get("reference", ""))).startswith("Patient/"):
        values = {name.removeprefix("Patient/")}
    subject = values.pop() if len(values) == 1 else None
    try:
        subject = _SUBJECT.validate_python(subject)
    except ValidationError:
        subject = None
    if subject is not None:
        return subject, subject if site_of(subject) == setting.site else None
    if patient is not None:
        return patient.path, None
    other = next(((each.get("system"), each.get("value")) for each in identifiers), None)
    return reference.get("reference", other), None


def personal_words(contents: Contents) -> frozenset[str]:
    """The words, and the numbers of four and more digits, by which a body says who the patient is."""
    return words_of(_personal_texts(contents))


def _personal_texts(contents: Contents) -> Iterator[str]:
    """All texts that say who the patient is: of persons, and of the references to the subject."""
    for each in contents.all:
        if each.type in ("Patient", "RelatedPerson"):
            yield from _texts(each.resource)
        elif isinstance(subject := each.resource.get("subject"), dict):
            yield from _texts({name: member for name, member in subject.items() if name != "reference"})


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 (any JSON value)
    match value:
        case str():
            yield value
        case dict():
            for name, member in value.items():
                if name not in _NOT_PERSONAL:
                    yield from _texts(member)
        case list():
            for member in value:
                yield from _texts(member)
