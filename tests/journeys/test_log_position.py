"""A reader may ask for a read model as new as a `Log-Position`; who does not gets all that is recorded by then."""

from __future__ import annotations

import asyncio

from shared.identity import Role
from tests.journeys.trial import As, Trial

UNREACHED = {"Log-Position": str(2**62)}


async def test_a_position_that_is_not_reached_in_time_is_503_with_a_time_to_come_back(speaking_as: As) -> None:
    answer = await speaking_as(Role.MONITOR).get("/randomization/flow", headers=UNREACHED)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["type"].endswith("/not-yet-projected")
    assert 0 <= answer.json()["position"] < 2**62


async def test_readers_who_wait_leave_the_connections_to_others(trial: Trial, speaking_as: As) -> None:
    monitor = speaking_as(Role.MONITOR)
    # Given more waiting readers than there are connections
    waiting = [
        asyncio.create_task(monitor.get("/randomization/flow", headers=UNREACHED))
        for _ in range(2 * trial.settings.database_pool_max)
    ]
    await asyncio.sleep(trial.settings.read_wait_s / 4)

    # When somebody reads what there is
    answer = await monitor.get("/randomization/flow")

    # Then it is answered while the others still wait
    assert answer.status_code == 200
    assert not any(task.done() for task in waiting)
    assert {each.status_code for each in await asyncio.gather(*waiting)} == {503}


async def test_who_has_written_finds_it_without_asking_for_a_position(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    for _ in range(5):
        written = await staff.post("/randomization/subjects", json={"site": site, "birth_year": 1960, "sex": "F"})

        found = await staff.get(written.headers["Location"])

        assert (written.status_code, found.status_code) == (201, 200)
        assert int(found.headers["Log-Position"]) >= written.json()["position"]
