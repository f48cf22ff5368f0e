"""How journeys ask for results and speak HL7 v2."""

from __future__ import annotations

from typing import Any

import httpx

from services.labs.er7 import Message, parse

ER7 = {"Content-Type": "application/hl7-v2"}


async def results_of(client: httpx.AsyncClient, subject: str, at: int, **parameters: str) -> list[dict[str, Any]]:
    """A subject's results from a read model that reflects at least a position."""
    path = f"/labs/subjects/{subject}/results"
    response = await client.get(path, params=parameters, headers={"Log-Position": str(at)})
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def quarantined_at(
    client: httpx.AsyncClient, site: str, at: int, state: str = "quarantined"
) -> list[dict[str, Any]]:
    """What is quarantined at a site."""
    parameters = {"site": site, "state": state}
    response = await client.get("/labs/quarantine", params=parameters, headers={"Log-Position": str(at)})
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def send(client: httpx.AsyncClient, text: str | bytes) -> httpx.Response:
    """POST HL7 v2 and expect an acknowledgment."""
    content = text.encode() if isinstance(text, str) else text
    response = await client.post("/labs/hl7v2", content=content, headers=ER7)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/hl7-v2; charset=utf-8"
    return response


def acknowledgment(response: httpx.Response) -> str:
    """MSA-1 of a single answer."""
    return _message(response).first("MSA")[1].value


def errors(response: httpx.Response) -> list[tuple[str, str]]:
    """(location, condition) of each ERR."""
    return [(err[2].text, err[3][1].value) for err in _message(response).all("ERR")]


def _message(response: httpx.Response) -> Message:
    return parse(response.text)


def position_of(response: httpx.Response) -> int:
    return int(response.headers["Log-Position"])
