"""Steps that many journeys begin with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx

from tests.randomization.examples import FINDINGS

ELIGIBLE: dict[str, Any] = {
    name: str(value) if name.endswith(("_pct", "_L")) else value for name, value in FINDINGS.items()
}


async def post(client: httpx.AsyncClient, path: str, body: object, status: int = 201) -> dict[str, Any]:
    """POST and expect a status; the JSON answer."""
    response = await client.post(path, json=body)
    assert response.status_code == status, f"{path}: {response.status_code} {response.text}"
    answer: dict[str, Any] = response.json()
    return answer


def dated(body: dict[str, Any], occurred_at: str | None) -> dict[str, Any]:
    """A body that says when it happened, where that was not just now."""
    return body if occurred_at is None else body | {"occurred_at": occurred_at}


async def screened(client: httpx.AsyncClient, site: str, occurred_at: str | None = None) -> str:
    body = {"site": site, "birth_year": 1960, "sex": "F"}
    answer = await post(client, "/randomization/subjects", dated(body, occurred_at))
    return str(answer["subject"])


async def enrolled(client: httpx.AsyncClient, site: str, occurred_at: str | None = None) -> str:
    """A subject that is ready to be randomized."""
    subject = await screened(client, site, occurred_at)
    path = f"/randomization/subjects/{subject}"
    await post(client, f"{path}/consent", dated({"version": "1.0"}, occurred_at))
    await post(client, f"{path}/eligibility", dated(ELIGIBLE, occurred_at))
    await post(client, f"{path}/enrolment", dated({}, occurred_at))
    return subject


async def randomized(
    client: httpx.AsyncClient, site: str, arm: str | None = None, occurred_at: str | None = None
) -> str:
    """A subject that was randomized, at some time; of a certain arm, where one is asked for."""
    while True:
        subject = await enrolled(client, site, occurred_at)
        answer = await post(client, f"/randomization/subjects/{subject}/randomization", dated({}, occurred_at))
        if arm is None or answer["arm"] == arm:
            return subject


async def a_bit_of_everything(client: httpx.AsyncClient, site: str) -> None:
    """One subject of each arm with a little of whatever the services record."""
    for arm in ("MSC", "CSA"):
        subject = await randomized(client, site, arm)
        visits = f"/visits/subjects/{subject}"
        if arm == "MSC":
            await post(client, f"{visits}/infusions", infusion(dose_number=1))
        else:
            await post(client, f"{visits}/csa-doses", {"mg_per_kg_per_day": "5"})
        await post(client, f"{visits}/symptoms", {"week": 1} | dict.fromkeys(SYMPTOMS, 1))
        await post(client, f"{visits}/transfusions", {"component": "RBC", "units": 2, "haemoglobin_before_g_L": "78"})
        await post(client, "/labs/results", blood_count(subject, f"m-{subject}"))
    failed = await screened(client, site)
    await post(client, f"/randomization/subjects/{failed}/consent", {"version": "1.0"})
    await post(client, f"/randomization/subjects/{failed}/eligibility", ELIGIBLE | {"ecog": 4})


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
