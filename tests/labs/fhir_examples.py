"""A laboratory's reports in FHIR R4, for the tests of several modules."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from services.labs.commands import RecordLabReport
from services.labs.events import Sender
from services.labs.fhir_report import check_body, read_report, sender_of
from shared.json_body import parse_exact
from tests.labs.examples import SEALED, SETTING, S

SYSTEM = "urn:marrow:subject"
FHIR_SETTING = replace(SETTING, authority=SYSTEM)
LIS = Sender(application="LIS", facility="")

LOINC = {"HGB": "718-7", "PLT": "777-3", "WBC": "6690-2"}
COLLECTED = "2025-12-31T08:00:00+08:00"
ISSUED = "2025-12-31T11:00:00+08:00"

Resource = dict[str, Any]


def quantity(value: object, unit: str, /, **members: Any) -> Resource:
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit} | members


def subject_of(subject: str = S) -> Resource:
    return {"identifier": {"system": SYSTEM, "value": subject}}


def coded(code: str, system: str = "http://loinc.org") -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def observation(code: str = "718-7", value: object = 8.6, unit: str = "g/dL", /, **members: Any) -> Resource:
    """An Observation of haemoglobin unless it says otherwise; a member that is None is left out."""
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": coded(code),
        "subject": subject_of(),
        "effectiveDateTime": COLLECTED,
        "issued": ISSUED,
        "valueQuantity": quantity(value, unit),
    } | members
    return {name: member for name, member in resource.items() if member is not None}


def identified(value: str, system: str = "urn:lis") -> list[Resource]:
    return [{"system": system, "value": value}]


def bundle(*resources: Resource, kind: str = "transaction", **members: Any) -> Resource:
    entries = []
    for resource in resources:
        entry: Resource = {"resource": resource}
        if kind in ("transaction", "batch"):
            entry["request"] = {"method": "POST", "url": resource["resourceType"]}
        entries.append(entry)
    return {"resourceType": "Bundle", "type": kind, "entry": entries} | members


def header(application: str = "LIS", facility: str = "LAB", id: str = "42") -> Resource:  # noqa: A002 (its name in FHIR)
    return {
        "resourceType": "MessageHeader",
        "id": id,
        "eventUri": "urn:lis:result",
        "source": {"name": application, "endpoint": "urn:lis"},
        "sender": {"identifier": {"value": facility}},
    }


def exactly(resource: object) -> Any:
    """The resource as it is read off the wire: decimals are Decimal."""
    return parse_exact(resource if isinstance(resource, bytes) else json.dumps(resource).encode())


def read(resource: object, sender: Sender | None = None, **options: Any) -> RecordLabReport:
    """The command that a body becomes, sealed."""
    body = check_body(exactly(resource))
    sender = sender or sender_of(body, "LIS")
    report = read_report(body, sender, FHIR_SETTING, **options)
    return report.command.model_copy(update={"sealed": SEALED})
