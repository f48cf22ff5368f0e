"""Steps that many journeys begin with."""

from __future__ import annotations

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


async def screened(client: httpx.AsyncClient, site: str) -> str:
    answer = await post(client, "/randomization/subjects", {"site": site, "birth_year": 1960, "sex": "F"})
    return str(answer["subject"])


async def enrolled(client: httpx.AsyncClient, site: str) -> str:
    """A subject that is ready to be randomized."""
    subject = await screened(client, site)
    path = f"/randomization/subjects/{subject}"
    await post(client, f"{path}/consent", {"version": "1.0"})
    await post(client, f"{path}/eligibility", ELIGIBLE)
    await post(client, f"{path}/enrolment", {})
    return subject


async def randomized(client: httpx.AsyncClient, site: str, arm: str | None = None) -> str:
    """A randomized subject; of a certain arm, where one is asked for."""
    while True:
        subject = await enrolled(client, site)
        answer = await post(client, f"/randomization/subjects/{subject}/randomization", {})
        if arm is None or answer["arm"] == arm:
            return subject
