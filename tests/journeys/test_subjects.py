"""Subjects that come again, consent again, are lost and reached again, complete the study or die, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from shared.identity import Role
from tests.journeys.subjects import ELIGIBLE, ago, enrolled, post, randomized, screen_failed, screened, trail
from tests.journeys.trial import As


async def detail_at(client: httpx.AsyncClient, subject: str, position: int) -> dict[str, Any]:
    """The subject as a read model shows it that reflects at least a position."""
    response = await client.get(f"/randomization/subjects/{subject}", headers={"Log-Position": str(position)})
    assert response.status_code == 200, response.text
    detail: dict[str, Any] = response.json()
    return detail


async def test_who_failed_screening_comes_again_under_a_new_number_and_both_name_each_other(
    speaking_as: As, site: str
) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    failed = await screen_failed(staff, site)
    path = f"/randomization/subjects/{failed}/rescreening"
    first = await staff.post(path, json={}, headers={"Idempotency-Key": "again"})
    assert first.status_code == 201
    again = first.json()
    subject = f"{site}-002"
    assert (again["subject"], again["status"], again["rescreening_of"]) == (subject, "screened", failed)
    assert first.headers["Location"] == f"/randomization/subjects/{subject}"
    retry = await staff.post(path, json={}, headers={"Idempotency-Key": "again"})
    assert (retry.status_code, retry.json()) == (201, again)

    earlier, later = [await detail_at(staff, each, again["position"]) for each in (failed, subject)]
    assert (earlier["status"], earlier["rescreened_as"], earlier["rescreening_of"]) == ("screen-failed", subject, None)
    assert (later["status"], later["rescreened_as"], later["rescreening_of"]) == ("screened", None, failed)
    assert (later["birth_year"], later["sex"]) == (earlier["birth_year"], earlier["sex"])
    assert await trail(staff, failed, "subject-rescreened"), "it stands in the trail of both"

    refused = await post(staff, f"/randomization/subjects/{failed}/consent", {"version": "2.0"}, 409)
    assert (refused["type"], refused["rescreened_as"]) == ("/problems/subject-rescreened", subject)
    assert (await post(staff, f"/randomization/subjects/{subject}/rescreening", {}, 409))["type"] == (
        "/problems/not-screen-failed"
    )


async def test_the_flow_counts_who_came_again(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    failed = await screen_failed(staff, site)
    again = await post(staff, f"/randomization/subjects/{failed}/rescreening", {})
    response = await staff.get("/randomization/flow", headers={"Log-Position": str(again["position"])})
    flow = response.json()
    assert (flow["assessed"], flow["rescreened"], flow["excluded"]) == (2, 1, {"ecog": 1})


async def test_screening_numbers_are_not_used_again(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    gave_up = await screened(staff, site)
    await post(staff, f"/randomization/subjects/{gave_up}/withdrawal", {"scope": "study", "reason": "no time"})
    failed = await screen_failed(staff, site)
    again = await post(staff, f"/randomization/subjects/{failed}/rescreening", {})
    numbers = [gave_up, failed, again["subject"], await screened(staff, site)]
    assert numbers == [f"{site}-{number:03d}" for number in (1, 2, 3, 4)]


async def test_every_version_that_was_consented_to_stands_in_the_detail(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await enrolled(staff, site, ago(9))
    body = {"version": "2.0", "occurred_at": ago(1)}
    answer = await post(staff, f"/randomization/subjects/{subject}/consent", body)
    detail = await detail_at(staff, subject, answer["position"])
    assert (detail["status"], detail["consent_version"]) == ("enrolled", "2.0")
    assert [consent["version"] for consent in detail["consents"]] == ["1.0", "2.0"]
    first, second = detail["consents"]
    assert first["occurred_at"] < second["occurred_at"] == detail["consented_at"]
    assert second["position"] == answer["position"]


async def test_who_is_lost_and_reached_again_stands_where_it_stood_before(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site)
    path = f"/randomization/subjects/{subject}"
    loss = {"reason": "no answer to three letters", "last_contact_on": ago(30)[:10]}
    lost = await post(staff, f"{path}/loss-to-follow-up", loss)
    detail = await detail_at(staff, subject, lost["position"])
    assert (detail["status"], detail["last_contact_on"]) == ("lost", loss["last_contact_on"])
    flow = (await staff.get("/randomization/flow", headers={"Log-Position": str(lost["position"])})).json()
    assert sum(arm["lost_to_follow_up"] for arm in flow["arms"].values()) == 1
    listed = await staff.get("/randomization/subjects", params={"status": "lost"})
    assert [item["subject"] for item in listed.json()["items"]] == [subject]

    assert (await post(staff, f"{path}/loss-to-follow-up", loss, 409))["type"] == "/problems/subject-lost"
    reached = await post(staff, f"{path}/contact", {"reason": "the subject called"})
    detail = await detail_at(staff, subject, reached["position"])
    assert (detail["status"], detail["lost_to_follow_up_at"]) == ("randomized", None)
    assert (await post(staff, f"{path}/contact", {"reason": "again"}, 409))["type"] == "/problems/subject-not-lost"
    [event] = await trail(staff, subject, "subject-lost-to-follow-up")
    assert event["reason"] == "no answer to three letters"


async def test_who_has_left_the_treatment_alone_is_in_the_study_and_may_be_lost(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site)
    path = f"/randomization/subjects/{subject}"
    answer = await post(staff, f"{path}/withdrawal", {"scope": "treatment", "reason": "nausea"})
    detail = await detail_at(staff, subject, answer["position"])
    assert (detail["status"], detail["withdrawn_from_study_at"]) == ("randomized", None)
    lost = await post(staff, f"{path}/loss-to-follow-up", {"reason": "no answer"})
    assert (await detail_at(staff, subject, lost["position"]))["status"] == "lost"


async def test_who_has_died_is_not_lost(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.INVESTIGATOR, site)
    subject = await randomized(staff, site)
    death = {"term": "Sepsis", "grade": 5, "serious": True, "seriousness_criteria": ["death"], "related": False}
    died = await post(staff, f"/visits/subjects/{subject}/adverse-events", death | {"aware_at": ago(0)})
    assert (await detail_at(staff, subject, died["position"]))["status"] == "died"
    path = f"/randomization/subjects/{subject}/loss-to-follow-up"
    assert (await post(staff, path, {"reason": "no answer"}, 409))["type"] == "/problems/subject-died"


async def test_who_has_completed_the_study_is_not_lost(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.INVESTIGATOR, site)
    subject = await randomized(staff, site, "CSA", ago(370))
    path = f"/visits/subjects/{subject}"
    await post(staff, f"{path}/csa-doses", {"mg_per_kg_per_day": "5", "occurred_at": ago(369)})
    evaluated = await post(staff, f"{path}/evaluations", {"timepoint": "M12"})
    assert (await detail_at(staff, subject, evaluated["position"]))["status"] == "completed"
    loss = f"/randomization/subjects/{subject}/loss-to-follow-up"
    assert (await post(staff, loss, {"reason": "no answer"}, 409))["type"] == "/problems/subject-completed"


async def test_a_last_contact_after_the_loss_is_refused(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site, occurred_at=ago(20))
    loss = {"reason": "no answer", "last_contact_on": ago(1)[:10], "occurred_at": ago(10)}
    answer = await post(staff, f"/randomization/subjects/{subject}/loss-to-follow-up", loss, 422)
    assert answer["type"] == "/problems/last-contact-implausible"


async def test_who_was_rescreened_may_be_randomized_under_the_new_number(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    failed = await screen_failed(staff, site)
    subject = (await post(staff, f"/randomization/subjects/{failed}/rescreening", {}))["subject"]
    path = f"/randomization/subjects/{subject}"
    await post(staff, f"{path}/consent", {"version": "1.0"})
    await post(staff, f"{path}/eligibility", ELIGIBLE)
    await post(staff, f"{path}/enrolment", {})
    answer = await post(staff, f"{path}/randomization", {})
    assert answer["randomization_number"] == f"RA-{site}-001"
