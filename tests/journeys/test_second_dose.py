"""From evaluation to second dose over HTTP: who gets it, on whose signature, and what takes the grounds away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from shared.identity import Role
from shared.keys import Keys
from shared.tokens import issue
from tests.journeys.subjects import ago, blood_count, count, get, infusion, post, refused, responder, trail
from tests.journeys.trial import As, Trial

M3 = {"timepoint": "M3"}
LATE_RISE = {30: "95", 61: "103", 91: "102"}
"""Haemoglobin that is high enough for a month alone at month 3."""
NO_RISE = {30: "87", 61: "88", 91: "86"}
OVERRIDE = {"reason": "a bleeding lowered the count of month 1", "override": {"lineages": {"HI-E": "confirmed"}}}
DEATH = {"term": "Sepsis", "grade": 5, "serious": True, "seriousness_criteria": ["death"], "related": False}


@pytest.fixture
async def stale(trial: Trial, site: str) -> AsyncIterator[httpx.AsyncClient]:
    """An investigator of the site who authenticated six minutes ago."""
    token = issue(
        Keys(trial.settings).issuer(),
        trial.settings,
        role=Role.INVESTIGATOR,
        now=datetime.now(UTC) - timedelta(minutes=6),
        subject=f"investigator-{site}",
        name="Investigator",
        sites=[site],
    )
    async with httpx.AsyncClient(
        base_url=trial.url, headers={"Authorization": f"Bearer {token}"}, timeout=30
    ) as client:
        yield client


async def evaluations(client: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await get(client, f"{path}/evaluations"))["items"]
    return items


async def standing(client: httpx.AsyncClient, path: str) -> tuple[str, set[str]]:
    """The state of the second dose and its reasons."""
    decision = await get(client, f"{path}/second-dose")
    return decision["state"], {reason["code"] for reason in decision["because"]}


async def deviations(client: httpx.AsyncClient, subject: str) -> list[tuple[str, int]]:
    """The code and the fact of each deviation of the subject, once there is one."""
    recorded = await trail(client, subject, "protocol-deviation-recorded")
    return [(each["data"]["code"], each["data"]["fact"]) for each in recorded]


async def test_a_responder_is_given_the_second_dose_on_a_signed_evaluation(speaking_as: As, site: str) -> None:
    investigator = speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(investigator, site)
    made = await post(investigator, f"{path}/evaluations", M3)
    assert (made["signed"], made["signature"]) == (True, {"meaning": "approval", "printed_name": "Investigator"})
    await trail(investigator, subject, "second-dose-eligible")
    await post(investigator, f"{path}/infusions", infusion(2))
    assert await standing(investigator, path) == ("given", {"second-infusion-given"})
    [item] = await evaluations(investigator, path)
    assert (item["state"], item["inputs"], item["changes"]) == ("valid", made["inputs"], [])
    assert [each["position"] for each in item["signatures"]] == [made["position"]]


async def test_a_response_that_is_provisional_at_month_3_is_confirmed_by_the_count_of_month_4(
    speaking_as: As, site: str
) -> None:
    investigator = speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(investigator, site, 124, LATE_RISE)
    first = await post(investigator, f"{path}/evaluations", M3 | {"occurred_at": ago(124 - 93)})
    assert first["lineages"]["HI-E"] == "provisional"
    assert await standing(investigator, path) == ("pending", {"response-provisional"})
    await refused(investigator, f"{path}/infusions", infusion(2), 409, "second-dose-not-eligible")
    await post(investigator, "/labs/results", count(subject, 2, HGB="104", PLT="150", NEUT="1.9"))
    again = await post(investigator, f"{path}/evaluations", M3 | {"reason": "the count of month 4"})
    assert again["lineages"]["HI-E"] == "confirmed"
    await trail(investigator, subject, "second-dose-eligible")
    await post(investigator, f"{path}/infusions", infusion(2))
    before, after = await evaluations(investigator, path)
    assert (before["state"], before["made_anew_by"]) == ("superseded", again["position"])
    assert (after["state"], after["reason"]) == ("valid", "the count of month 4")


async def test_a_provisional_response_is_confirmed_by_an_override(
    speaking_as: As, site: str, stale: httpx.AsyncClient
) -> None:
    investigator, admin = speaking_as(Role.INVESTIGATOR, site), speaking_as(Role.ADMIN)
    subject, path = await responder(investigator, site, haemoglobin_since=LATE_RISE)
    url, body = f"{path}/evaluations", M3 | OVERRIDE
    await refused(stale, url, body, 403, "fresh-authentication-needed")
    await refused(admin, url, body, 403, "forbidden")
    await refused(investigator, url, M3 | {"override": OVERRIDE["override"]}, 422, "reason-required")
    unknown = body | {"override": {"lineages": {"HI-X": "confirmed"}}}
    assert (await refused(investigator, url, unknown, 422, "unknown-lineage"))["lineages"] == ["HI-X"]
    same = body | {"override": {"lineages": {"HI-E": "provisional"}}}
    assert (await refused(investigator, url, same, 422, "override-changes-nothing"))["lineages"] == ["HI-E"]
    made = await post(investigator, url, body)
    assert (made["computed"]["HI-E"], made["lineages"]["HI-E"], made["response"]) == ("provisional", "confirmed", "HI")
    await trail(investigator, subject, "second-dose-eligible")
    await post(investigator, f"{path}/infusions", infusion(2))


async def test_who_did_not_respond_gets_none(speaking_as: As, site: str) -> None:
    investigator = speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(investigator, site, haemoglobin_since=NO_RISE)
    assert (await post(investigator, f"{path}/evaluations", M3))["response"] == "SD"
    await trail(investigator, subject, "second-dose-ineligible")
    assert await standing(investigator, path) == ("not-eligible", {"response-not-met"})
    await refused(investigator, f"{path}/infusions", infusion(2), 409, "second-dose-not-eligible")


async def test_progression_bars_the_second_dose_whatever_is_overridden(speaking_as: As, site: str) -> None:
    investigator = speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(investigator, site, haemoglobin_since=LATE_RISE)
    marrow = blood_count(subject, f"{subject}-marrow") | {"collected_at": ago(10), "reported_at": ago(9)}
    marrow["results"] = [{"code": "BLAST_BM", "value": "9", "unit": "%", "status": "F"}]
    await post(investigator, "/labs/results", marrow)
    made = await post(investigator, f"{path}/evaluations", M3 | OVERRIDE)
    assert (made["lineages"]["HI-E"], made["progression"], made["response"]) == ("confirmed", True, "PD")
    await trail(investigator, subject, "second-dose-ineligible")
    assert await standing(investigator, path) == ("not-eligible", {"progression"})


@pytest.mark.parametrize("end", ["withdrawal", "death"])
async def test_who_leaves_or_dies_is_not_eligible_any_more(speaking_as: As, site: str, end: str) -> None:
    investigator = speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(investigator, site)
    await post(investigator, f"{path}/evaluations", M3)
    await trail(investigator, subject, "second-dose-eligible")
    if end == "death":
        await post(investigator, f"{path}/adverse-events", DEATH | {"aware_at": ago(1)})
        await refused(investigator, f"{path}/infusions", infusion(2), 409, "second-dose-not-eligible")
    else:
        why = {"scope": "treatment", "reason": "the subject's wish"}
        await post(investigator, f"/randomization/subjects/{subject}/withdrawal", why)
        await refused(investigator, f"{path}/infusions", infusion(2), 409, "subject-withdrawn")
    await trail(investigator, subject, "second-dose-ineligible")
    reason = "died" if end == "death" else "withdrawn-from-treatment"
    assert await standing(investigator, path) == ("not-eligible", {reason})


async def test_a_correction_that_gives_a_response_has_to_be_evaluated(speaking_as: As, site: str) -> None:
    investigator = speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(investigator, site, haemoglobin_since=LATE_RISE)
    made = await post(investigator, f"{path}/evaluations", M3)
    await post(investigator, "/labs/results", count(subject, 100 - 30, "C", HGB="105"))
    [changed] = await trail(investigator, subject, "evaluation-inputs-changed")
    assert {"criterion": "HI-E", "before": "provisional", "after": "confirmed"} in changed["data"]["changes"]
    assert await standing(investigator, path) == ("pending", {"evaluation-outdated"})
    await post(investigator, f"{path}/evaluations", M3 | {"reason": "the count of month 1 was corrected"})
    await trail(investigator, subject, "second-dose-eligible")
    [item, _] = await evaluations(investigator, path)
    [note] = item["changes"]
    assert (note["position"], note["added"]) == (changed["position"], changed["data"]["added"])
    assert (item["state"], item["outdated_by"]) == ("superseded", changed["position"])
    assert item["signatures"][0]["superseded_by"] == changed["position"]
    assert item["position"] == made["position"]


@pytest.mark.parametrize("late", ["correction", "transfusion", "reaction"])
async def test_a_dose_that_was_given_stays_given_and_departs_from_the_protocol_once_its_grounds_are_gone(
    speaking_as: As, site: str, late: str
) -> None:
    investigator = speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(investigator, site)
    made = await post(investigator, f"{path}/evaluations", M3)
    given = await post(investigator, f"{path}/infusions", infusion(2))
    match late:
        case "correction":
            await post(investigator, "/labs/results", count(subject, 100 - 91, "C", HGB="85"))
        case "transfusion":
            blood = {"component": "RBC", "units": 2, "occurred_at": ago(100 - 85)}
            await post(investigator, f"{path}/transfusions", blood)
        case _:
            reaction = {"term": "Anaphylaxis", "grade": 3, "serious": False, "related": True, "aware_at": ago(0)}
            reaction |= {"seriousness_criteria": [], "infusion_reaction": True, "onset_on": ago(99)[:10]}
            await post(investigator, f"{path}/adverse-events", reaction)
    assert await deviations(investigator, subject) == [("second-dose-without-grounds", given["position"])]
    assert (await standing(investigator, path))[0] == "given"
    [item] = await evaluations(investigator, path)
    assert item["lineages"] == made["lineages"], "the past is never rewritten"
    assert item["state"] == ("valid" if late == "reaction" else "superseded")


async def test_a_late_transfusion_outdates_the_evaluation(speaking_as: As, site: str) -> None:
    investigator = speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(investigator, site)
    await post(investigator, f"{path}/evaluations", M3)
    await trail(investigator, subject, "second-dose-eligible")
    blood = {"component": "RBC", "units": 2, "occurred_at": ago(100 - 85)}
    transfused = await post(investigator, f"{path}/transfusions", blood)
    [changed] = await trail(investigator, subject, "evaluation-inputs-changed")
    assert changed["data"]["added"] == [transfused["position"]]
    await trail(investigator, subject, "second-dose-ineligible")
    assert await standing(investigator, path) == ("pending", {"evaluation-outdated"})
    await refused(investigator, f"{path}/infusions", infusion(2), 409, "second-dose-not-eligible")


async def test_an_evaluation_with_an_old_authentication_waits_for_a_signature(
    speaking_as: As, site: str, stale: httpx.AsyncClient
) -> None:
    investigator, monitor = speaking_as(Role.INVESTIGATOR, site), speaking_as(Role.MONITOR)
    subject, path = await responder(investigator, site)
    made = await post(stale, f"{path}/evaluations", M3)
    assert (made["signed"], made["signature"]) == (False, None)
    assert await standing(investigator, path) == ("pending", {"evaluation-unsigned"})
    await refused(investigator, f"{path}/infusions", infusion(2), 409, "second-dose-not-eligible")
    signature = {"positions": [made["position"]], "meaning": "approval"}
    await refused(stale, "/audit/signatures", signature, 403, "fresh-authentication-needed")
    await post(investigator, "/audit/signatures", signature | {"meaning": "review"})
    assert [each["state"] for each in await evaluations(investigator, path)] == ["unsigned"]

    signed = await post(investigator, "/audit/signatures", signature)
    [eligible] = await trail(investigator, subject, "second-dose-eligible")
    assert eligible["position"] > signed["position"]
    [item] = await evaluations(investigator, path)
    assert (item["state"], item["signatures"][0]["position"]) == ("valid", signed["position"])

    await post(investigator, "/labs/results", count(subject, 100 - 91, "C", HGB="85"))
    [changed] = await trail(investigator, subject, "evaluation-inputs-changed")
    found = await get(monitor, f"/audit/signatures/{signed['position']}", changed["position"])
    assert (found["status"], found["superseded_by"]) == ("superseded", [changed["position"]])
