"""The calendar over HTTP: what is planned, due, missed and done late, for a subject and over all sites."""

from __future__ import annotations

import asyncio
from itertools import chain
from pathlib import Path

import vobject

from services.visits.clock_jobs import record_missed_items
from shared.identity import Role
from shared.runtime import open_runtime
from tests.journeys.subjects import (
    SYMPTOMS,
    ago,
    civil,
    count,
    get,
    infusion,
    pages_of,
    post,
    randomized,
    states_of,
    trail,
)
from tests.journeys.trial import As, Trial, serving

SCORES = dict.fromkeys(SYMPTOMS, 1)


async def test_the_schedule_says_what_was_done_and_what_is_due(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site, "MSC", ago(33))
    path = f"/visits/subjects/{subject}"
    await post(staff, f"{path}/infusions", infusion(1) | {"occurred_at": ago(31)})
    await post(staff, f"{path}/infusion-safety", {"look": "D7-1", "occurred_at": ago(24)})
    await post(staff, f"{path}/symptoms", SCORES | {"week": 1, "occurred_at": ago(24)})
    await post(staff, f"{path}/symptoms", SCORES | {"week": 2, "occurred_at": ago(5)})
    report = await post(speaking_as(Role.LAB, site), "/labs/results", count(subject, 1))
    schedule = await get(staff, f"{path}/schedule", report["reports"][0]["position"])
    planned = {"symptoms", "blood-count", "marrow", "treg", "evaluation"}
    assert sum(item["activity"] in planned for item in schedule["items"]) == 75
    assert [item["nominal_on"] for item in schedule["items"]] == sorted(i["nominal_on"] for i in schedule["items"])
    found = states_of(schedule)
    assert found["D7-1"] == ("done", civil(24))
    assert found["W1"] == ("done", civil(24))
    assert found["W2"] == ("done-out-of-window", civil(5))
    assert found["W3"] == ("missed", None)
    assert found["W4"] == ("due", None)
    assert found["C1"] == ("done", civil(1))
    assert found["INF2"] == ("planned", None)

    past = states_of(await get(staff, f"{path}/schedule", as_of=civil(25)))
    assert (past["W1"], past["W2"], past["C1"]) == (("due", None), ("planned", None), ("planned", None))
    future = states_of(await get(staff, f"{path}/schedule", as_of=civil(-300)))
    assert (future["W1"], future["E3"]) == (("done", civil(24)), ("missed", None))


