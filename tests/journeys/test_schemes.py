"""A scheme over HTTP: sealed by a statistician, used without being told, revealed, and recomputed by anybody."""

from __future__ import annotations

from typing import Any

import pytest

from services.randomization.sealing import schemes_of
from services.randomization.vault import open_secret
from services.randomization.verifier import MismatchError, verify_allocation
from shared.identity import Role
from shared.runtime import open_runtime
from tests.journeys.subjects import post, randomized, trail
from tests.journeys.trial import As, Trial

SCHEME: dict[str, Any] = {
    "method": "permuted-blocks",
    "ratio": {"MSC": 2, "CSA": 1},
    "strata": ["diagnosis"],
    "block_sizes": [3, 6, 9],
    "reason": "approved by the steering committee",
}

MINIMIZATION: dict[str, Any] = {
    "method": "minimization",
    "ratio": {"MSC": 1, "CSA": 1},
    "strata": ["diagnosis", "site"],
    "weights": {"diagnosis": "2", "site": "1"},
    "p": "4/5",
    "reason": "approved by the steering committee",
}


async def exported(speaking_as: As, at: int) -> bytes:
    response = await speaking_as(Role.REGULATOR).get("/audit/export", headers={"Log-Position": str(at)})
    assert response.status_code == 200
    return response.content


async def test_a_scheme_is_sealed_used_revealed_and_recomputed(trial: Trial, speaking_as: As, site: str) -> None:
    staff, statistician = speaking_as(Role.COORDINATOR, site), speaking_as(Role.STATISTICIAN)
    # Given nobody has sealed a scheme, the protocol's own is sealed by the first allocation
    await randomized(staff, site)
    (first,) = (await staff.get("/randomization/scheme")).json()["items"]
    assert (first["version"], first["ratio"], first["strata"]) == (1, {"MSC": 1, "CSA": 1}, ["diagnosis", "site"])

    # When a statistician seals another one
    answer = await post(statistician, "/randomization/scheme", SCHEME)
    assert answer["version"] == 2
    subjects = [await randomized(staff, site) for _ in range(9)]

    # Then it allocates later subjects, in its own ratio, and nothing of what is hidden can be had
    details = [(await staff.get(f"/randomization/subjects/{subject}")).json() for subject in subjects]
    assert [detail["randomization_number"] for detail in details] == [f"RA-{number:03d}" for number in range(1, 10)]
    await require_hidden(trial, speaking_as, answer["position"])

    # When the seed is revealed, everybody can recompute what was allocated
    for version in (1, 2):
        revealed = await post(
            statistician, f"/randomization/scheme/{version}/reveal", {"reason": "the database is locked"}
        )
    items = (await staff.get("/randomization/scheme")).json()["items"]
    assert [len(bytes.fromhex(item["revealed"]["seed"])) for item in items] == [32, 32]
    assert items[1]["revealed"]["block_sizes"] == [3, 6, 9]
    lines = (await exported(speaking_as, revealed["position"])).splitlines()
    assert verify_allocation(lines).matching == 10
    with pytest.raises(MismatchError):
        verify_allocation([line.replace(b'\\"slot\\":3', b'\\"slot\\":4') for line in lines])

    # And nobody is allocated under it any more
    with pytest.raises(AssertionError, match="scheme-revealed"):
        await randomized(staff, site)
    again = f"/randomization/scheme/{2}/reveal"
    assert (await post(statistician, again, {"reason": "once more"}, 409))["type"] == "/problems/scheme-revealed"
    unknown = "/randomization/scheme/9/reveal"
    assert (await post(statistician, unknown, {"reason": "?"}, 404))["type"] == "/problems/unknown-scheme"


