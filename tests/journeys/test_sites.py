"""Sites and accrual over HTTP: closed sites, caps under contention, and who is told what of how the trial fills."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from shared.identity import Role
from tests.journeys.subjects import ELIGIBLE, enrolled, post, randomized, screen_failed, screened
from tests.journeys.trial import As, Trial

WHY = {"reason": "the steering committee decided so"}
AT_ONCE = 32


async def asked(client: httpx.AsyncClient, path: str, at: int, **parameters: str) -> dict[str, Any]:
    response = await client.get(f"/randomization/{path}", params=parameters, headers={"Log-Position": str(at)})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def eligible(client: httpx.AsyncClient, site: str) -> str:
    """A subject that lacks nothing but the enrolment."""
    subject = await screened(client, site)
    await post(client, f"/randomization/subjects/{subject}/consent", {"version": "1.0"})
    await post(client, f"/randomization/subjects/{subject}/eligibility", ELIGIBLE)
    return subject


async def enrolled_at_once(clients: dict[str, httpx.AsyncClient], sites: list[str]) -> Counter[str]:
    """One subject for each site of a list, all enrolled at the same time: how often each answer was given."""
    subjects = [(clients[site], await eligible(clients[site], site)) for site in sites]
    responses = await asyncio.gather(
        *(client.post(f"/randomization/subjects/{subject}/enrolment", json={}) for client, subject in subjects)
    )
    return Counter("201" if each.status_code == 201 else each.json()["type"] for each in responses)


async def test_at_a_closed_site_nobody_comes_in_and_those_in_the_trial_go_on(speaking_as: As, site: str) -> None:
    staff, admin = speaking_as(Role.INVESTIGATOR, site), speaking_as(Role.ADMIN)
    # Given a site of which nothing is recorded, and subjects at several steps of the way
    failed, ready, waiting = await screen_failed(staff, site), await eligible(staff, site), await enrolled(staff, site)
    # When it is closed
    closed = await post(admin, f"/randomization/sites/{site}/closure", WHY)
    assert (closed["site"], closed["state"]) == (site, "closed")
    # Then nobody is screened, screened again or enrolled there
    person = {"site": site, "birth_year": 1960, "sex": "F"}
    for path, body in (
        ("subjects", person),
        (f"subjects/{failed}/rescreening", {}),
        (f"subjects/{ready}/enrolment", {}),
    ):
        answer = await post(staff, f"/randomization/{path}", body, 409)
        assert answer["type"] == "/problems/site-closed"
    again = await post(admin, f"/randomization/sites/{site}/closure", WHY, 409)
    assert again["type"] == "/problems/site-closed"
    # And who was enrolled is randomized and followed
    await post(staff, f"/randomization/subjects/{waiting}/randomization", {})
    await post(staff, f"/randomization/subjects/{waiting}/consent", {"version": "2.0"})
    (item,) = (await asked(staff, "sites", closed["position"]))["items"]
    assert (item["site"], item["state"], item["reason"], item["since"] is not None) == (
        site,
        "closed",
        *WHY.values(),
        True,
    )
    # When it is opened again, they come in
    opened = await post(admin, f"/randomization/sites/{site}/opening", WHY)
    assert opened["state"] == "open"
    again = await post(admin, f"/randomization/sites/{site}/opening", WHY, 409)
    assert again["type"] == "/problems/site-open"
    await post(staff, f"/randomization/subjects/{ready}/enrolment", {})
    await screened(staff, site)


async def test_a_retry_of_an_enrolment_is_answered_as_before_also_when_the_cap_is_reached(
    speaking_as: As, site: str
) -> None:
    staff = speaking_as(Role.INVESTIGATOR, site)
    await post(speaking_as(Role.ADMIN), "/randomization/enrolment-cap", WHY | {"site": site, "cap": 1})
    path = f"/randomization/subjects/{await eligible(staff, site)}/enrolment"
    answers = [await staff.post(path, json={}, headers={"Idempotency-Key": f"once-{site}"}) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


async def test_enrolments_at_once_never_exceed_the_cap_of_the_site(speaking_as: As, site: str) -> None:
    staff, statistician = speaking_as(Role.COORDINATOR, site), speaking_as(Role.STATISTICIAN)
    body = WHY | {"site": site, "cap": 10}
    capped = await post(statistician, "/randomization/enrolment-cap", body)
    assert (capped["site"], capped["cap"]) == (site, 10)
    assert (await post(statistician, "/randomization/enrolment-cap", body, 409))["type"] == (
        "/problems/enrolment-cap-unchanged"
    )
    answers = await enrolled_at_once({site: staff}, [site] * AT_ONCE)
    assert answers == {"201": 10, "/problems/enrolment-cap-reached": AT_ONCE - 10}
    # One more is let in by a raised cap, and whoever comes by none
    await post(statistician, "/randomization/enrolment-cap", WHY | {"site": site, "cap": 11})
    assert (await enrolled_at_once({site: staff}, [site] * 2))["201"] == 1
    lifted = await post(statistician, "/randomization/enrolment-cap/lifting", WHY | {"site": site})
    assert lifted["cap"] is None
    assert await enrolled_at_once({site: staff}, [site] * 3) == {"201": 3}
    assert (await post(statistician, "/randomization/enrolment-cap/lifting", WHY | {"site": site}, 409))["type"] == (
        "/problems/enrolment-not-capped"
    )


async def test_enrolments_at_once_at_two_sites_never_exceed_the_cap_of_the_trial(
    trial: Trial, speaking_as: As, site: str
) -> None:
    other, statistician = f"{next(trial.sites):02d}", speaking_as(Role.STATISTICIAN)
    clients = {each: speaking_as(Role.COORDINATOR, each) for each in (site, other)}
    none = await post(statistician, "/randomization/enrolment-cap", WHY | {"cap": 0})
    before = await asked(statistician, "sites", none["position"])
    room_for_7 = sum(item["enrolled"] for item in before["items"]) + 7
    await post(statistician, "/randomization/enrolment-cap", WHY | {"cap": room_for_7})
    answers = await enrolled_at_once(clients, [site, other] * (AT_ONCE // 2))
    lifted = await post(statistician, "/randomization/enrolment-cap/lifting", WHY)
    assert answers == {"201": 7, "/problems/enrolment-cap-reached": AT_ONCE - 7}
    after = await asked(statistician, "sites", lifted["position"])
    assert (after["trial_cap"], sum(item["enrolled"] for item in after["items"])) == (None, room_for_7)


async def test_a_caller_sees_his_own_sites_and_the_statistician_alone_the_arms(
    trial: Trial, speaking_as: As, site: str
) -> None:
    other, statistician = f"{next(trial.sites):02d}", speaking_as(Role.STATISTICIAN)
    staff, elsewhere = speaking_as(Role.INVESTIGATOR, site), speaking_as(Role.INVESTIGATOR, other)
    await screened(elsewhere, other)
    subjects = [await randomized(staff, site) for _ in range(3)]
    failed = await screen_failed(staff, site)
    at = (await post(staff, f"/randomization/subjects/{failed}/consent", {"version": "2.0"}))["position"]
    # State, caps and counts
    (item,) = (await asked(staff, "sites", at))["items"]
    assert (item["site"], item["state"], item["cap"], item["enrolled"]) == (site, "open", None, 3)
    assert item["subjects"] == {"randomized": 3, "screen-failed": 1}
    assert {site, other, "01"} <= {each["site"] for each in (await asked(statistician, "sites", at))["items"]}
    # Accrual
    for by in ("month", "week"):
        accrual = await asked(staff, "accrual", at, by=by)
        assert (accrual["by"], {each["site"] for each in accrual["items"]}) == (by, {site})
        last = accrual["items"][-1]
        assert (last["screened"], last["enrolled"], last["randomized"]) == (4, 3, 3)
    assert {site, other} <= {each["site"] for each in (await asked(statistician, "accrual", at))["items"]}
    # Balance
    balance = await asked(speaking_as(Role.STATISTICIAN, site), "balance", at)
    details = [(await staff.get(f"/randomization/subjects/{subject}")).json() for subject in subjects]
    assert balance["arms"] == {arm: [each["arm"] for each in details].count(arm) for arm in ("MSC", "CSA")}
    assert [(each["scheme"], each["stratum"], each["arms"]) for each in balance["items"]] == [
        (1, f"RA|{site}", balance["arms"])
    ]


@pytest.mark.parametrize("role", [role for role in Role if role not in {Role.STATISTICIAN, Role.SYSTEM}])
async def test_nobody_but_the_statistician_is_told_the_balance(speaking_as: As, role: Role) -> None:
    response = await speaking_as(role).get("/randomization/balance")
    assert (response.status_code, response.json()["type"]) == (403, "/problems/forbidden")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("sites/98/opening", {Role.ADMIN}),
        ("sites/98/closure", {Role.ADMIN}),
        ("enrolment-cap", {Role.ADMIN, Role.STATISTICIAN}),
        ("enrolment-cap/lifting", {Role.ADMIN, Role.STATISTICIAN}),
    ],
)
async def test_who_opens_closes_and_caps(speaking_as: As, path: str, allowed: set[Role]) -> None:
    for role in set(Role) - {Role.SYSTEM} - allowed:
        assert (await post(speaking_as(role), f"/randomization/{path}", WHY, 403))["type"] == "/problems/forbidden"
    # Of another site, or of all sites by who speaks for one
    for role in allowed:
        body = WHY | ({"cap": 1} if path == "enrolment-cap" else {})
        await post(speaking_as(role, "97"), f"/randomization/{path}", body, 403)
        if "98" not in path:
            await post(speaking_as(role, "97"), f"/randomization/{path}", body | {"site": "98"}, 403)


async def test_a_reason_is_required(speaking_as: As) -> None:
    for path, body in (("sites/98/opening", {}), ("sites/98/closure", {}), ("enrolment-cap", {"cap": 1})):
        answer = await post(speaking_as(Role.ADMIN), f"/randomization/{path}", body, 422)
        assert answer["type"] == "/problems/invalid-request"
