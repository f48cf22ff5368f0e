"""Which instants a date or time of FHIR means, and what a search by dates asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.labs.fhir_issue import FhirError
from services.labs.fhir_search import Bounds, read_codes, read_dates, read_patient
from services.labs.fhir_time import TimeError, read_date_time

TIANJIN = ZoneInfo("Asia/Shanghai")
MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2025", "2024-12-31T16:00:00", "2025-12-31T16:00:00"),
        ("2025-12", "2025-11-30T16:00:00", "2025-12-31T16:00:00"),
        ("2025-12-31", "2025-12-30T16:00:00", "2025-12-31T16:00:00"),
        ("2025-12-31T08:00:00+08:00", "2025-12-31T00:00:00", "2025-12-31T00:00:01"),
        ("2025-12-31T08:00:00.5Z", "2025-12-31T08:00:00.500000", "2025-12-31T08:00:00.500001"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00", "2017-01-01T00:00:01"),  # a leap second
    ],
)
def test_a_time_stands_for_all_that_it_does_not_tell_apart(text: str, first: str, after: str) -> None:
    interval = read_date_time(text, TIANJIN)
    assert interval.first == datetime.fromisoformat(first).replace(tzinfo=UTC)
    assert interval.last + MICROSECOND == datetime.fromisoformat(after).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "25", "2025-13", "2025-02-30", "2025-12-31T08:00:00", "2025-12-31T08:00+08:00", "1850", "2300", "0000"]
)
def test_what_is_no_time_of_a_trial_is_refused(text: str) -> None:
    with pytest.raises(TimeError):
        read_date_time(text, TIANJIN)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001 (drawn without a zone)
@settings(max_examples=50)
def test_the_offset_is_what_makes_the_instant(at: datetime, hours: int) -> None:
    written = f"{at.isoformat(timespec='seconds')}{hours:+03d}:00"
    assert read_date_time(written, TIANJIN).first == datetime.fromisoformat(written).replace(microsecond=0)


@pytest.mark.parametrize(
    ("dates", "first", "last"),
    [
        ([], None, None),
        (["2025-12-31"], "2025-12-30T16:00:00", "2025-12-31T15:59:59.999999"),
        (["ge2025-12-31"], "2025-12-30T16:00:00", None),
        (["gt2025-12-31"], "2025-12-31T16:00:00", None),
        (["le2025-12-31"], None, "2025-12-31T15:59:59.999999"),
        (["lt2025-12-31"], None, "2025-12-30T15:59:59.999999"),
        (["ge2025-12-01", "lt2026-01-01"], "2025-11-30T16:00:00", "2025-12-31T15:59:59.999999"),
        (["ge2025-12-31T08:00:00 08:00"], "2025-12-31T00:00:00", None),  # an unescaped plus sign
    ],
)
def test_dates_bound_a_search(dates: list[str], first: str | None, last: str | None) -> None:
    bounds = read_dates(dates, TIANJIN)
    expected = [None if each is None else datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (first, last)]
    assert bounds == Bounds(*expected)


@pytest.mark.parametrize("date", ["sa2025", "xx2025", "ge", "geyesterday"])
def test_a_date_that_is_none_is_refused(date: str) -> None:
    with pytest.raises(FhirError):
        read_dates([date], TIANJIN)


def test_codes_are_tokens_of_any_system_or_of_one() -> None:
    assert read_codes("http://loinc.org|718-7,PLT") == {"HGB", "PLT"}
    assert read_codes("6690-2,urn:marrow:analyte|NEUT") == {"WBC", "NEUT"}
    assert read_codes("http://loinc.org|9999-9,http://loinc.org|HGB") == frozenset()


@pytest.mark.parametrize(
    "patient", ["01-001", "Patient/01-001", "urn:marrow:subject|01-001", "http://x/Patient/01-001"]
)
def test_a_patient_is_named_by_the_coded_subject(patient: str) -> None:
    assert read_patient(patient, "urn:marrow:subject") == "01-001"


@pytest.mark.parametrize("patient", [None, "", "Doe", "Patient/4711", "urn:hospital|01-001"])
def test_nobody_is_found_by_anything_else(patient: str | None) -> None:
    with pytest.raises(FhirError):
        read_patient(patient, "urn:marrow:subject")