async def test_a_minimization_is_sealed_used_revealed_and_recomputed(speaking_as: As, site: str) -> None:
    staff, statistician = speaking_as(Role.COORDINATOR, site), speaking_as(Role.STATISTICIAN)
    # Given a later version, whose parameters are told to everybody
    version = (await post(statistician, "/randomization/scheme", MINIMIZATION))["version"]
    told = (await staff.get("/randomization/scheme")).json()["items"][-1]
    assert (told["version"], told["method"], told["list_roots"]) == (version, "minimization", {})
    assert told["parameters"] == {"weights": {"diagnosis": "2", "site": "1"}, "distance": "range", "p": "4/5"}

    # When subjects are allocated, one of whom should not have been, and one in a wrong stratum
    subjects = [await randomized(staff, site) for _ in range(6)]
    in_error = {"cause": "ineligible", "reason": "found by the monitor", "counted_in_balance": False}
    await post(staff, f"/randomization/subjects/{subjects[0]}/randomization-error", in_error)
    corrected = {"diagnosis": "RARS", "reason": "the marrow was read again"}
    await post(staff, f"/randomization/subjects/{subjects[1]}/stratum-correction", corrected)
    last = await randomized(staff, site)

    # Then the last draw counted the others, each where it truly belongs
    (event,) = await trail(staff, last, "subject-randomized")
    draws = await speaking_as(Role.REGULATOR).get("/audit/events", params={"type": "arm-drawn"})
    drawn = draws.json()["items"][-1]
    assert (drawn["position"], drawn["data"]["subject"]) == (event["position"] - 1, last)
    counts = drawn["data"]["counts"]
    assert {factor: sum(arms.values()) for factor, arms in counts.items()} == {"diagnosis": 4, "site": 5}
    assert event["data"]["slot"] == 6

    # But a site does not see the draw, which counts those of other sites too
    assert (await staff.get("/audit/events", params={"type": "arm-drawn"})).json()["items"] == []
    assert (await staff.get(f"/audit/events/{drawn['position']}")).status_code == 403

    # And once the seed is revealed, everybody can recompute each draw
    path = f"/randomization/scheme/{version}/reveal"
    revealed = await post(statistician, path, {"reason": "the database is locked"})
    lines = (await exported(speaking_as, revealed["position"])).splitlines()
    assert verify_allocation(lines).matching >= 7
    draw = b'\\"draw\\":'
    with pytest.raises(MismatchError):
        verify_allocation([line.replace(draw, draw + b"1") for line in lines])


async def require_hidden(trial: Trial, speaking_as: As, at: int) -> None:
    """No export, and no list of schemes for whatever role, holds the seed, the nonce or a block size."""
    async with open_runtime(trial.settings) as runtime:
        schemes, _ = await schemes_of(runtime.log)
        secrets = [await open_secret(runtime.key_store, scheme) for scheme in schemes.sealed]
    readers = (Role.STATISTICIAN, Role.MONITOR, Role.ADMIN, Role.COORDINATOR, Role.INVESTIGATOR)
    told = [(await speaking_as(role).get("/randomization/scheme")).text for role in readers]
    for text in (*told, (await exported(speaking_as, at)).decode()):
        assert "[3" not in text
        assert "[4" not in text
        for secret in secrets:
            assert secret.seed.hex() not in text
            assert secret.nonce.hex() not in text


@pytest.mark.parametrize(
    "role", [Role.COORDINATOR, Role.INVESTIGATOR, Role.MONITOR, Role.REGULATOR, Role.LAB, Role.ADMIN]
)
async def test_only_a_statistician_seals_and_reveals(speaking_as: As, role: Role) -> None:
    for path, body in (("/randomization/scheme", SCHEME), ("/randomization/scheme/1/reveal", {"reason": "?"})):
        assert (await post(speaking_as(role), path, body, 403))["type"] == "/problems/forbidden"


async def test_a_scheme_that_does_not_fit_the_protocol_is_refused(speaking_as: As) -> None:
    statistician = speaking_as(Role.STATISTICIAN)
    faults: list[dict[str, Any]] = [{"ratio": {"MSC": 1}}, {"block_sizes": [4]}, {"strata": ["weight"]}]
    for members in (*faults, {"block_sizes": []}, {"p": "4/5"}, {"method": "alternation"}):
        answer = await post(statistician, "/randomization/scheme", SCHEME | members, 422)
        assert answer["type"] == "/problems/invalid-request"


async def test_a_method_that_is_not_defined_for_its_parameters_is_refused(speaking_as: As) -> None:
    statistician = speaking_as(Role.STATISTICIAN)
    faults: list[dict[str, Any]] = [{"p": "1/3"}, {"p": 0.8}, {"weights": {"site": "1"}}, {"block_sizes": [4]}]
    for members in faults:
        answer = await post(statistician, "/randomization/scheme", MINIMIZATION | members, 422)
        assert answer["type"] == "/problems/invalid-request"
    coin = {"method": "biased-coin", "ratio": {"MSC": 2, "CSA": 1}, "strata": ["site"], "p": "2/3", "reason": "agreed"}
    answer = await post(statistician, "/randomization/scheme", coin, 422)
    assert "equal shares" in answer["detail"]
