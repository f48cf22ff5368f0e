"""Adverse events over HTTP: reported, followed up, due and overdue, answered for, void; and what hangs on them."""

from __future__ import annotations

from typing import Any

import httpx

from shared.identity import Role
from tests.journeys.subjects import ADVERSE_EVENT, ago, pages_of, post, randomized, responder, trail
from tests.journeys.trial import As

DUE = "/visits/safety-reports/due"


async def reported(client: httpx.AsyncClient, path: str, known: float, **members: Any) -> int:
    """The number of an adverse event that the sponsor became aware of so many days ago."""
    body = ADVERSE_EVENT | {"aware_at": ago(known), "occurred_at": ago(known)} | members
    return int((await post(client, f"{path}/adverse-events", body))["position"])


async def due(client: httpx.AsyncClient, at: int, **parameters: str | int) -> list[dict[str, Any]]:
    """What is due, from a read model that reflects at least a position."""
    return [item for page in await pages_of(client, DUE, at, **parameters) for item in page]


async def test_a_serious_event_is_due_until_it_is_reported_and_an_upgrade_is_due_anew(
    speaking_as: As, site: str
) -> None:
    staff = speaking_as(Role.INVESTIGATOR, site)
    subject = await randomized(staff, site, None, ago(30))
    path = f"/visits/subjects/{subject}"
    number = await reported(staff, path, 10)
    first = await due(staff, number, site=site)
    assert [(each["report"], each["state"]) for each in first] == [("sponsor", "overdue"), ("authority", "due")]
    assert [each["state"] for each in await due(staff, number, site=site, as_of=ago(9.5))] == ["due", "due"]
    assert await due(staff, number, site=site, as_of=ago(11)) == [], "nobody knew of it"
    assert [each["report"] for each in await due(staff, number, subject=subject, state="overdue")] == ["sponsor"]

    answer = await post(staff, f"{path}/adverse-events/{number}/reports", {"report": "sponsor"})
    assert (answer["answers"], answer["late"]) == ([number], True)
    [late] = await trail(staff, subject, "protocol-deviation-recorded")
    assert (late["data"]["code"], late["data"]["fact"]) == ("adverse-event-reported-late", answer["position"])

    worse = {"grade": 5, "seriousness_criteria": ["death"], "outcome": "fatal", "reason": "died", "aware_at": ago(0.5)}
    upgrade = await post(staff, f"{path}/adverse-events/{number}/follow-ups", worse)
    assert upgrade["due"]["authority_on"] < upgrade["due"]["follow_up_on"]
    running = await due(staff, upgrade["position"], site=site)
    assert {(each["report"], each["started_by"]) for each in running} == {
        ("authority", number),
        ("sponsor", upgrade["position"]),
        ("authority", upgrade["position"]),
        ("authority-follow-up", upgrade["position"]),
    }
    await post(speaking_as(Role.MONITOR), f"{path}/adverse-events/{number}/reports", {"report": "authority"})
    [event] = (await staff.get(f"{path}/adverse-events")).json()["items"]
    assert (event["adverse_event"], event["grade"], event["fatal"]) == (number, 5, True)
    assert [each["type"] for each in event["history"]] == [
        "adverse-event-reported",
        "safety-report-submitted",
        "adverse-event-followed-up",
        "safety-report-submitted",
    ]
    assert [(each["report"], each["state"]) for each in event["reports"]] == [
        ("sponsor", "submitted-late"),
        ("authority", "submitted"),
        ("sponsor", "due"),
        ("authority", "submitted"),
        ("authority-follow-up", "due"),
    ]
    assert event["history"][2]["reason"] == "died"


