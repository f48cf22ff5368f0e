"""How a row of the read model is told as a version of a result in FHIR."""

from __future__ import annotations

from typing import cast

from services.labs.events import ResultStatus
from services.labs.fhir_resources import Version
from services.labs.grading import Flag
from services.labs.numerics import Comparator
from services.labs.projections import Result


def version_of_row(row: Result) -> Version:
    """The version that a row holds; what the columns know as text came from an event, and is one of its codes."""
    return Version(
        key=row.key,
        version=row.version,
        subject=row.subject,
        code=row.code,
        value=row.value,
        unit=row.unit,
        comparator=cast("Comparator | None", row.comparator),
        status=cast("ResultStatus", row.status),
        collected_at=row.collected_at,
        reported_at=row.reported_at,
        reference_low=row.reference_low,
        reference_high=row.reference_high,
        flag=cast("Flag | None", row.flag),
        sent_code=row.sent_code,
        sent_unit=row.sent_unit,
    )
