"""Departures from the protocol over HTTP: found by the services themselves, noted and graded by people, once each."""

from __future__ import annotations

from typing import Any

import httpx

from shared.identity import Role
from tests.journeys.subjects import (
    SYMPTOMS,
    ago,
    count,
    infusion,
    pages_of,
    post,
    randomized,
    responder,
    trail,
)
from tests.journeys.trial import As

RECORDED = "protocol-deviation-recorded"
WHY = {"reason": "found by the monitor"}


async def listed(client: httpx.AsyncClient, at: int, **parameters: str | int) -> list[dict[str, Any]]:
    """Deviations from a read model that reflects at least a position."""
    return [each for page in await pages_of(client, "/visits/deviations", at, **parameters) for each in page]


async def test_the_services_find_what_departs_and_a_monitor_grades_it_anew(speaking_as: As, site: str) -> None:
    staff, monitor = speaking_as(Role.COORDINATOR, site), speaking_as(Role.MONITOR, site)
    subject = await randomized(staff, site, "MSC", ago(60))
    path = f"/visits/subjects/{subject}"
    given = await post(staff, f"{path}/infusions", infusion(1) | {"volume_mL": "10", "occurred_at": ago(50)})
    await post(staff, f"{path}/symptoms", {"week": 2} | dict.fromkeys(SYMPTOMS, 1) | {"occurred_at": ago(50 - 20)})
    found = await trail(staff, subject, RECORDED, least=3)
    assert [(each["data"]["code"], each["data"]["grade"]) for each in found] == [
        ("treatment-started-late", "minor"),
        ("dose-outside-tolerance", "important"),
        ("item-out-of-window", "minor"),
    ]
    assert {each["data"]["fact"] for each in found[:2]} == {given["position"]}
    assert [each["by"]["role"] for each in found] == ["system"] * 3
    last = found[-1]["position"]
    assert [each["code"] for each in await listed(monitor, last, site=site, grade="important")] == [
        "dose-outside-tolerance"
    ]
    [_, _, window] = await listed(monitor, last, subject=subject, limit=1)
    assert (window["deviation"], window["item"]) == (last, "W2")

    regrading = f"{path}/deviations/{last}/grade"
    assert (await staff.post(regrading, json=WHY | {"grade": "important"})).status_code == 403
    await post(monitor, regrading, {"grade": "important"}, 422)
    regraded = await post(monitor, regrading, WHY | {"grade": "important"})
    [_, _, window] = await listed(monitor, regraded["position"], subject=subject)
    assert (window["grade"], window["regraded_by"]) == ("important", regraded["position"])
    assert window["regrading_reason"] == WHY["reason"]
    assert (await post(monitor, regrading, WHY | {"grade": "important"}, 409))["type"] == (
        "/problems/deviation-grade-unchanged"
    )
    assert await listed(speaking_as(Role.MONITOR, "99"), last) == []
    assert (await speaking_as(Role.MONITOR, "99").get("/visits/deviations", params={"site": site})).status_code == 403


async def test_a_second_dose_whose_grounds_a_correction_takes_away_becomes_a_deviation(
    speaking_as: As, site: str
) -> None:
    staff = speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(staff, site)
    await post(staff, f"{path}/evaluations", {"timepoint": "M3"})
    given = await post(staff, f"{path}/infusions", infusion(2))
    await post(staff, "/labs/results", count(subject, 9, "C", HGB="85"))
    [deviation] = await trail(staff, subject, RECORDED)
    [changed] = await trail(staff, subject, "evaluation-inputs-changed")
    assert (deviation["data"]["code"], deviation["data"]["grade"]) == ("second-dose-without-grounds", "important")
    assert deviation["data"]["fact"] == given["position"]
    event = (await staff.get(f"/audit/events/{deviation['position']}")).json()
    assert event["position"] > changed["position"]
    assert (await staff.get(f"{path}/second-dose")).json()["state"] == "given", "it stays given"


async def test_the_treatment_of_another_arm_is_recorded_once_the_error_is_on_record(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.INVESTIGATOR, site)
    subject = await randomized(staff, site, "CSA")
    path = f"/visits/subjects/{subject}"
    refused = await post(staff, f"{path}/infusions", infusion(1), 409)
    assert refused["type"] == "/problems/treatment-of-another-arm"
    error = await post(staff, f"/randomization/subjects/{subject}/wrong-treatment", WHY | {"received": "MSC"})
    await post(staff, f"{path}/infusions", infusion(1))
    [wrong] = await trail(staff, subject, RECORDED)
    assert (wrong["data"]["code"], wrong["data"]["fact"]) == ("wrong-treatment-given", error["position"])


async def test_a_person_notes_what_no_rule_finds(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site)
    body = {"kind": "assessment", "code": "diary-lost", "grade": "minor", "item": "W3", "occurred_at": ago(0.1)}
    await post(staff, f"/visits/subjects/{subject}/deviations", body, 422)
    noted = await post(staff, f"/visits/subjects/{subject}/deviations", WHY | body)
    [deviation] = await listed(staff, noted["position"], subject=subject)
    assert (deviation["code"], deviation["fact"], deviation["reason"]) == ("diary-lost", None, WHY["reason"])
    unknown = await post(
        speaking_as(Role.MONITOR), f"/visits/subjects/{subject}/deviations/1/grade", WHY | {"grade": "minor"}, 404
    )
    assert unknown["type"] == "/problems/unknown-deviation"