async def test_a_death_that_was_reported_in_error_is_taken_back(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.INVESTIGATOR, site)
    subject = await randomized(staff, site, None, ago(30))
    path = f"/visits/subjects/{subject}"
    number = await reported(staff, path, 2, grade=5, seriousness_criteria=["death"])
    at = {"Log-Position": str(number)}
    assert (await staff.get(f"/randomization/subjects/{subject}", headers=at)).json()["status"] == "died"
    await post(staff, f"{path}/adverse-events/{number}/nullification", {}, 422)
    void = await post(staff, f"{path}/adverse-events/{number}/nullification", {"reason": "another subject's"})
    at = {"Log-Position": str(void["position"])}
    assert (await staff.get(f"/randomization/subjects/{subject}", headers=at)).json()["status"] == "randomized"
    items = (await staff.get(f"{path}/schedule", headers=at)).json()["items"]
    assert "cancelled" not in {item["state"] for item in items if item["code"].startswith("W")}
    assert await due(staff, void["position"], site=site) == []
    [event] = (await staff.get(f"{path}/adverse-events")).json()["items"]
    assert event["nullified"]
    assert {each["state"] for each in event["reports"]} == {"void"}
    again = {"aware_at": ago(1), "outcome": "recovered"}
    refused = await post(staff, f"{path}/adverse-events/{number}/follow-ups", again, 409)
    assert refused["type"] == "/problems/adverse-event-nullified"


async def test_what_is_due_is_paged_by_urgency_over_the_sites_that_one_may_see(speaking_as: As, site: str) -> None:
    staff, monitor = speaking_as(Role.COORDINATOR, site), speaking_as(Role.MONITOR, site)
    subjects = [await randomized(staff, site, None, ago(30)) for _ in range(2)]
    numbers = [await reported(staff, f"/visits/subjects/{each}", known) for each in subjects for known in (3, 9, 6)]
    last = numbers[-1]
    pages = await pages_of(monitor, DUE, last, limit=5)
    found = [item for page in pages for item in page]
    assert [len(page) for page in pages] == [5, 5, 2]
    assert len({(each["started_by"], each["report"]) for each in found}) == 12
    deadlines = [each["due_by"] or each["due_on"] for each in found]
    assert deadlines == sorted(deadlines)
    assert await due(speaking_as(Role.MONITOR, "99"), last) == []
    assert (await speaking_as(Role.MONITOR, "99").get(DUE, params={"site": site})).status_code == 403
    assert (await speaking_as(Role.MONITOR, "99").get(DUE, params={"subject": subjects[0]})).status_code == 403
    everywhere = await due(speaking_as(Role.REGULATOR), last)
    assert {each["site"] for each in everywhere} >= {site}
    assert await due(monitor, last, after="1/sponsor") == [], "no page gave this cursor"


async def test_a_reaction_that_becomes_worse_takes_the_second_dose_back_and_its_nullification_gives_it_again(
    speaking_as: As, site: str
) -> None:
    staff = speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(staff, site)
    mild = {"grade": 1, "serious": False, "seriousness_criteria": [], "infusion_reaction": True}
    number = await reported(staff, path, 99, **mild)
    await post(staff, f"{path}/evaluations", {"timepoint": "M3"})
    await trail(staff, subject, "second-dose-eligible")
    worse = {"grade": 3, "aware_at": ago(0), "reason": "the ward's notes came"}
    position = (await post(staff, f"{path}/adverse-events/{number}/follow-ups", worse))["position"]
    [taken_back] = await trail(staff, subject, "second-dose-ineligible")
    assert taken_back["data"]["because"] == [{"code": "severe-infusion-reaction", "position": position}]
    assert (await staff.get(f"{path}/second-dose")).json()["state"] == "not-eligible"
    await post(staff, f"{path}/adverse-events/{number}/nullification", {"reason": "another subject's"})
    assert len(await trail(staff, subject, "second-dose-eligible", least=2)) == 2
    assert (await staff.get(f"{path}/second-dose")).json()["state"] == "eligible"


async def test_an_onset_is_kept_as_exact_as_it_is_known(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    path = f"/visits/subjects/{await randomized(staff, site)}"
    for onset_on in ("2026-03-14", "2026-03", "2026"):
        await reported(staff, path, 0, onset_on=onset_on)
    items = (await staff.get(f"{path}/adverse-events")).json()["items"]
    assert [each["onset_on"] for each in items] == ["2026-03-14", "2026-03", "2026"]
    body = ADVERSE_EVENT | {"aware_at": ago(0), "onset_on": "2026-02-29"}
    assert (await post(staff, f"{path}/adverse-events", body, 422))["type"] == "/problems/invalid-request"
