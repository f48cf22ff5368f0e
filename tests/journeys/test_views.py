"""The views over HTTP: a subject's timeline, a site's work list, the table of responses, and the swimmer plot."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import httpx

from shared.identity import Role
from tests.journeys.subjects import (
    SYMPTOMS,
    ago,
    count,
    infusion,
    pages_of,
    post,
    randomized,
    responder,
    trail,
)
from tests.journeys.trial import As

SCORES = dict.fromkeys(SYMPTOMS, 1)
SVG = "{http://www.w3.org/2000/svg}"


async def get(client: httpx.AsyncClient, path: str, at: int = 0, **parameters: str) -> dict[str, Any]:
    """GET from something that reflects at least a position, and expect 200; the JSON answer."""
    response = await client.get(path, params=parameters, headers={"Log-Position": str(at)})
    assert response.status_code == 200, response.text
    assert int(response.headers["Log-Position"]) >= at
    answer: dict[str, Any] = response.json()
    return answer


async def reflected(client: httpx.AsyncClient, subject: str, event_type: str, least: int = 1) -> int:
    """The position of the last event of a type, once there are so many."""
    return int((await trail(client, subject, event_type, least))[-1]["position"])


async def test_a_timeline_tells_a_responders_course_in_the_order_of_occurrence(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(staff, site)
    await post(staff, f"{path}/symptoms", {"week": 1, "occurred_at": ago(93)} | SCORES)
    await post(staff, f"{path}/transfusions", {"component": "RBC", "units": 2, "occurred_at": ago(96)})
    await post(
        staff,
        f"{path}/adverse-events",
        {
            "term": "Fever",
            "grade": 3,
            "serious": False,
            "related": False,
            "seriousness_criteria": [],
            "aware_at": ago(1),
            "occurred_at": ago(95),
        },
    )
    await post(staff, f"{path}/evaluations", {"timepoint": "M3"})
    position = await reflected(staff, subject, "second-dose-eligible")

    timeline = await get(staff, f"{path}/timeline", position)
    told = [(item["day"], item["kind"], item["label"]) for item in timeline["items"]]
    assert (timeline["arm"], timeline["next"]) == ("MSC", None)
    assert told == [
        (-14, "laboratory", "5 analytes"),
        (-3, "laboratory", "5 analytes"),
        (0, "randomization", "MSC"),
        (0, "infusion", "MSC-1"),
        (4, "transfusion", "RBC ×2"),
        (5, "adverse-event", "G3"),
        (7, "symptoms", "W1"),
        (30, "laboratory", "5 analytes"),
        (61, "laboratory", "5 analytes"),
        (91, "laboratory", "5 analytes"),
        (100, "evaluation", "M3 HI"),
        (100, "second-dose", "eligible"),
    ]
    assert timeline["items"][-1]["position"] == position
    pages = await pages_of(staff, f"{path}/timeline", position, limit=5)
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [item for page in pages for item in page] == timeline["items"]


async def test_a_work_list_names_what_is_due_and_what_waits_for_a_judgement(speaking_as: As, site: str) -> None:
    admin, investigator = speaking_as(Role.ADMIN), speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(admin, site)
    worklist = f"/visits/sites/{site}/worklist"

    def of(tasks: dict[str, Any], *kinds: str) -> list[tuple[str, list[str], bool]]:
        found = [task for task in tasks["items"] if task["kind"] in kinds and task["subject"] == subject]
        return [(task["kind"], task["items"], task["overdue"]) for task in found]

    # Given a responder on day 100, unseen since its third count
    position = await reflected(admin, subject, "product-infused")
    tasks = await get(investigator, worklist, position)
    assert of(tasks, "second-dose-pending") == [("second-dose-pending", ["INF2"], False)]
    visits = of(tasks, "visit", "visit-missed")
    assert ("visit-missed", ["W1", "D7-1"], True) in visits
    assert ("visit", ["B3", "E3"], False) in visits  # its blood count is done, its Treg overdue
    assert ("visit-missed", ["W13", "T3"], True) in visits
    due = [(task["kind"] == "visit-missed", task["due_by"]) for task in tasks["items"]]
    assert due == sorted(due)

    # When an administrator evaluates, the investigator has to
    position = (await post(admin, f"{path}/evaluations", {"timepoint": "M3"}))["position"]
    tasks = await get(investigator, worklist, position)
    assert of(tasks, "evaluation-unsigned", "second-dose-pending") == [
        ("evaluation-unsigned", ["E3"], False),
        ("second-dose-pending", ["INF2"], False),
    ]

    # When the investigator has, the second dose is what is due
    again = {"timepoint": "M3", "reason": "signed by the investigator"}
    await post(investigator, f"{path}/evaluations", again)
    position = await reflected(admin, subject, "second-dose-eligible")
    tasks = await get(investigator, worklist, position)
    assert of(tasks, "evaluation-unsigned", "second-dose-pending") == []
    assert ("visit", ["W14", "INF2"], False) in of(tasks, "visit")

    # When a result is corrected, the evaluation has to be made again
    await post(admin, "/labs/results", count(subject, 100 - 91, "C", HGB="85"))
    position = await reflected(admin, subject, "second-dose-ineligible")
    tasks = await get(investigator, worklist, position)
    assert of(tasks, "evaluation-outdated", "second-dose-pending") == [
        ("evaluation-outdated", ["E3"], False),
        ("second-dose-pending", ["INF2"], False),
    ]
    only = await get(investigator, worklist, position, kind="visit-missed")
    assert only["items"] == [task for task in tasks["items"] if task["kind"] == "visit-missed"]
    pages = await pages_of(investigator, worklist, position, limit=4)
    assert [task for page in pages for task in page] == tasks["items"]


async def test_a_site_sees_the_work_and_the_responses_of_no_other(speaking_as: As, site: str) -> None:
    stranger = speaking_as(Role.INVESTIGATOR, "99")
    for path in (
        f"/visits/sites/{site}/worklist",
        f"/visits/response-table?site={site}",
        f"/visits/swimmer-plot?site={site}",
    ):
        response = await stranger.get(path)
        assert (response.status_code, response.json()["type"]) == (403, "/problems/forbidden")
    table = await get(stranger, "/visits/response-table")
    assert table["sites"] == ["99"]
    assert {row["randomized"] for row in table["items"]} == {0}
    assert (await get(stranger, "/visits/swimmer-plot"))["lanes"] == []


async def test_the_table_of_responses_counts_whom_an_arm_was_allocated_to(speaking_as: As, site: str) -> None:
    admin, investigator = speaking_as(Role.ADMIN), speaking_as(Role.INVESTIGATOR, site)
    first, path = await responder(admin, site)
    await post(investigator, f"{path}/evaluations", {"timepoint": "M3"})
    second, path = await responder(admin, site)
    position = (await post(admin, f"{path}/evaluations", {"timepoint": "M3"}))["position"]
    table = await get(investigator, "/visits/response-table", position)
    rows = {(row["timepoint"], row["arm"]): row for row in table["items"]}
    assert list(rows) == [(timepoint, arm) for timepoint in ("M3", "M6", "M12") for arm in ("MSC", "CSA")]
    row = rows["M3", "MSC"]
    randomized_to_msc = row["randomized"]
    assert (row["evaluated"], row["outdated"], row["unsigned"]) == (2, 0, 1)
    assert row["responses"]["HI"]["n"] == 2
    assert row["responses"]["HI"]["pct_of_evaluated"] == "100.0"
    assert row["lineages"]["HI-E"]["confirmed"]["n"] == 2
    assert row["lineages"]["HI-P"]["not-evaluable"]["n"] == 2

    # When results of the first change its answer, it counts no longer
    await post(admin, "/labs/results", count(first, 100 - 91, "C", HGB="85"))
    position = await reflected(admin, first, "evaluation-inputs-changed")
    # And the second is the first one again
    reason = {"duplicate_of": first, "counted_in_balance": False, "reason": "the same person"}
    position = (await post(admin, f"/randomization/subjects/{second}/duplicate-randomization", reason))["position"]
    table = await get(investigator, "/visits/response-table", position)
    (row,) = (each for each in table["items"] if (each["timepoint"], each["arm"]) == ("M3", "MSC"))
    assert (row["randomized"], row["evaluated"], row["outdated"]) == (randomized_to_msc - 1, 0, 1)
    assert row["responses"]["HI"] == {"n": 0, "pct_of_evaluated": None, "pct_of_randomized": "0.0"}


async def test_a_swimmer_plot_has_a_lane_a_subject_the_longest_on_study_first(speaking_as: As, site: str) -> None:
    admin, investigator = speaking_as(Role.ADMIN), speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(admin, site)
    await post(investigator, f"{path}/evaluations", {"timepoint": "M3"})
    await post(investigator, f"{path}/infusions", infusion(2))
    await post(investigator, f"{path}/transfusions", {"component": "PLT", "units": 1, "occurred_at": ago(80)})
    shorter = await randomized(admin, site, "CSA", ago(50))
    await post(
        investigator, f"/visits/subjects/{shorter}/csa-doses", {"mg_per_kg_per_day": "5", "occurred_at": ago(48)}
    )
    death = {"term": "Sepsis", "grade": 5, "serious": True, "seriousness_criteria": ["death"], "related": False}
    died = await post(
        investigator, f"/visits/subjects/{shorter}/adverse-events", death | {"aware_at": ago(1), "occurred_at": ago(8)}
    )
    plot = await get(investigator, "/visits/swimmer-plot", died["position"])
    lanes = {lane["subject"]: lane for lane in plot["lanes"]}
    days = [lane["days_on_study"] for lane in plot["lanes"]]
    assert days == sorted(days, reverse=True)

    lane = lanes[subject]
    assert (lane["arm"], lane["days_on_study"], lane["end"]) == ("MSC", 100, None)
    assert [(dose["day"], dose["kind"], dose["amount"]) for dose in lane["doses"]] == [
        (0, "infusion", "1"),
        (100, "infusion", "2"),
    ]
    assert lane["on_treatment"] == [{"from_day": 0, "to_day": None}]
    assert [(made["timepoint"], made["response"]) for made in lane["evaluations"]] == [("M3", "HI")]
    assert lane["improvements"] == [{"from_day": 100, "to_day": None, "lineage": "HI-E"}]
    assert [(each["day"], each["component"]) for each in lane["transfusions"]] == [(20, "PLT")]
    lane = lanes[shorter]
    assert (lane["days_on_study"], lane["end"]) == (40, {"day": 40, "kind": "died"})
    assert lane["on_treatment"] == [{"from_day": 0, "to_day": 40}]
    assert [(event["day"], event["grade"], event["serious"]) for event in lane["adverse_events"]] == [(40, 5, True)]

    paged: list[dict[str, Any]] = []
    after: dict[str, str] = {"as_of": plot["as_of"], "limit": "1"}
    while True:
        page = await get(investigator, "/visits/swimmer-plot", died["position"], **after)
        paged += page["lanes"]
        if page["next"] is None:
            break
        after["after"] = page["next"]
    assert paged == plot["lanes"]

    picture = await investigator.get("/visits/swimmer-plot", headers={"Accept": "image/svg+xml"})
    assert (picture.headers["Content-Type"], picture.headers["Vary"]) == ("image/svg+xml", "Accept")
    texts = {text.text for text in ET.fromstring(picture.text).iter(f"{SVG}text")}
    assert {subject, shorter, "40 d · died", "100 d · ongoing"} <= texts
    none = await investigator.get("/visits/swimmer-plot", headers={"Accept": "image/png"})
    assert (none.status_code, none.json()["type"]) == (406, "/problems/not-acceptable")
