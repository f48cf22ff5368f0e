"""Quarantined messages are released together once it is known what their codes mean."""

from __future__ import annotations

from datetime import datetime

import pytest

from services.labs.metrics import QUARANTINE_AGE
from shared.identity import Role
from shared.runtime import open_runtime
from tests.journeys.laboratory import position_of, quarantined_at, results_of, send
from tests.journeys.subjects import screened
from tests.journeys.trial import As, Trial
from tests.labs.examples import OBX_LOCAL, OBX_NO_UNIT, oru


async def test_a_mapping_releases_all_that_it_settles_and_tells_of_the_rest(speaking_as: As, site: str) -> None:
    # Given two messages with a code of the laboratory's own, and one without a unit
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    for number, observation in enumerate((OBX_LOCAL, OBX_LOCAL, OBX_NO_UNIT)):
        answer = await send(lis, oru(observation, subject=subject, control_id=str(number), filler=f"F{number}"))
    ids = [each["id"] for each in await quarantined_at(staff, site, position_of(answer))]

    # When the code is mapped for all, and the request is sent again under its key
    body = {"reason": "HB1 is haemoglobin", "mapping": {"codes": {"HB1": "HGB"}}, "site": site}
    key = {"Idempotency-Key": f"mapped-{site}"}
    released = await staff.post("/labs/quarantine/release", json=body, headers=key)
    again = await staff.post("/labs/quarantine/release", json=body, headers=key)

    # Then the two are recorded, the third stays, and the answer is the same
    assert released.status_code == 200, released.text
    messages = released.json()["messages"]
    assert [each["id"] for each in messages] == ids
    assert [len(each.get("reports", ())) for each in messages] == [1, 1, 0]
    assert messages[2]["problem"]["type"] == "/problems/message-still-unreadable"
    assert again.json() == released.json()
    at = position_of(released)
    assert [each["value"] for each in await results_of(staff, subject, at)] == ["86", "86"]
    assert [each["id"] for each in await quarantined_at(staff, site, at)] == ids[2:]


async def test_nobody_releases_for_another_site(speaking_as: As, site: str) -> None:
    body = {"reason": "mapped", "mapping": {}, "site": site}
    response = await speaking_as(Role.COORDINATOR, "99").post("/labs/quarantine/release", json=body)
    assert response.status_code == 403


async def test_the_oldest_quarantined_message_of_each_site_is_a_metric(
    trial: Trial, speaking_as: As, site: str
) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    name = f'marrow_labs_quarantine_oldest_timestamp_seconds{{site="{site}"}}'
    subject = await screened(staff, site)
    first, second = (oru(OBX_LOCAL, subject=subject, control_id=each, filler=each) for each in ("1", "2"))
    at = position_of(await send(lis, first))
    at = max(at, position_of(await send(lis, second)))
    messages = await quarantined_at(staff, site, at)

    async with open_runtime(trial.settings) as runtime:
        await QUARANTINE_AGE.run(runtime, None)
        told = (await staff.get("/labs/metrics")).text
        since = next(line for line in told.splitlines() if line.startswith(name))
        quarantined_at_first = datetime.fromisoformat(messages[0]["quarantined_at"])
        assert float(since.rpartition(" ")[2]) == pytest.approx(quarantined_at_first.timestamp())

        body = {"reason": "mapped", "mapping": {"codes": {"HB1": "HGB"}}, "site": site}
        released = await staff.post("/labs/quarantine/release", json=body)
        await quarantined_at(staff, site, position_of(released))
        await QUARANTINE_AGE.run(runtime, None)
        assert name not in (await staff.get("/labs/metrics")).text
