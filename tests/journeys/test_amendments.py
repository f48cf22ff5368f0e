"""An amendment while the trial runs: one subject signs and moves, others stay, and a dry run has said it before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
import vobject

from shared.identity import Role
from shared.protocol import protocol_text
from tests.conftest import Server
from tests.journeys.subjects import SYMPTOMS, ago, civil, count, get, infusion, post, randomized, trail
from tests.journeys.trial import As, Trial, serving
from tests.protocols import HALF_A_YEAR_OF_SYMPTOMS, amended_text

SCORES = dict.fromkeys(SYMPTOMS, 1)
NARROWER = amended_text("1.1", HALF_A_YEAR_OF_SYMPTOMS, months_before=3)


@pytest.fixture
async def trial(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trial]:
    """A trial of its own for each journey: an amendment is of the whole trial."""
    home = tmp_path_factory.mktemp("home")
    async with serving(server.create_database(f"amended_{home.name}"), home) as trial:
        yield trial


def amendment(document: str = NARROWER, **members: Any) -> dict[str, Any]:
    body = {
        "document": document,
        "effective_on": civil(10),
        "consent_version": "2.0",
        "summary": "symptoms for half a year, narrower windows of the counts",
        "reason": "approved by the ethics committee",
    }
    return body | members


async def treated(staff: httpx.AsyncClient, site: str, days: float = 33) -> str:
    """A subject that was infused so many days ago, and scored in the first week."""
    subject = await randomized(staff, site, "MSC", ago(days))
    path = f"/visits/subjects/{subject}"
    await post(staff, f"{path}/infusions", infusion(1) | {"occurred_at": ago(days)})
    await post(staff, f"{path}/symptoms", SCORES | {"week": 1, "occurred_at": ago(days - 7)})
    await post(staff, "/labs/results", count(subject, days - 30))
    return subject


async def items_of(staff: httpx.AsyncClient, subject: str, at: int = 0, **asked: str) -> dict[str, dict[str, Any]]:
    schedule = await get(staff, f"/visits/subjects/{subject}/schedule", at, **asked)
    return {item["code"]: item for item in schedule["items"]}


async def feed_of(staff: httpx.AsyncClient, subject: str, at: int) -> dict[str, Any]:
    response = await staff.get(f"/visits/subjects/{subject}/schedule.ics", headers={"Log-Position": str(at)})
    assert response.status_code == 200, response.text
    return {event.summary.value.split()[1]: event for event in vobject.readOne(response.text).vevent_list}


async def head_of(admin: httpx.AsyncClient) -> int:
    """The head of the log, once the policies have come to rest."""
    before = -1
    while (head := int((await admin.get("/audit/checkpoint")).headers["Log-Position"])) != before:
        before = head
        await asyncio.sleep(0.3)
    return head


async def test_one_subject_moves_and_others_stay_and_a_dry_run_has_said_it(speaking_as: As) -> None:
    staff, elsewhere, admin = (
        speaking_as(Role.INVESTIGATOR, "01"),
        speaking_as(Role.INVESTIGATOR, "02"),
        speaking_as(Role.ADMIN),
    )
    # Given two subjects at a site, and one at a site where the version comes later
    moving, staying, early = await treated(staff, "01"), await treated(staff, "01"), await treated(elsewhere, "02")
    body = amendment(sites={"02": civil(-30)})
    head = await head_of(admin)
    before, events_before = await items_of(staff, moving, head), await feed_of(staff, moving, head)

    # When it is tried
    tried = await post(admin, "/visits/protocol/amendments/dry-run?limit=100", body, status=200)
    assert await head_of(admin) == head, "a dry run writes nothing"
    [said] = [each for each in tried["items"] if each["subject"] == moving]
    assert {each["subject"]: each["moved_on"] for each in tried["items"]}[early] == civil(-30)
    assert (said["moved_on"], said["protocol_version"]) == (civil(0), "1.0")

    # And published, and signed by one, and by another too early for the site
    published = await post(admin, "/visits/protocol/amendments", body)
    unmoved = await items_of(staff, moving, published["position"])
    assert unmoved == before
    await post(elsewhere, f"/randomization/subjects/{early}/consent", {"version": "2.0"})
    signed = await post(staff, f"/randomization/subjects/{moving}/consent", {"version": "2.0"})

    # Then what was done or is over keeps its version, and what is to come is planned anew
    after = await items_of(staff, moving, signed["position"])
    assert [after[code]["protocol_version"] for code in ("W1", "W2", "C1", "C2", "W20")] == ["1.0"] * 3 + ["1.1"] * 2
    assert after["C1"] == before["C1"]
    assert after["C2"]["window"]["from"] == day(before["C2"]["window"]["from"], 4)
    assert (after["W40"]["state"], after["W40"]["cancelled_because"]) == ("cancelled", "amended")

    # As the dry run has said, item by item
    changed = {code for code, item in after.items() if told(item) != told(before[code])}
    assert {each["code"] for each in said["items"]} == changed
    for each in said["items"]:
        code = each["code"]
        assert (each["before"], each["after"]) == (planned_as(before[code]), planned_as(after[code]))

    # And in calendars the events are the same ones, of a later sequence
    events = await feed_of(staff, moving, signed["position"])
    assert {code: event.uid.value for code, event in events.items()} == {
        code: event.uid.value for code, event in events_before.items()
    }
    assert all(int(events[code].sequence.value) == signed["position"] for code in ("C2", "W40"))
    assert events["W40"].status.value == "CANCELLED"

    # And whoever has not signed, or not validly, goes on as before
    for client, subject in ((staff, staying), (elsewhere, early)):
        assert {
            item["protocol_version"] for item in (await items_of(client, subject, signed["position"])).values()
        } == {"1.0"}
    await the_record_names_the_version(staff, admin, moving, staying)


async def the_record_names_the_version(
    staff: httpx.AsyncClient, admin: httpx.AsyncClient, moving: str, staying: str
) -> None:
    """Each record says which version it was decided under, and the moved subject is not asked for what was dropped."""
    for subject, expected in ((moving, "1.1"), (staying, "1.0")):
        path = f"/visits/subjects/{subject}/symptoms"
        answer = await post(staff, path, SCORES | {"week": 5})
        exported = await admin.get("/audit/export", params={"from": answer["position"], "to": answer["position"]})
        assert f'"protocol":"{expected}"' in exported.text.replace('\\"', '"')
    refused = await post(staff, f"/visits/subjects/{moving}/symptoms", SCORES | {"week": 40}, status=422)
    assert refused["type"] == "/problems/week-not-planned"
    await post(staff, f"/visits/subjects/{staying}/symptoms", SCORES | {"week": 40})


def day(written: str, later: int) -> str:
    return (date.fromisoformat(written) + timedelta(days=later)).isoformat()


def told(item: dict[str, Any]) -> tuple[Any, ...]:
    return item["nominal_on"], item["window"], item["state"], item["done_on"], item["cancelled_because"]


def planned_as(item: dict[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in ("nominal_on", "window", "state", "done_on", "protocol_version")}


async def test_who_comes_after_the_amendment_follows_it_from_the_start(speaking_as: As) -> None:
    staff, admin = speaking_as(Role.COORDINATOR, "01"), speaking_as(Role.ADMIN)
    await post(admin, "/visits/protocol/amendments", amendment())
    subject = await randomized(staff, "01")
    position = (await post(staff, f"/visits/subjects/{subject}/transfusions", {"component": "PLT", "units": 1}))[
        "position"
    ]
    items = await items_of(staff, subject, position)
    assert {item["protocol_version"] for item in items.values()} == {"1.1"}
    assert "W26" in items
    assert "W27" not in items
    [allocated] = await trail(admin, subject, "subject-randomized")
    assert allocated["data"]["scheme"] == 1


async def test_the_versions_are_told_and_sizes_of_blocks_are_not(speaking_as: As) -> None:
    admin, staff = speaking_as(Role.ADMIN), speaking_as(Role.INVESTIGATOR, "01")
    published = await post(admin, "/visits/protocol/amendments", amendment(sites={"02": civil(-30)}))
    versions = (await get(staff, "/visits/protocol"))["items"]
    assert [each["version"] for each in versions] == ["1.0", "1.1"]
    assert (versions[0]["effective_on"], versions[1]["sites"]) == ("2010-05-01", {"02": civil(-30)})
    assert versions[1]["sha256"] == published["sha256"]

    text = {"Accept": "text/plain"}
    assert (await admin.get("/visits/protocol/1.1", headers=text)).text == NARROWER
    assert (await admin.get("/visits/protocol/1.0", headers=text)).text == protocol_text()
    assert (await staff.get("/visits/protocol/1.1", headers=text)).status_code == 403
    parsed = (await staff.get("/visits/protocol/1.1")).json()
    assert parsed["schedule"]["activities"][0]["last"] == 26
    assert "block_sizes" not in parsed["allocation"]
    assert (await admin.get("/visits/protocol/1.1")).json()["allocation"]["block_sizes"] == [4, 6]
    assert (await staff.get("/visits/protocol/9.9")).json()["type"] == "/problems/unknown-protocol-version"


async def test_a_bad_amendment_is_refused_by_name_and_with_every_fault(speaking_as: As) -> None:
    admin = speaking_as(Role.ADMIN)
    head = await head_of(admin)
    bad = amended_text("1.1", ("planned_subjects = 30", "planned_subjects = 0"), ("last = 52", "last = 0"))
    for path in ("/visits/protocol/amendments", "/visits/protocol/amendments/dry-run"):
        refused = await post(admin, path, amendment(bad), status=422)
        assert refused["type"] == "/problems/protocol-document-invalid"
        assert [fault["key"] for fault in refused["faults"]] == ["planned_subjects", "schedule.activities.0.first"]
        assert all(fault["line"] > 1 and fault["rule"] for fault in refused["faults"])
        refused = await post(admin, path, amendment(protocol_text()), status=409)
        assert (refused["type"], refused["last"]) == ("/problems/protocol-version-not-later", "1.0")
    assert await head_of(admin) == head


async def test_an_amendment_is_published_once_under_its_key(speaking_as: As) -> None:
    admin = speaking_as(Role.ADMIN)
    key = {"Idempotency-Key": "amendment-1"}
    answers = [await admin.post("/visits/protocol/amendments", json=amendment(), headers=key) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert len((await get(admin, "/visits/protocol"))["items"]) == 2
