"""Steps that many journeys begin with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from services.labs.events import ResultStatus
from shared.identity import Role
from tests.journeys.laboratory import position_of, quarantined_at, send
from tests.journeys.trial import As
from tests.labs.examples import OBX_HGB, OBX_LOCAL, oru
from tests.randomization.examples import FINDINGS

NOW = datetime.now(UTC)

PAGES_MAX = 20
SUBJECTS_MAX = 20
"""More than the longest block of allocations: each arm has come up by then."""

ELIGIBLE: dict[str, Any] = {
    name: str(value) if name.endswith(("_pct", "_L")) else value for name, value in FINDINGS.items()
}


def ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat()


def civil(days_ago: float, zone: str = "Asia/Shanghai") -> str:
    """The site's date so many days ago."""
    return (NOW - timedelta(days=days_ago)).astimezone(ZoneInfo(zone)).date().isoformat()


async def get(client: httpx.AsyncClient, path: str, at: int = 0, **parameters: str) -> dict[str, Any]:
    """GET from something that reflects at least a position, and expect 200; the JSON answer."""
    response = await client.get(path, params=parameters, headers={"Log-Position": str(at)})
    assert response.status_code == 200, response.text
    assert int(response.headers["Log-Position"]) >= at
    answer: dict[str, Any] = response.json()
    return answer


async def post(client: httpx.AsyncClient, path: str, body: object, status: int = 201) -> dict[str, Any]:
    """POST and expect a status; the JSON answer."""
    response = await client.post(path, json=body)
    assert response.status_code == status, f"{path}: {response.status_code} {response.text}"
    answer: dict[str, Any] = response.json()
    return answer


async def refused(client: httpx.AsyncClient, path: str, body: object, status: int, code: str) -> dict[str, Any]:
    """POST and expect to be refused in the name of a problem; its document."""
    answer = await post(client, path, body, status)
    assert answer["type"] == f"/problems/{code}"
    return answer


def dated(body: dict[str, Any], occurred_at: str | None) -> dict[str, Any]:
    """A body that says when it happened, where that was not just now."""
    return body if occurred_at is None else body | {"occurred_at": occurred_at}


async def pages_of(client: httpx.AsyncClient, path: str, at: int = 0, **parameters: str | int) -> list[list[Any]]:
    """The items of each page of a list, followed by its cursor, from a read model that reflects at least a position."""
    pages: list[list[Any]] = []
    for _ in range(PAGES_MAX):
        response = await client.get(path, params=parameters, headers={"Log-Position": str(at)})
        assert response.status_code == 200, response.text
        page = response.json()
        pages.append(page["items"])
        if page["next"] is None:
            return pages
        parameters["after"] = page["next"]
    raise AssertionError(f"{path} has more than {PAGES_MAX} pages; the last ended at {parameters['after']}")


async def screened(client: httpx.AsyncClient, site: str, occurred_at: str | None = None) -> str:
    body = {"site": site, "birth_year": 1960, "sex": "F"}
    answer = await post(client, "/randomization/subjects", dated(body, occurred_at))
    return str(answer["subject"])


async def screen_failed(client: httpx.AsyncClient, site: str) -> str:
    """A subject that failed a criterion."""
    subject = await screened(client, site)
    await post(client, f"/randomization/subjects/{subject}/consent", {"version": "1.0"})
    await post(client, f"/randomization/subjects/{subject}/eligibility", ELIGIBLE | {"ecog": 4})
    return subject


async def enrolled(
    client: httpx.AsyncClient, site: str, occurred_at: str | None = None, findings: Mapping[str, Any] = ELIGIBLE
) -> str:
    """A subject that is ready to be randomized."""
    subject = await screened(client, site, occurred_at)
    path = f"/randomization/subjects/{subject}"
    await post(client, f"{path}/consent", dated({"version": "1.0"}, occurred_at))
    await post(client, f"{path}/eligibility", dated(dict(findings), occurred_at))
    await post(client, f"{path}/enrolment", dated({}, occurred_at))
    return subject


async def randomized(
    client: httpx.AsyncClient, site: str, arm: str | None = None, occurred_at: str | None = None
) -> str:
    """A subject that was randomized, at some time; of a certain arm, where one is asked for."""
    for _ in range(SUBJECTS_MAX):
        subject = await enrolled(client, site, occurred_at)
        answer = await post(client, f"/randomization/subjects/{subject}/randomization", dated({}, occurred_at))
        if arm is None or answer["arm"] == arm:
            return subject
    raise AssertionError(f"none of {SUBJECTS_MAX} subjects of site {site} was allocated to {arm}")


RISING = {30: "101", 61: "103", 91: "102"}
"""Haemoglobin in g/L by day: a rise of at least 15 that lasts for two months."""


