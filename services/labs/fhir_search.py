"""Decides what a search for Observations asks: whose, which analytes, from when until when (R4, search.html)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from pydantic import TypeAdapter, ValidationError

from services.labs import units
from services.labs.fhir_issue import FhirError, Issue
from services.labs.fhir_time import TimeError, read_date_time
from shared.protocol.language import SubjectId

PREFIXES = ("eq", "ge", "le", "gt", "lt")

_MICROSECOND = timedelta(microseconds=1)
_SUBJECT: TypeAdapter[str] = TypeAdapter(SubjectId)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The instants between which results were collected, both included; None where there is no bound."""

    first: datetime | None = None
    last: datetime | None = None


def read_patient(patient: str | None, subject_system: str) -> str:
    """The subject of `Patient/01-001`, `01-001` or `system|01-001`. Raises FhirError (400)."""
    if patient is None:
        raise FhirError(400, [Issue("required", "", "patient: a search is for the results of one subject")])
    named = patient.removeprefix(f"{subject_system}|").rsplit("Patient/", maxsplit=1)[-1]
    try:
        return _SUBJECT.validate_python(named)
    except ValidationError:
        raise _invalid("patient", "a subject is named by its code, as Patient/01-001") from None


def read_codes(code: str) -> frozenset[str]:
    """The trial's analytes of the tokens `HGB`, `http://loinc.org|718-7`, separated by commas; others match nothing."""
    found = set()
    for token in code.split(","):
        system, _, named = token.strip().rpartition("|")
        systems = (system,) if system else ("", "LN")  # a code of any system
        found.add(units.identify([(each, named) for each in systems]))
    return frozenset(each for each in found if each is not None)


def read_dates(dates: Iterable[str], zone: tzinfo) -> Bounds:
    """The bounds that all of the dates set together. Raises FhirError (400)."""
    first: datetime | None = None
    last: datetime | None = None
    for date in dates:
        prefix, text = (date[:2], date[2:]) if date[:2].isalpha() else ("eq", date)
        if prefix not in PREFIXES:
            raise _invalid("date", f"the prefixes are {', '.join(PREFIXES)}")
        try:
            # In a query a plus sign is a space.
            sought = read_date_time(text.replace(" ", "+"), zone)
        except TimeError as error:
            raise _invalid("date", str(error)) from error
        begins = {"eq": sought.first, "ge": sought.first, "gt": sought.last + _MICROSECOND}.get(prefix)
        ends = {"eq": sought.last, "le": sought.last, "lt": sought.first - _MICROSECOND}.get(prefix)
        first = max((each for each in (first, begins) if each is not None), default=None)
        last = min((each for each in (last, ends) if each is not None), default=None)
    return Bounds(first, last)


def _invalid(parameter: str, why: str) -> FhirError:
    return FhirError(400, [Issue("invalid", "", f"{parameter}: {why}")])
