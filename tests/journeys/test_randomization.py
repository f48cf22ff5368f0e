"""From the first visit to an arm, over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from shared.identity import Role
from tests.journeys.subjects import ELIGIBLE, enrolled, pages_of, post, randomized, screened
from tests.journeys.trial import As


async def test_a_subject_walks_from_screening_to_an_arm(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    response = await staff.post("/randomization/subjects", json={"site": site, "birth_year": 1960, "sex": "F"})
    assert response.status_code == 201
    subject = response.json()["subject"]
    assert (subject, response.json()["status"]) == (f"{site}-001", "screened")
    assert response.headers["Location"] == f"/randomization/subjects/{subject}"

    path = f"/randomization/subjects/{subject}"
    await post(staff, f"{path}/consent", {"version": "1.0"})
    eligibility = await post(staff, f"{path}/eligibility", ELIGIBLE)
    assert (eligibility["eligible"], eligibility["stratum"]) == (True, f"RA|{site}")
    await post(staff, f"{path}/enrolment", {})
    allocation = await post(staff, f"{path}/randomization", {})
    assert allocation["arm"] in {"MSC", "CSA"}

    headers = {"Log-Position": str(allocation["position"])}
    detail = await staff.get(path, headers=headers)
    assert detail.status_code == 200
    assert int(detail.headers["Log-Position"]) >= allocation["position"]
    assert (detail.json()["status"], detail.json()["arm"]) == ("randomized", allocation["arm"])


async def test_a_second_randomization_is_refused_and_a_retry_gets_the_first_answer(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await enrolled(staff, site)
    path = f"/randomization/subjects/{subject}/randomization"
    first = await staff.post(path, json={}, headers={"Idempotency-Key": "k1"})
    retry = await staff.post(path, json={}, headers={"Idempotency-Key": "k1"})
    assert (retry.status_code, retry.json()) == (201, first.json())
    again = await staff.post(path, json={})
    assert again.status_code == 409
    assert again.headers["Content-Type"] == "application/problem+json"
    assert again.json()["type"] == "/problems/subject-already-randomized"


async def test_32_randomizations_at_once_keep_the_blocks_balanced(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subjects = [await enrolled(staff, site) for _ in range(32)]
    answers = await asyncio.gather(
        *(post(staff, f"/randomization/subjects/{subject}/randomization", {}) for subject in subjects)
    )
    numbers = {answer["randomization_number"] for answer in answers}
    assert numbers == {f"RA-{site}-{slot:03d}" for slot in range(1, 33)}
    arms = [answer["arm"] for answer in answers]
    assert abs(arms.count("MSC") - arms.count("CSA")) <= 3  # at most half of an open block of six


async def test_the_flow_counts_every_subject_once(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    failed = await screened(staff, site)
    await post(staff, f"/randomization/subjects/{failed}/consent", {"version": "1.0"})
    await post(staff, f"/randomization/subjects/{failed}/eligibility", ELIGIBLE | {"hiv": "positive"})
    subjects = [await randomized(staff, site) for _ in range(4)]
    left = await post(
        staff, f"/randomization/subjects/{subjects[0]}/withdrawal", {"scope": "study", "reason": "moved away"}
    )
    response = await staff.get("/randomization/flow", headers={"Log-Position": str(left["position"])})
    flow = response.json()
    assert (flow["assessed"], flow["excluded"], flow["randomized"]) == (5, {"hiv": 1}, 4)
    assert sum(arm["allocated"] for arm in flow["arms"].values()) == 4
    assert sum(arm["discontinued"] for arm in flow["arms"].values()) == 1

    chart = await staff.get("/randomization/flow", headers={"Accept": "image/svg+xml"})
    assert (chart.headers["Content-Type"], chart.headers["Vary"]) == ("image/svg+xml", "Accept")
    assert "Randomized (n = 4)" in chart.text
    none = await staff.get("/randomization/flow", headers={"Accept": "image/png"})
    assert (none.status_code, none.json()["type"]) == (406, "/problems/not-acceptable")


async def test_lists_page_by_cursor(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subjects = [await screened(staff, site) for _ in range(5)]
    position = (await post(staff, f"/randomization/subjects/{subjects[0]}/consent", {"version": "1"}))["position"]
    pages = await pages_of(staff, "/randomization/subjects", position, site=site, limit=2)
    assert [[item["subject"] for item in page] for page in pages] == [subjects[:2], subjects[2:4], subjects[4:]]


async def test_a_year_of_birth_that_cannot_be_and_a_step_before_the_study_are_refused(
    speaking_as: As, site: str
) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    for birth_year in (1900, datetime.now(UTC).year + 2):
        body = {"site": site, "birth_year": birth_year, "sex": "F"}
        assert (await post(staff, "/randomization/subjects", body, 422))["type"] == "/problems/birth-year-implausible"
    subject = await screened(staff, site)
    early = {"version": "1.0", "occurred_at": "1900-06-01T00:00:00Z"}
    answer = await post(staff, f"/randomization/subjects/{subject}/consent", early, 409)
    assert (answer["type"], answer["follows"]) == ("/problems/occurred-out-of-order", "study-start")


async def test_consent_may_be_dated_before_screening(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await screened(staff, site)
    signed = {"version": "1.0", "occurred_at": "2026-01-05T08:00:00+08:00"}
    path = f"/randomization/subjects/{subject}"
    position = (await post(staff, f"{path}/consent", signed))["position"]
    detail = (await staff.get(path, headers={"Log-Position": str(position)})).json()
    assert (detail["status"], detail["consented_at"]) == ("consented", "2026-01-05T00:00:00Z")


async def test_another_sites_staff_may_neither_read_nor_write(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    stranger = speaking_as(Role.COORDINATOR, "99")
    assert (await stranger.get(f"/randomization/subjects/{subject}")).status_code == 403
    refused = await stranger.post(f"/randomization/subjects/{subject}/consent", json={"version": "1.0"})
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/forbidden")
