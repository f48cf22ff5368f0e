"""What must not be known before the reveal changes no answer: nobody can tell two trials apart by it.

Two trials are played alike under secrets that differ. Every role then calls every route of both, and each answer must
be the same but for what is random in itself: instants, identifiers, hashes and seals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from services.randomization import domain
from services.randomization.commands import RandomizeSubject, Scheme
from services.randomization.events import SubjectRandomized
from services.randomization.scheme import Secret
from services.randomization.stream import SEED_BYTES
from shared import keystore
from shared.events import Event
from shared.identity import Role
from shared.protocol import load_protocol
from tests.conftest import Server
from tests.contract.operations import OPERATIONS, Operation, least_request
from tests.journeys.subjects import post, randomized
from tests.journeys.trial import Trial, serving
from tests.randomization.examples import ready_to_randomize, sealed_as
from tests.scenario import given

RANDOM = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"  # an instant
    r"|\d{8}T\d{6}Z"  # an instant in iCalendar
    r"|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"  # an identifier
    r"|[0-9a-f]{32,}"  # an identifier or a hash
    r"|(v1\.)?[A-Za-z0-9+/]{40,}={0,2}"  # a hash, a signature or a seal
)

ALLOCATED = ("01", "02", "01", "01", "02", "01", "01")
"""The sites of the subjects in the order of their allocation; all have the diagnosis RA."""
NEXT = ("01", "02")
OTHER_ARM = {"MSC": "CSA", "CSA": "MSC"}

OWN_LISTS: dict[str, Any] = {
    "method": "permuted-blocks",
    "ratio": {"MSC": 1, "CSA": 1},
    "strata": ["diagnosis", "site"],
    "block_sizes": [4],
    "reason": "approved by the steering committee",
}
ONE_LIST = OWN_LISTS | {"strata": ["diagnosis"]}
MINIMIZATION: dict[str, Any] = {
    "method": "minimization",
    "ratio": {"MSC": 1, "CSA": 1},
    "strata": ["diagnosis"],
    "weights": {"diagnosis": "1"},
    "p": "4/5",
    "reason": "approved by the steering committee",
}

EVERYBODY = [role for role in Role if role is not Role.SYSTEM]
OF_A_SITE = [Role.COORDINATOR, Role.INVESTIGATOR, Role.LAB, Role.MONITOR, Role.STATISTICIAN, Role.ADMIN]
"""Those whose tokens may speak for one site alone; a regulator reads everything."""

Answers = dict[str, str]


def arms_under(body: dict[str, Any], seed: bytes) -> list[str]:
    """The arms that a scheme gives under a seed: of the subjects that are allocated, and of the next at each site."""
    secret = Secret(seed, bytes(32), tuple(body.get("block_sizes", ())))
    scheme = sealed_as(1, TypeAdapter[Scheme](Scheme).validate_python(body), secret)
    rules = domain.allocation(load_protocol(), scheme, secret)
    history: list[Event] = [scheme]
    for number, site in enumerate((*ALLOCATED, *NEXT), start=1):
        subject = f"{site}-{number:03d}"
        command = RandomizeSubject(subject=subject)
        history.extend(given(*history, *ready_to_randomize(subject)).when(rules, command).events)
    return [event.arm for event in history if isinstance(event, SubjectRandomized)]


def seed_where(body: dict[str, Any], is_wanted: Callable[[list[str]], bool]) -> bytes:
    """The first seed under which the arms are such as they are wanted."""
    seeds = (number.to_bytes(SEED_BYTES) for number in range(1, 10_000))
    found = next((seed for seed in seeds if is_wanted(arms_under(body, seed))), None)
    assert found is not None, "no such seed was found"
    return found


def parted(arms: list[str]) -> tuple[list[str], list[str]]:
    """Those that are allocated, and the next of each site."""
    return arms[: len(ALLOCATED)], arms[len(ALLOCATED) :]


def at_site(site: str, arms: list[str]) -> list[str]:
    """The arms of the subjects that were allocated there."""
    return [arm for arm, place in zip(arms, ALLOCATED, strict=False) if place == site]


async def played(
    server: Server, home: Path, body: dict[str, Any], seed: bytes, roles: Sequence[Role], *sites: str
) -> tuple[list[str], Answers]:
    """The arms of a trial that was played under a seed, and what every route tells these roles, for these sites."""
    async with serving(server.create_database(f"concealed_{home.name}"), home) as trial:
        async with speaking_as(trial, Role.STATISTICIAN) as statistician:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(keystore, "new_data_key", lambda: seed)
                await post(statistician, "/randomization/scheme", body)
        async with speaking_as(trial, Role.ADMIN) as staff:
            subjects = [await randomized(staff, site) for site in ALLOCATED]
            at = (await staff.get("/audit/checkpoint")).headers["Log-Position"]
            details = [(await staff.get(f"/randomization/subjects/{subject}")).json() for subject in subjects]
        answers: Answers = {}
        for role in roles:
            async with speaking_as(trial, role, *sites) as client:
                for operation in OPERATIONS:
                    answers |= {
                        f"{role} {asked}": told
                        for asked, told in (await ask(client, operation, subjects[-1], int(at))).items()
                    }
        return [detail["arm"] for detail in details], answers


def speaking_as(trial: Trial, role: Role, *sites: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {trial.token(role, list(sites) or None)}"}
    return httpx.AsyncClient(base_url=trial.url, headers=headers, timeout=30)


async def ask(client: httpx.AsyncClient, operation: Operation, subject: str, at: int) -> Answers:
    """What an operation answers about a subject, or the last two records up to a position, by what was asked for.

    Requests that would record something are sent without a body: what they are refused for is an answer too.
    """
    path = operation.path.replace("{subject}", subject).replace("{site}", subject[:2])
    if operation.method == "post":
        response = await client.post(path, json={})
        assert response.status_code >= 400, f"{path} recorded something"
        return {f"POST {path}": response.text}
    query, _ = least_request(operation.service, operation.path, operation.method)
    answers: Answers = {}
    for number in (at - 1, at) if "{" in path else (at,):
        target = re.sub(r"\{[a-z_]+\}", str(number), path)
        for form in operation.described["responses"]["200"]["content"]:
            response = await client.get(target, params=query, headers={"Accept": form})
            told = response.text.replace(client.base_url.netloc.decode(), "host")  # each trial has a port of its own
            answers[f"GET {target} as {form}"] = f"{response.status_code} {told}"
    return answers


def comparable(told: str) -> str:
    return RANDOM.sub("…", told)


def require_alike(one: Answers, other: Answers) -> None:
    assert one.keys() == other.keys()
    for asked, told in one.items():
        assert comparable(told) == comparable(other[asked]), asked


async def test_block_sizes_later_slots_and_the_seed_change_no_answer_to_anybody(server: Server, tmp_path: Path) -> None:
    # Given two trials whose sites have allocated the same arms, from blocks of other sizes, and whose next arms differ
    one, other = OWN_LISTS, OWN_LISTS | {"block_sizes": [6]}
    # (Five of a block of six leave one arm for the sixth. The next block of four can give the other one.)
    seed = seed_where(one, lambda arms: arms[len(ALLOCATED)] == at_site("01", arms)[-1])
    so_far, following = parted(arms_under(one, seed))
    other_seed = seed_where(other, lambda arms: parted(arms) == (so_far, [OTHER_ARM[arm] for arm in following]))

    # When everybody asks everything
    arms_of_one, told = await played(server, tmp_path / "one", one, seed, EVERYBODY)
    arms_of_other, told_by_other = await played(server, tmp_path / "other", other, other_seed, EVERYBODY)
    assert arms_of_one == arms_of_other == so_far

    # Then no answer differs, and none holds a seed
    require_alike(told, told_by_other)
    for secret, answers in ((seed, told), (other_seed, told_by_other)):
        assert not [asked for asked, text in answers.items() if secret.hex() in text]


@pytest.mark.parametrize("body", [ONE_LIST, MINIMIZATION], ids=["one-list", "minimization"])
async def test_the_arms_of_other_sites_change_no_answer_to_a_site(
    server: Server, tmp_path: Path, body: dict[str, Any]
) -> None:
    # Given two trials in which the first site has the same arms, and the second site other ones
    seed = seed_where(body, lambda _: True)
    own, others = at_site("01", arms_under(body, seed)), at_site("02", arms_under(body, seed))
    other_seed = seed_where(body, lambda arms: at_site("01", arms) == own and at_site("02", arms) != others)

    # When the first site's staff ask everything
    homes = [tmp_path / f"{body['method'][:4]}_{name}" for name in ("one", "other")]
    arms, told = await played(server, homes[0], body, seed, OF_A_SITE, "01")
    arms_of_other, told_by_other = await played(server, homes[1], body, other_seed, OF_A_SITE, "01")
    assert at_site("01", arms) == at_site("01", arms_of_other) == own
    assert at_site("02", arms) != at_site("02", arms_of_other)

    # Then no answer tells them which of the two trials they are in
    require_alike(told, told_by_other)