async def responder(
    client: httpx.AsyncClient, site: str, treated: float = 100, haemoglobin_since: Mapping[int, str] = RISING
) -> tuple[str, str]:
    """A subject of the cells' arm whose haemoglobin has risen for two months, and its path; not evaluated yet.

    Or whose haemoglobin has taken another course since its treatment so many days ago.
    """
    subject = await randomized(client, site, "MSC", ago(treated))
    path = f"/visits/subjects/{subject}"
    for day, haemoglobin in {-14: "84", -3: "88", **haemoglobin_since}.items():
        await post(client, "/labs/results", count(subject, treated - day, HGB=haemoglobin, PLT="150", NEUT="1.9"))
    await post(client, f"{path}/infusions", infusion(1) | {"occurred_at": ago(treated)})
    return subject, path


async def a_bit_of_everything(speaking_as: As, site: str) -> None:
    """Something of every kind that the services record, about a responder, a subject of the other arm, and one more."""
    staff, lis = speaking_as(Role.INVESTIGATOR, site), speaking_as(Role.LAB, site)
    await closed_and_opened_again(speaking_as(Role.ADMIN), site)
    subject, path = await responder(staff, site)
    await post(staff, f"{path}/infusion-safety", {"look": "D7-1", "occurred_at": ago(93)})
    made = await post(staff, f"{path}/evaluations", {"timepoint": "M3"})
    await post(staff, "/audit/signatures", {"positions": [made["position"]], "meaning": "review"})
    await trail(staff, subject, "second-dose-eligible")
    await post(staff, "/labs/results", count(subject, 9, "C", HGB="85"))
    await trail(staff, subject, "second-dose-ineligible")
    death = {"term": "Sepsis", "grade": 5, "serious": True, "seriousness_criteria": ["death"], "related": False}
    await post(staff, f"{path}/adverse-events", death | {"aware_at": ago(1)})
    await every_word_on_safety(staff, subject)

    subject = await randomized(staff, site, "CSA")
    path = f"/visits/subjects/{subject}"
    await post(staff, f"{path}/csa-doses", {"mg_per_kg_per_day": "5"})
    trough = {"code": "CSA", "value": "310", "unit": "ng/mL", "status": "F"}
    await post(staff, "/labs/results", blood_count(subject, f"{subject}-trough") | {"results": [trough]})
    await trail(staff, subject, "ciclosporin-dose-advised")
    await post(staff, f"{path}/symptoms", {"week": 1} | dict.fromkeys(SYMPTOMS, 1))
    await post(staff, f"{path}/transfusions", {"component": "RBC", "units": 2, "haemoglobin_before_g_L": "78"})
    answer = await send(lis, oru(OBX_HGB, OBX_LOCAL, subject=subject))
    [quarantined] = await quarantined_at(staff, site, position_of(answer))
    meaning = {"reason": "HB1 is none of the trial's", "mapping": {"codes": {"HB1": None}}}
    await post(staff, f"/labs/quarantine/{quarantined['id']}/release", meaning)
    other = await randomized(staff, site)
    await every_allocation_error(staff, subject, duplicate=other)
    await post(staff, f"/randomization/subjects/{other}/consent", {"version": "2.0"})
    await post(staff, f"/randomization/subjects/{other}/loss-to-follow-up", {"reason": "no answer"})
    await post(staff, f"/randomization/subjects/{other}/contact", {"reason": "the subject called"})
    for scope in ("treatment", "study"):
        await post(
            staff, f"/randomization/subjects/{subject}/withdrawal", {"scope": scope, "reason": "the subject's wish"}
        )

    failed = await screen_failed(staff, site)
    await post(staff, f"/randomization/subjects/{failed}/rescreening", {})


ADVERSE_EVENT: dict[str, Any] = {
    "term": "Pneumonia",
    "grade": 3,
    "serious": True,
    "seriousness_criteria": ["hospitalisation"],
    "related": True,
}


async def every_word_on_safety(client: httpx.AsyncClient, subject: str) -> None:
    """An adverse event that is reported late, followed up and void; a deviation that is noted and graded anew."""
    path, why = f"/visits/subjects/{subject}", {"reason": "found by the monitor"}
    number = (await post(client, f"{path}/adverse-events", ADVERSE_EVENT | {"aware_at": ago(3)}))["position"]
    await post(client, f"{path}/adverse-events/{number}/reports", {"report": "sponsor"})
    recovering = {"aware_at": ago(1), "outcome": "recovering"}
    await post(client, f"{path}/adverse-events/{number}/follow-ups", recovering)
    await post(client, f"{path}/adverse-events/{number}/nullification", why)
    await trail(client, subject, "protocol-deviation-recorded")
    noted = why | {"kind": "other", "code": "diary-lost", "grade": "minor"}
    deviation = (await post(client, f"{path}/deviations", noted))["position"]
    await post(client, f"{path}/deviations/{deviation}/grade", why | {"grade": "important"})


