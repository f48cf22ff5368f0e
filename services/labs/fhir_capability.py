"""Decides what the service says that it can do in FHIR: its CapabilityStatement (R4, capabilitystatement.html)."""

from __future__ import annotations

from typing import Any

from services.labs.fhir_bundle import Resource
from services.labs.fhir_json import MEDIA_TYPE
from services.labs.fhir_structure import FHIR_VERSION

PUBLISHED = "2026-11-25"
"""When this statement last changed."""


def capability_statement(address: str) -> Resource:
    """The statement of the service at an address."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": PUBLISHED,
        "kind": "instance",
        "software": {"name": "Marrow: labs"},
        "implementation": {"description": "Results from hospital systems of one trial.", "url": address},
        "fhirVersion": FHIR_VERSION,
        "format": [MEDIA_TYPE, "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": (
                    "Results are recorded, never changed: a later word on a result is a new version of its Observation."
                    " What cannot be read as the trial's is quarantined (202) and told in an OperationOutcome."
                ),
                "security": {"description": "A bearer token of the trial's issuer; a sender's speaks for one site."},
                "resource": [_observation(), _diagnostic_report()],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
        "messaging": [
            {
                "documentation": "A Bundle of type message is received at the base, or at $process-message.",
                "endpoint": [
                    {
                        "protocol": {
                            "system": "http://terminology.hl7.org/CodeSystem/message-transport",
                            "code": "http",
                        },
                        "address": f"{address}/$process-message",
                    }
                ],
            }
        ],
    }


def _observation() -> dict[str, Any]:
    return {
        "type": "Observation",
        "interaction": [{"code": code} for code in ("create", "read", "vread", "search-type")],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": True,
        "searchParam": [
            {"name": "patient", "type": "reference", "documentation": "Needed: the coded subject, Patient/01-001."},
            {"name": "subject", "type": "reference", "documentation": "The same as patient."},
            {"name": "code", "type": "token", "documentation": "The trial's code or LOINC; several by commas."},
            {"name": "date", "type": "date", "documentation": "With the prefixes eq, ge, le, gt and lt."},
        ],
    }


def _diagnostic_report() -> dict[str, Any]:
    return {
        "type": "DiagnosticReport",
        "interaction": [{"code": "create"}, {"code": "read"}],
        "versioning": "no-version",
        "conditionalCreate": True,
    }
