"""Laboratory reports in JSON over HTTP: recorded once, converted, corrected, refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx

from shared.identity import Role
from tests.journeys.laboratory import ER7, results_of
from tests.journeys.subjects import blood_count, pages_of, post, screened
from tests.journeys.trial import As
from tests.labs.examples import body, hgb, oru


async def problem_of(client: httpx.AsyncClient, sent: object, status: int) -> str:
    """The code of the problem that a report is refused with."""
    response = await client.post("/labs/results", json=sent)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    return str(response.json()["type"]).removeprefix("/problems/")


async def test_a_report_is_recorded_converted_graded_and_queryable(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    result = {
        "loinc": "718-7",
        "value": 8.60,
        "unit": "g/dL",
        "status": "F",
        "reference_low": "12",
        "reference_high": "16",
    }
    [report] = (await post(lis, "/labs/results", body(result, subject=subject)))["reports"]
    assert report["subject"] == subject
    [recorded] = report["results"]
    assert [recorded[name] for name in ("code", "value", "unit", "grade", "flag")] == ["HGB", "86", "g/L", 2, "L"]
    [item] = await results_of(staff, subject, report["position"], code="HGB")
    assert (item["value"], item["version"], item["position"]) == ("86", 1, report["position"])
    assert item["as_sent"] == {"code": "718-7", "value": "8.6", "unit": "g/dL"}


async def test_the_same_report_again_gets_the_first_answer(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    report = blood_count(subject, "m1")
    first = await post(lis, "/labs/results", report)
    assert await post(lis, "/labs/results", report) == first


async def test_64_identical_reports_at_once_are_one_event(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    report = blood_count(subject, "m1")
    answers = await asyncio.gather(*(post(lis, "/labs/results", report) for _ in range(64)))
    assert all(answer == answers[0] for answer in answers)
    items = await results_of(speaking_as(Role.MONITOR), subject, answers[0]["reports"][0]["position"])
    assert [item["version"] for item in items] == [1] * len(report["results"])


async def test_an_idempotency_key_is_of_one_request(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    key = {"Idempotency-Key": "k1"}
    first = await lis.post("/labs/results", json=body(subject=subject), headers=key)
    retry = await lis.post("/labs/results", json=body(subject=subject), headers=key)
    assert (retry.status_code, retry.json()) == (201, first.json())
    other = await lis.post("/labs/results", json=body(hgb("87"), subject=subject), headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")


async def test_an_idempotency_key_of_several_reports_is_of_that_request_alone(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    key = {"Idempotency-Key": "k2"}
    sent = [body(subject=f"{site}-999"), body(subject=subject, message_id="m2")]
    first = await lis.post("/labs/results", json=sent, headers=key)
    assert first.status_code == 207
    retry = await lis.post("/labs/results", json=sent, headers=key)
    assert (retry.status_code, retry.json()) == (207, first.json())
    new = body(hgb("87"), subject=subject, message_id="m3")
    for other in (new, [body(subject=subject), sent[1], new], [{}, {}, new]):
        response = await lis.post("/labs/results", json=other, headers=key)
        assert (response.status_code, response.json()["type"]) == (422, "/problems/idempotency-key-reused")
    elsewhere = await lis.post("/labs/hl7v2", content=oru(subject=subject), headers=key | ER7)
    assert (elsewhere.status_code, elsewhere.json()["type"]) == (422, "/problems/idempotency-key-reused")
    items = await results_of(speaking_as(Role.MONITOR), subject, int(first.headers["Log-Position"]))
    assert [item["message_id"] for item in items] == ["m2"]


async def test_a_message_id_is_not_used_for_another_content(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    await post(lis, "/labs/results", body(subject=subject))
    assert await problem_of(lis, body(hgb("87"), subject=subject), 409) == "message-id-reused"


async def test_a_correction_is_a_new_version_and_the_old_one_stays(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    await post(lis, "/labs/results", body(subject=subject))
    correction = body(hgb("96", "C"), subject=subject, message_id="m2")
    [corrected] = (await post(lis, "/labs/results", correction))["reports"]
    items = await results_of(staff, subject, corrected["position"])
    versions = [(item["version"], item["value"], item["current"]) for item in items]
    assert versions == [(2, "96", True), (1, "86", False)]
    [current] = await results_of(staff, subject, corrected["position"], versions="current")
    assert current["value"] == "96"
    retraction = body(hgb(None, "D"), subject=subject, message_id="m3")
    [deleted] = (await post(lis, "/labs/results", retraction))["reports"]
    [current] = await results_of(staff, subject, deleted["position"], versions="current")
    assert (current["version"], current["status"], current["value"]) == (3, "D", None)


async def test_one_bad_report_of_many_costs_itself_alone(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    sent = [
        body(subject=subject, message_id="m1"),
        body(hgb(unit="furlong"), subject=subject, message_id="m2"),
        body(subject=f"{site}-999", message_id="m3"),
        {"subject": subject},
        body(hgb("88"), subject=subject, message_id="m5", order="O5"),
    ]
    response = await speaking_as(Role.LAB, site).post("/labs/results", json=sent)
    assert response.status_code == 207
    assert [report["status"] for report in response.json()["reports"]] == [201, 422, 404, 422, 201]
    types = [report["problem"]["type"] for report in response.json()["reports"] if "problem" in report]
    assert types == ["/problems/unknown-unit", "/problems/unknown-subject", "/problems/invalid-request"]


async def test_where_none_of_several_is_good_the_first_problem_is_the_answer(speaking_as: As, site: str) -> None:
    sent = [body(subject=f"{site}-999", message_id="m1"), {}]
    response = await speaking_as(Role.LAB, site).post("/labs/results", json=sent)
    assert (response.status_code, response.json()["type"]) == (404, "/problems/unknown-subject")
    assert [report["status"] for report in response.json()["reports"]] == [404, 422]


async def test_bad_reports_are_refused_with_stable_codes(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for sent, status, code in (
        (body(subject=f"{site}-999"), 404, "unknown-subject"),
        (body(hgb(code="NOVEL"), subject=subject), 422, "unknown-analyte"),
        (body(hgb(unit="furlong"), subject=subject), 422, "unknown-unit"),
        (body(hgb("-8"), subject=subject), 422, "implausible-value"),
        (body(hgb("8600"), subject=subject), 422, "implausible-value"),
        (body(subject=subject, collected_at=tomorrow), 422, "occurred-in-the-future"),
        (body(subject=subject, surname="Doe"), 422, "invalid-request"),
        ([], 422, "invalid-request"),
        ("text", 422, "invalid-request"),
    ):
        assert await problem_of(lis, sent, status) == code
    assert await results_of(speaking_as(Role.MONITOR), subject, 0) == []


async def test_a_token_speaks_for_its_sites_and_its_application(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    report = body(subject=subject)
    assert await problem_of(speaking_as(Role.LAB, "99"), report, 403) == "forbidden"
    assert await problem_of(speaking_as(Role.LAB, site, application="OTHER"), report, 403) == "forbidden"
    assert await problem_of(speaking_as(Role.MONITOR, site), report, 403) == "forbidden"
    await post(speaking_as(Role.LAB, site, application="LIS"), "/labs/results", report)


async def test_results_page_by_cursor_and_filter_by_time(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await screened(staff, site)
    days = [f"2025-12-{day:02d}T08:00:00+00:00" for day in range(1, 6)]
    sent = [body(subject=subject, message_id=day, collected_at=day) for day in days]
    at = max(report["position"] for report in (await post(staff, "/labs/results", sent))["reports"])
    path = f"/labs/subjects/{subject}/results"
    pages = await pages_of(staff, path, at, limit=2)
    assert [[item["message_id"] for item in page] for page in pages] == [days[:2], days[2:4], days[4:]]
    between = await results_of(staff, subject, at, **{"from": days[1], "to": days[3]})
    assert [item["message_id"] for item in between] == days[1:4]
    assert (await staff.get(path, params={"after": "nonsense"})).status_code == 422


async def test_a_laboratory_reads_nothing(speaking_as: As, site: str) -> None:
    lis = speaking_as(Role.LAB, site)
    for path in (f"/labs/subjects/{site}-001/results", "/labs/quarantine"):
        assert (await lis.get(path)).status_code == 403


async def test_an_unknown_subject_has_no_results(speaking_as: As, site: str) -> None:
    response = await speaking_as(Role.COORDINATOR, site).get(f"/labs/subjects/{site}-999/results")
    assert (response.status_code, response.json()["type"]) == (404, "/problems/unknown-subject")