async def closed_and_opened_again(admin: httpx.AsyncClient, site: str) -> None:
    """A site that was closed for a while, and a cap that was in effect for a while; neither bounds it any more."""
    why = {"reason": "the ward was moved"}
    await post(admin, f"/randomization/sites/{site}/closure", why)
    await post(admin, "/randomization/enrolment-cap", why | {"site": site, "cap": 1})
    await post(admin, "/randomization/enrolment-cap/lifting", why | {"site": site})
    await post(admin, f"/randomization/sites/{site}/opening", why)


async def every_allocation_error(client: httpx.AsyncClient, subject: str, duplicate: str) -> int:
    """Every error that an allocation may have, and a later one of the same person; the position of the last."""
    why = {"reason": "found by the monitor"}
    received = {"MSC": "CSA", "CSA": "MSC"}[await arm_of(client, subject)]
    path = f"/randomization/subjects/{subject}"
    await post(client, f"{path}/randomization-error", why | {"cause": "ineligible"})
    await post(client, f"{path}/stratum-correction", why | {"diagnosis": "RARS"})
    await post(client, f"{path}/wrong-treatment", why | {"received": received})
    body = why | {"duplicate_of": subject, "counted_in_balance": False}
    answer = await post(client, f"/randomization/subjects/{duplicate}/duplicate-randomization", body)
    return int(answer["position"])


async def arm_of(client: httpx.AsyncClient, subject: str) -> str:
    """The arm that the trail says the subject was allocated to."""
    [allocated] = await trail(client, subject, "subject-randomized")
    return str(allocated["data"]["arm"])


def states_of(schedule: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """The state of each item of a schedule, and the day on which it was done."""
    return {item["code"]: (item["state"], item["done_on"]) for item in schedule["items"]}


SYMPTOMS = ("fatigue", "dyspnoea", "pallor", "palpitations", "dizziness")


def infusion(dose_number: int, weight_kg: str = "60", **product: str) -> dict[str, Any]:
    """An infusion of exactly the protocol's dose, from a lot that meets every release criterion."""
    return {
        "dose_number": dose_number,
        "weight_kg": weight_kg,
        "volume_mL": "12.5",
        "product": {
            "lot": "UC-0042",
            "cells_per_mL": "5000000",
            "viability_pct": "96",
            "cd73_pct": "98.5",
            "cd90_pct": "99.1",
            "cd105_pct": "97.8",
            "negative_markers_pct": "0.9",
            "sterility": "negative",
            "mycoplasma": "negative",
            "endotoxin_EU_per_kg": "0.3",
        }
        | product,
    }


def blood_count(subject: str, message_id: str, **values: str) -> dict[str, Any]:
    """A monthly count as a lab system posts it in JSON."""
    units = {"WBC": "10*9/L", "NEUT": "10*9/L", "RBC": "10*12/L", "HGB": "g/L", "PLT": "10*9/L"}
    counts = {"WBC": "3.1", "NEUT": "0.9", "RBC": "2.8", "HGB": "86", "PLT": "62"} | values
    at = datetime.now(UTC).isoformat()
    return {
        "sender": {"application": "LIS", "facility": "HOSPITAL"},
        "message_id": message_id,
        "subject": subject,
        "collected_at": at,
        "reported_at": at,
        "results": [
            {"code": code, "value": value, "unit": units[code], "status": "F"} for code, value in counts.items()
        ],
    }


def count(subject: str, days_ago: float, status: ResultStatus = "F", **values: str) -> dict[str, Any]:
    """A blood count whose specimen was taken so many days ago, or with another status a later word on it."""
    report = blood_count(subject, f"{subject}-{days_ago}-{status}-{values}", **values)
    results = [result | {"status": status} for result in report["results"] if status == "F" or result["code"] in values]
    return report | {"collected_at": ago(days_ago), "reported_at": ago(days_ago), "results": results}


async def trail(client: httpx.AsyncClient, subject: str, event_type: str, least: int = 1) -> list[dict[str, Any]]:
    """The subject's events of a type, once there are so many; for what a policy records in a moment."""
    for _ in range(100):
        response = await client.get("/audit/events", params={"subject": subject, "type": event_type})
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = response.json()["items"]
        if len(items) >= least:
            return items
        await asyncio.sleep(0.05)
    raise AssertionError(f"no {event_type} of {subject}")
