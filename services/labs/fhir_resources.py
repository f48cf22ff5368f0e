"""Decides how what is recorded is told in FHIR R4: a version of a result as an Observation, a report, a searchset.

Pure functions to JSON values whose decimals are exact. No name stands in them: the subject is its coded identifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.labs import units
from services.labs.events import LabReportRecorded, LabResult, ResultStatus
from services.labs.fhir_bundle import Resource
from services.labs.fhir_observation import UCUM
from services.labs.grading import Flag
from services.labs.numerics import Comparator
from shared.eventstore.record import format_instant

LOINC = "http://loinc.org"
ANALYTE_SYSTEM = "urn:marrow:analyte"
"""The code system of the trial's analytes (`HGB`)."""

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"

STATUSES: dict[ResultStatus, str] = {
    "P": "preliminary",
    "F": "final",
    "C": "corrected",
    "X": "cancelled",
    "D": "entered-in-error",
    "W": "entered-in-error",
}
"""HL7 table 0085 → ObservationStatus."""

_ABSENT: dict[ResultStatus, str] = {"X": "unknown", "P": "temp-unknown"}
"""Why there is no value, where the result stands without one (code system data-absent-reason)."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a result, with what an Observation says of it."""

    key: str
    version: int
    subject: str
    code: str
    value: Decimal | None
    unit: str
    comparator: Comparator | None
    status: ResultStatus
    collected_at: datetime
    reported_at: datetime | None
    reference_low: Decimal | None
    reference_high: Decimal | None
    flag: Flag | None
    sent_code: str
    sent_unit: str

    @property
    def path(self) -> str:
        """Where it is read, below the base."""
        return f"Observation/{self.key}/_history/{self.version}"

    @property
    def etag(self) -> str:
        """The version as an entity tag (R4, http.html#versioning)."""
        return f'W/"{self.version}"'


def version_of(report: LabReportRecorded, result: LabResult) -> Version:
    """The version that a report recorded."""
    return Version(
        key=result.key,
        version=result.version,
        subject=report.subject,
        code=result.code,
        value=result.value,
        unit=result.unit,
        comparator=result.comparator,
        status=result.status,
        collected_at=result.collected_at,
        reported_at=report.reported_at,
        reference_low=result.reference_low,
        reference_high=result.reference_high,
        flag=result.flag,
        sent_code=result.as_sent.code,
        sent_unit=result.as_sent.unit,
    )


def observation(version: Version, subject_system: str) -> Resource:
    """The Observation of a version of a result, in the canonical unit."""
    resource: Resource = {
        "resourceType": "Observation",
        "id": version.key,
        "meta": {"versionId": str(version.version)},
        "status": STATUSES[version.status],
        "category": [{"coding": [{"system": f"{_TERMINOLOGY}/observation-category", "code": "laboratory"}]}],
        "code": _code(version),
        "subject": subject_reference(version.subject, subject_system),
        "effectiveDateTime": format_instant(version.collected_at),
    }
    if version.reported_at is not None:
        resource["issued"] = format_instant(version.reported_at)
    if version.value is not None:
        resource["valueQuantity"] = _quantity(version.value, version.unit, version.comparator)
    elif version.status in _ABSENT:
        resource["dataAbsentReason"] = _coded("data-absent-reason", _ABSENT[version.status])
    if version.flag is not None:
        resource["interpretation"] = [_coded("v3-ObservationInterpretation", version.flag)]
    bounds = {"low": version.reference_low, "high": version.reference_high}
    limits = {name: _quantity(bound, version.unit) for name, bound in bounds.items() if bound is not None}
    if limits:
        resource["referenceRange"] = [limits]
    return resource


def _code(version: Version) -> dict[str, Any]:
    """The trial's code; and the LOINC code that was sent, where the value is still of the kind that it names."""
    analyte = units.ANALYTES[version.code]
    coding = [{"system": ANALYTE_SYSTEM, "code": version.code, "display": analyte.name}]
    as_sent = version.sent_code in analyte.loinc and version.value is not None
    if as_sent and not units.is_molar(version.code, version.sent_unit, sent_as=version.sent_code):
        coding.append({"system": LOINC, "code": version.sent_code})
    return {"coding": coding, "text": analyte.name}


def _quantity(value: Decimal, unit: str, comparator: Comparator | None = None) -> dict[str, Any]:
    # The form without an exponent keeps the precision, and is what other readers expect.
    quantity: dict[str, Any] = {"value": Decimal(format(value, "f")), "unit": unit, "system": UCUM, "code": unit}
    return quantity if comparator is None else quantity | {"comparator": comparator}


def _coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{_TERMINOLOGY}/{system}", "code": code}]}


def subject_reference(subject: str, subject_system: str) -> dict[str, Any]:
    """The subject as a reference with its coded identifier."""
    return {"reference": f"Patient/{subject}", "identifier": {"system": subject_system, "value": subject}}


def diagnostic_report(report: LabReportRecorded, position: int, subject_system: str) -> Resource:
    """The DiagnosticReport of a report that was recorded at a position, with its results by reference."""
    resource: Resource = {
        "resourceType": "DiagnosticReport",
        "id": str(position),
        "meta": {"versionId": "1"},
        "status": _status_of([result.status for result in report.results]),
        "category": [_coded("v2-0074", "LAB")],
        "code": {"coding": [{"system": LOINC, "code": "11502-2", "display": "Laboratory report"}]},
        "subject": subject_reference(report.subject, subject_system),
    }
    if report.reported_at is not None:
        resource["issued"] = format_instant(report.reported_at)
    if report.results:
        resource["result"] = [{"reference": version_of(report, result).path} for result in report.results]
    return resource


def _status_of(statuses: Sequence[ResultStatus]) -> str:
    """DiagnosticReportStatus of a report with such results."""
    kinds = {STATUSES[status] for status in statuses}
    if len(kinds) == 1:
        return kinds.pop()
    if "preliminary" in kinds:
        return "partial"
    return "corrected" if "corrected" in kinds else "final"


def collection(resources: Iterable[Resource]) -> Resource:
    """A Bundle of several resources that one request came to."""
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}


def searchset(resources: Iterable[Resource], base: str, links: dict[str, str]) -> Resource:
    """A page of what a search found; `links` by their relation, `base` the address that the resources stand below."""
    found = [
        {
            "fullUrl": f"{base}/{each['resourceType']}/{each['id']}",
            "resource": each,
            "search": {"mode": "match"},
        }
        for each in resources
    ]
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": relation, "url": url} for relation, url in links.items()],
    }
    return bundle | {"entry": found} if found else bundle
