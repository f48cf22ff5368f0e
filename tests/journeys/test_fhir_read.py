"""Results read back as FHIR: by search, by id and version, and by nobody who may not."""

from __future__ import annotations

import pytest

from shared.identity import Role
from tests.journeys.fhir_client import find, send, valid
from tests.journeys.laboratory import position_of
from tests.journeys.subjects import screened
from tests.journeys.trial import As
from tests.labs.fhir_examples import bundle, observation, subject_of


async def test_a_search_goes_by_code_and_date_and_page(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.MONITOR, site), speaking_as(Role.LAB, site)
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    whose = subject_of(subject)
    days = ("2025-12-01", "2025-12-02", "2025-12-03")
    sent = [observation(subject=whose, effectiveDateTime=day) for day in days]
    sent += [observation("777-3", 62, "10*9/L", subject=whose, effectiveDateTime=day) for day in days]
    at = position_of(await send(lis, bundle(*sent)))

    async def total(**parameters: str | int | list[str]) -> int:
        return len((await find(staff, "/Observation", at, patient=subject, **parameters)).get("entry", []))

    assert await total() == 6
    assert len((await find(staff, "/Observation", at, subject=f"Patient/{subject}"))["entry"]) == 6
    assert await total(code="http://loinc.org|718-7") == 3
    assert await total(code="HGB,777-3") == 6
    assert await total(code="9999-9") == 0
    assert await total(date="2025-12-02") == 2
    assert await total(date="ge2025-12-02") == 4
    assert await total(date="gt2025-12-02") == 2
    assert await total(date=["ge2025-12-01", "lt2025-12-03"], code="PLT") == 2
    pages, url = [], f"/labs/fhir/Observation?patient=Patient/{subject}&_count=4"
    while url:
        page = valid(await staff.get(url, headers={"Log-Position": str(at)})).json()
        pages.append(len(page["entry"]))
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert pages == [4, 2]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("patient=Doe", 400),
        ("patient={subject}&date=sometime", 400),
        ("patient={subject}&_count=0", 400),
        ("patient=98-001", 403),
        ("patient={site}-999", 404),
    ],
)
async def test_a_search_without_an_answer_says_why(speaking_as: As, site: str, query: str, status: int) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    staff = speaking_as(Role.COORDINATOR, site)
    response = await staff.get(f"/labs/fhir/Observation?{query.format(subject=subject, site=site)}")
    assert (response.status_code, valid(response).json()["resourceType"]) == (status, "OperationOutcome")


async def test_results_of_other_sites_are_not_found_and_lab_systems_read_nothing(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    created = await send(lis, observation(subject=subject_of(subject)), "/Observation", 201)
    report = position_of(created)
    stranger = speaking_as(Role.COORDINATOR, "99")
    for path in (created.headers["Location"], f"/labs/fhir/DiagnosticReport/{report}"):
        assert valid(await stranger.get(path)).status_code == 404
        assert valid(await lis.get(path)).status_code == 403
    assert valid(await lis.get("/labs/fhir/metadata")).json()["fhirVersion"] == "4.0.1"
