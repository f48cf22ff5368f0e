"""A token speaks for whom it says, for as long as it says, and for nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.identity import Role
from shared.problems import FORBIDDEN, UNAUTHENTICATED, Problem
from shared.settings import Settings
from shared.tokens import TokenVerifier, issue

SETTINGS = Settings()
KEY = Ed25519PrivateKey.generate()
NOW = datetime(2026, 5, 3, 10, tzinfo=UTC)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


def token(**changes: object) -> str:
    claims = {
        "iss": SETTINGS.issuer,
        "aud": SETTINGS.audience,
        "sub": "c1",
        "name": "C. Oordinator",
        "role": "coordinator",
        "org": "Second Hospital",
        "sites": ["01"],
        "iat": NOW,
        "exp": NOW + timedelta(hours=1),
    }
    claims.update(changes)
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, KEY, algorithm="EdDSA")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(clock: Clock) -> TokenVerifier:
    return TokenVerifier(SETTINGS, clock, KEY)


async def refused(verifier: TokenVerifier, candidate: str) -> None:
    with pytest.raises(Problem) as problem:
        await verifier.verify(candidate)
    assert problem.value.refusal == UNAUTHENTICATED
    assert problem.value.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_names_its_bearer_and_the_sites_it_speaks_for(verifier: TokenVerifier) -> None:
    actor = await verifier.verify(token())
    assert actor.as_recorded() == {
        "id": "c1",
        "name": "C. Oordinator",
        "role": "coordinator",
        "org": "Second Hospital",
    }
    actor.require_site("01")
    with pytest.raises(Problem) as problem:
        actor.require_site("02")
    assert problem.value.refusal == FORBIDDEN


async def test_a_token_without_sites_speaks_for_all(verifier: TokenVerifier) -> None:
    (await verifier.verify(token(sites=None))).require_site("07")


async def test_the_local_issuer_makes_tokens_that_verify(verifier: TokenVerifier) -> None:
    made = issue(KEY, SETTINGS, role=Role.LAB, now=NOW, subject="lis", name="LIS", sites=["01"], application="LIS")
    actor = await verifier.verify(made)
    assert (actor.role, actor.application) == (Role.LAB, "LIS")


async def test_a_token_says_when_its_bearer_authenticated(verifier: TokenVerifier) -> None:
    earlier = NOW - timedelta(minutes=20)
    assert (await verifier.verify(token())).authenticated_at == NOW
    assert (await verifier.verify(token(auth_time=int(earlier.timestamp())))).authenticated_at == earlier


async def test_an_expired_token_is_refused_also_when_it_was_good_before(verifier: TokenVerifier, clock: Clock) -> None:
    good = token()
    await verifier.verify(good)
    clock.now = NOW + timedelta(hours=2)
    await refused(verifier, good)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody-else"},
        {"aud": "another-service"},
        {"role": "surgeon"},
        {"role": "system"},
        {"role": None},
        {"sub": None},
        {"exp": None},
        {"iat": NOW + timedelta(hours=5)},
        {"sites": "01"},
        {"sites": [1]},
        {"auth_time": "just now"},
        {"auth_time": 10**30},
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(verifier: TokenVerifier, changes: dict[str, object]) -> None:
    await refused(verifier, token(**changes))


async def test_a_token_of_another_key_or_of_none_is_refused(verifier: TokenVerifier) -> None:
    claims = jwt.decode(token(), options={"verify_signature": False})
    await refused(verifier, jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA"))
    await refused(verifier, jwt.encode(claims, "", algorithm="none"))
    await refused(verifier, "not-a-token")
    await refused(verifier, token()[:-4] + "AAAA")