async def test_a_site_sees_what_is_due_page_by_page(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subjects = [await randomized(staff, site) for _ in range(3)]
    body = SCORES | {"week": 1}
    position = (await post(staff, f"/visits/subjects/{subjects[1]}/symptoms", body))["position"]
    everything = await get(staff, "/visits/due", position, site=site, on=civil(-12))
    expected = [(subject, "W1", "missed") for subject in subjects if subject != subjects[1]]
    expected += [(subject, "W2", "due") for subject in subjects]
    assert everything["next"] is None
    symptoms = [item for item in everything["items"] if item["activity"] == "symptoms"]
    assert [(item["subject"], item["code"], item["state"]) for item in symptoms] == sorted(expected)

    pages = await pages_of(staff, "/visits/due", site=site, on=civil(-12), limit=3)
    assert {len(page) for page in pages[:-1]} == {3}
    assert list(chain(*pages)) == everything["items"]


async def test_the_clock_records_what_was_missed_once_and_a_late_entry_leaves_the_miss_visible(
    trial: Trial, speaking_as: As, site: str
) -> None:
    staff, admin = speaking_as(Role.COORDINATOR, site), speaking_as(Role.ADMIN)
    subject = await randomized(staff, site, "MSC", ago(33))
    path = f"/visits/subjects/{subject}"
    await post(staff, f"{path}/infusions", infusion(1) | {"occurred_at": ago(31)})
    await post(staff, f"{path}/symptoms", SCORES | {"week": 1, "occurred_at": ago(24)})
    position = (await post(staff, f"{path}/transfusions", {"component": "PLT", "units": 1}))["position"]
    await get(staff, f"{path}/schedule", position)

    async with open_runtime(trial.settings) as one, open_runtime(trial.settings) as other:
        assert sum(await asyncio.gather(record_missed_items(one), record_missed_items(other))) > 0
        assert await record_missed_items(one) == 0
    missed = await trail(admin, subject, "item-missed", 5)
    assert {each["data"]["code"] for each in missed} == {"S6H-1", "S24H-1", "D7-1", "W2", "W3"}
    week_2 = next(each for each in missed if each["data"]["code"] == "W2")
    assert (week_2["by"]["id"], week_2["data"]["protocol_version"]) == ("policy:missed-items", "1.0")
    assert (week_2["data"]["nominal_on"], week_2["data"]["closes_on"]) == (civil(17), civil(14))

    late = await post(staff, f"{path}/symptoms", SCORES | {"week": 2, "occurred_at": ago(16)})
    schedule = await get(staff, f"{path}/schedule", late["position"])
    item = next(item for item in schedule["items"] if item["code"] == "W2")
    assert (item["state"], item["done_on"], item["position"]) == ("done-late", civil(16), late["position"])
    assert (item["missed_position"], item["missed_at"][:10]) == (week_2["position"], week_2["recorded_at"][:10])

    why = {"scope": "study", "reason": "the subject's wish", "occurred_at": ago(12)}
    position = (await post(staff, f"/randomization/subjects/{subject}/withdrawal", why))["position"]
    schedule = await get(staff, f"{path}/schedule", position)
    found = states_of(schedule)
    assert (found["W2"][0], found["W3"][0], found["W4"][0]) == ("done-late", "cancelled", "cancelled")
    assert next(item for item in schedule["items"] if item["code"] == "W3")["missed_position"] is not None


async def test_what_is_due_is_told_over_all_sites_that_the_caller_may_see(speaking_as: As, trial: Trial) -> None:
    one, other, third = (f"{next(trial.sites):02d}" for _ in range(3))
    for site in (one, other, third):
        await randomized(speaking_as(Role.COORDINATOR, site), site)
    of_two = speaking_as(Role.MONITOR, one, other)
    pages = await pages_of(of_two, "/visits/due", on=civil(-12), limit=2)
    assert {item["subject"][:2] for item in chain(*pages)} == {one, other}
    alone = [
        item for site in (one, other) for item in (await get(of_two, "/visits/due", site=site, on=civil(-12)))["items"]
    ]
    assert list(chain(*pages)) == alone
    everywhere = await get(speaking_as(Role.REGULATOR), "/visits/due", on=civil(-12), limit="500")
    assert {one, other, third} <= {item["subject"][:2] for item in everywhere["items"]}
    assert (await of_two.get("/visits/due", params={"site": third})).status_code == 403
    beyond = await get(of_two, "/visits/due", on=civil(-12), after=f"{third}-001")
    assert {item["subject"][:2] for item in beyond["items"]} <= {other}


async def test_a_schedule_is_fed_to_calendar_applications(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subjects = [await randomized(staff, site) for _ in range(2)]
    path = f"/visits/subjects/{subjects[0]}"
    feed = await staff.get(f"{path}/schedule.ics", headers={"Accept": "text/calendar"})
    assert feed.headers["Content-Type"] == "text/calendar; charset=utf-8"
    events = vobject.readOne(feed.text).vevent_list
    planned = (await get(staff, f"{path}/schedule"))["items"]
    assert {event.summary.value for event in events} == {
        f"{subjects[0]} {item['code']}" for item in planned if item["code"] != "INF2"
    }

    held = {"If-None-Match": feed.headers["ETag"]}
    unchanged = await staff.get(f"{path}/schedule.ics", headers=held)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    why = {"scope": "study", "reason": "moved away"}
    position = (await post(staff, f"/randomization/subjects/{subjects[0]}/withdrawal", why))["position"]
    changed = await staff.get(f"{path}/schedule.ics", headers=held | {"Log-Position": str(position)})
    assert changed.status_code == 200
    cancelled = [event for event in vobject.readOne(changed.text).vevent_list if event.status.value == "CANCELLED"]
    assert len(cancelled) >= 70
    assert {int(event.sequence.value) for event in cancelled} == {position}

    whole = await staff.get(f"/visits/sites/{site}/schedule.ics")
    assert {event.summary.value.split()[0] for event in vobject.readOne(whole.text).vevent_list} == set(subjects)
    assert (await staff.get(f"{path}/schedule.ics", headers={"Accept": "text/html"})).status_code == 406
    assert (await speaking_as(Role.MONITOR, "98").get(f"/visits/sites/{site}/schedule.ics")).status_code == 403


async def test_a_service_that_starts_records_what_was_missed_meanwhile(
    trial: Trial, speaking_as: As, site: str, tmp_path: Path
) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site, "CSA", ago(12))
    dose = {"mg_per_kg_per_day": "5", "occurred_at": ago(12)}
    position = (await post(staff, f"/visits/subjects/{subject}/csa-doses", dose))["position"]
    await get(staff, f"/visits/subjects/{subject}/schedule", position)
    assert trial.settings.database_url is not None
    async with serving(trial.settings.database_url, tmp_path):
        [missed] = await trail(speaking_as(Role.ADMIN), subject, "item-missed")
    assert missed["data"]["code"] == "W1"


async def test_a_day_of_the_past_is_answered_as_it_is_known_today(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await randomized(staff, site, "MSC", ago(60))
    path = f"/visits/subjects/{subject}"
    position = (await post(staff, f"{path}/infusions", infusion(1) | {"occurred_at": ago(60)}))["position"]
    before = states_of(await get(staff, f"{path}/schedule", position, as_of=civil(25)))
    assert before["C1"] == ("due", None)
    report = await post(lis, "/labs/results", count(subject, 28))
    schedule = await get(staff, f"{path}/schedule", report["reports"][0]["position"], as_of=civil(25))
    assert states_of(schedule)["C1"] == ("done", civil(28))
    assert states_of(await get(staff, f"{path}/schedule", as_of=civil(29)))["C1"] == ("due", None)
    assert schedule["unscheduled"] == []
    extra = await post(lis, "/labs/results", count(subject, 14))
    schedule = await get(staff, f"{path}/schedule", extra["reports"][0]["position"])
    assert [each["done_on"] for each in schedule["unscheduled"]] == [civil(14)]
