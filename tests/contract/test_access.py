"""No route answers without a token; and each answers a role that may not with 403, before anything else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from shared.identity import Role
from tests.contract.operations import OPERATIONS, Operation, least_request, problem_of
from tests.journeys.trial import As, Trial

ROUTES = sorted(
    (each.method.upper(), re.sub(r"\{subject\}", "01-001", re.sub(r"\{(?!subject)[a-z_]+\}", "1", each.path)))
    for each in OPERATIONS
    if not each.is_open
)

BAD_CREDENTIALS = {
    "none": {},
    "another scheme": {"Authorization": "Basic dXNlcjpwYXNz"},
    "no token": {"Authorization": "Bearer not-a-token"},
}


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("credentials", BAD_CREDENTIALS.values(), ids=BAD_CREDENTIALS)
async def test_who_has_no_token_learns_nothing(
    trial: Trial, method: str, path: str, credentials: dict[str, str]
) -> None:
    async with httpx.AsyncClient(base_url=trial.url) as client:
        response = await client.request(method, path, headers=credentials, json={} if method == "POST" else None)
    assert response.status_code == 401, response.text
    assert response.headers["WWW-Authenticate"] == "Bearer"


# Reviews and signatures are the readers' own; every other POST records a clinical fact.
OF_NO_SUBJECT = ("/audit/", "/randomization/scheme", "/randomization/enrolment-cap")
CLINICAL = [path for method, path in ROUTES if method == "POST" and not path.startswith(OF_NO_SUBJECT)]
"""What records something of a subject; signatures, schemes and caps have roles of their own."""

OF_MONITORS = re.compile(r"^/visits/subjects/[^/]+/(deviations/1/grade|adverse-events/1/reports)$")
"""No data of a subject: how grave a deviation is, and that a report went to the authority."""


@pytest.mark.parametrize("path", CLINICAL)
@pytest.mark.parametrize("role", [Role.STATISTICIAN, Role.MONITOR, Role.REGULATOR])
async def test_who_reads_alone_writes_no_clinical_fact(speaking_as: As, role: Role, path: str) -> None:
    if role is Role.MONITOR and OF_MONITORS.match(path):
        pytest.skip("a monitor judges deviations, and records what the sponsor handed in")
    response = await speaking_as(role).post(path, json={})
    assert (response.status_code, problem_of(response)) == (403, "/problems/forbidden")


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "GET" and "/labs/" not in path])
async def test_a_lab_system_reads_nothing_of_the_trial(speaking_as: As, path: str) -> None:
    if path.startswith(("/audit/checkpoint", "/audit/key", "/audit/proofs")):
        pytest.skip("the proof of the log is for everybody who holds a token")
    assert (await speaking_as(Role.LAB, "01").get(path)).status_code == 403


ABOUT_A_SUBJECT = [each for each in OPERATIONS if "{subject}" in each.path]
about_a_subject = pytest.mark.parametrize("operation", ABOUT_A_SUBJECT, ids=lambda each: f"{each.method} {each.path}")

SUBJECT = "98-001"
"""Nobody."""

SITE_BOUND = [role for role in Role if role not in {Role.SYSTEM, Role.REGULATOR}]
"""A regulator reads everything, and no token speaks for the services themselves."""


@about_a_subject
@pytest.mark.parametrize("role", SITE_BOUND)
async def test_staff_of_another_site_learn_nothing_of_a_subject_and_record_nothing(
    speaking_as: As, operation: Operation, role: Role
) -> None:
    response = await ask(speaking_as(role, "99"), operation)
    assert (response.status_code, response.json()["type"]) == (403, "/problems/forbidden"), response.text


@about_a_subject
async def test_it_is_the_site_alone_that_they_are_refused_for(speaking_as: As, operation: Operation) -> None:
    response = await ask(speaking_as(Role.INVESTIGATOR, "98"), operation)
    assert (response.status_code, response.json()["type"]) == (404, "/problems/unknown-subject"), response.text


async def ask(client: httpx.AsyncClient, operation: Operation) -> httpx.Response:
    """Call an operation about the subject with the least request that its document allows."""
    query, body = least_request(operation.service, operation.path, operation.method)
    path = re.sub(r"\{[a-z_]+\}", "1", operation.path.replace("{subject}", SUBJECT))
    return await client.request(operation.method, path, params=query, json=body)


async def test_a_body_is_not_even_parsed_for_who_has_no_token(trial: Trial) -> None:
    async with httpx.AsyncClient(base_url=trial.url) as client:
        headers = {"Content-Type": "application/json"}
        response = await client.post("/randomization/subjects", content=b"{", headers=headers)
    assert response.status_code == 401


@pytest.mark.parametrize("path", ["/randomization/subjects", "/labs/hl7v2"])
async def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(speaking_as: As, path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 1_000_000

    for content in (b" " * 9_500_000, chunks()):
        headers = {"Content-Type": "text/plain" if path == "/labs/hl7v2" else "application/json"}
        response = await speaking_as(Role.LAB if path == "/labs/hl7v2" else Role.ADMIN, "01").post(
            path, content=content, headers=headers
        )
        assert response.status_code == 413
        assert response.json()["type"] == "/problems/content-too-large"
