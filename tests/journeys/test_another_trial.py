"""Another trial's document over HTTP, from screening to the proof: three arms in 2:1:1, no second dose, IWG 2018."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from services.app import create_application
from services.audit import verifier
from services.randomization.verifier import verify_allocation
from shared.identity import Role
from shared.protocol import ProtocolDocumentError
from shared.settings import Settings
from tests.conftest import Server
from tests.journeys.subjects import (
    ELIGIBLE,
    NOW,
    SYMPTOMS,
    ago,
    civil,
    count,
    dated,
    enrolled,
    get,
    infusion,
    post,
    refused,
    states_of,
    trail,
)
from tests.journeys.trial import As, Trial, serving

PROTOCOL = Path(__file__).parents[1] / "shared" / "protocol" / "three-arms-2.1.toml"
SITE, ZONE = "02", "America/New_York"
ARMS = ("HIGH", "LOW", "CARE")
FRAIL = ELIGIBLE | {"ecog": 3, "ejection_fraction_pct": "40"}
"""Findings that the trial of NCT01129739 would not take, and this one does."""

BLOCK = 8
RANDOMIZED, TREATED = 64.0, 60.0
"""Days ago. Treatment begins later than the one day after randomization that this protocol allows."""

RISE = {-12: "84", -3: "88", 14: "103", 28: "104", 56: "105"}
"""Haemoglobin in g/L by day."""


@pytest.fixture(scope="module")
async def trial(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trial]:
    """The same services, which have been given another document and nothing else."""
    url = server.create_database("trial_another")
    async with serving(url, tmp_path_factory.mktemp("home"), protocol_file=PROTOCOL) as trial:
        yield trial


async def test_another_trial_runs_from_screening_to_the_proof(speaking_as: As, tmp_path: Path) -> None:
    staff = speaking_as(Role.INVESTIGATOR, SITE)
    await it_takes_whom_its_own_criteria_take(staff)
    subjects = await each_arm_comes_up_within_a_block(staff)
    at = await each_arm_has_its_own_treatment(staff, subjects)
    await each_arm_has_its_own_schedule(staff, subjects, at)
    await what_is_observed_is_asked_for_by_its_own_schedule(staff, subjects)
    await the_response_is_judged_by_its_own_rule_set(staff, subjects["HIGH"])
    await there_is_no_second_dose(staff, subjects)
    await departures_are_graded_its_own_way(staff, subjects["HIGH"])
    at = await who_leaves_has_its_own_last_visit(staff, subjects["LOW"])
    await its_flow_has_three_arms(staff, at)
    await what_was_recorded_and_drawn_can_be_proved(speaking_as, tmp_path)


async def it_takes_whom_its_own_criteria_take(staff: httpx.AsyncClient) -> None:
    for age, findings, failed in ((5, FRAIL, ["age"]), (14, FRAIL | {"diagnosis": "RARS"}, ["diagnosis"])):
        body = {"site": SITE, "birth_year": NOW.year - age, "sex": "F"}
        path = f"/randomization/subjects/{(await post(staff, '/randomization/subjects', body))['subject']}"
        await post(staff, f"{path}/consent", {"version": "1.0"})
        answer = await post(staff, f"{path}/eligibility", findings)
        assert (answer["eligible"], answer["failed_criteria"]) == (False, failed)


async def each_arm_comes_up_within_a_block(staff: httpx.AsyncClient) -> dict[str, str]:
    """The first subject of each arm, of one stratum."""
    subjects: dict[str, str] = {}
    while len(subjects) < len(ARMS):
        subject = await enrolled(staff, SITE, ago(RANDOMIZED), FRAIL)
        body = dated({}, ago(RANDOMIZED))
        answer = await post(staff, f"/randomization/subjects/{subject}/randomization", body)
        [drawn] = await trail(staff, subject, "subject-randomized")
        assert drawn["data"]["stratum"] == f"2-3|{SITE}"
        assert drawn["data"]["slot"] <= BLOCK
        subjects.setdefault(answer["arm"], subject)
    assert sorted(subjects) == sorted(ARMS)
    return subjects


async def each_arm_has_its_own_treatment(staff: httpx.AsyncClient, subjects: dict[str, str]) -> int:
    """Twice as many cells, of a lot that is asked for its viability alone; less ciclosporin; or nothing."""
    infusions, doses = (
        {arm: f"/visits/subjects/{subject}/{kind}" for arm, subject in subjects.items()}
        for kind in ("infusions", "csa-doses")
    )
    given = infusion(1, weight_kg="30", sterility="positive") | {"occurred_at": ago(TREATED)}
    dead = infusion(1, weight_kg="30", viability_pct="70")
    assert (await refused(staff, infusions["HIGH"], dead, 409, "lot-not-released"))["failed_criteria"] == ["viability"]
    assert (await post(staff, infusions["HIGH"], given))["deviation"] is False
    ordered = {"mg_per_kg_per_day": "3", "occurred_at": ago(TREATED)}
    at = (await post(staff, doses["LOW"], ordered))["position"]
    await refused(staff, infusions["LOW"], given, 409, "treatment-of-another-arm")
    await refused(staff, infusions["CARE"], given, 409, "treatment-of-another-arm")
    await refused(staff, doses["CARE"], ordered, 409, "treatment-of-another-arm")
    return int(at)


async def each_arm_has_its_own_schedule(staff: httpx.AsyncClient, subjects: dict[str, str], at: int) -> None:
    counts, observed = {"V2", "V4", "V8"}, {"Q2", "Q6", "E8"}
    planned = {
        "HIGH": (TREATED, counts | observed | {"S48H-1"}),
        "LOW": (TREATED, counts | observed | {"K1", "K2", "K3"}),
        "CARE": (RANDOMIZED, counts),
    }
    for arm, (began, codes) in planned.items():
        schedule = await get(staff, f"/visits/subjects/{subjects[arm]}/schedule", at)
        assert (schedule["arm"], schedule["day_0"]) == (arm, civil(began, ZONE))
        assert states_of(schedule).keys() == codes


async def what_is_observed_is_asked_for_by_its_own_schedule(staff: httpx.AsyncClient, subjects: dict[str, str]) -> None:
    """One score comes a week after its window; the blood counts are those that the response rests on."""
    subject = subjects["HIGH"]
    path, scores = f"/visits/subjects/{subject}", dict.fromkeys(SYMPTOMS, 1)
    await post(staff, f"{path}/infusion-safety", {"look": "S48H-1", "occurred_at": ago(TREATED - 2)})
    await refused(staff, f"{path}/infusion-safety", {"look": "S6H-1"}, 409, "look-not-planned")
    await post(staff, f"{path}/symptoms", scores | {"week": 2, "occurred_at": ago(TREATED - 25)})
    await refused(staff, f"{path}/symptoms", scores | {"week": 1}, 422, "week-not-planned")
    await refused(staff, f"/visits/subjects/{subjects['CARE']}/symptoms", scores | {"week": 2}, 422, "week-not-planned")
    at = 0
    for day, haemoglobin in RISE.items():
        report = count(subject, TREATED - day, HGB=haemoglobin, PLT="150", NEUT="1.2")
        [recorded] = (await post(staff, "/labs/results", report))["reports"]
        at = recorded["position"]
    [first, *_] = await trail(staff, subject, "lab-report-recorded")
    assert first["data"]["tables"]["ctcae"] == "6.0"
    neutrophils = [each["grade"] for each in first["data"]["results"] if each["code"] == "NEUT"]
    assert neutrophils == [1], "1.2 is grade 2 by version 5.0"
    done = states_of(await get(staff, f"{path}/schedule", at))
    assert {done[code][0] for code in ("V2", "V4", "V8", "S48H-1")} == {"done"}
    assert done["Q2"][0] == "done-out-of-window"


async def the_response_is_judged_by_its_own_rule_set(staff: httpx.AsyncClient, subject: str) -> None:
    path = f"/visits/subjects/{subject}/evaluations"
    await refused(staff, path, {"timepoint": "M3"}, 422, "timepoint-not-planned")
    made = await post(staff, path, {"timepoint": "M2", "occurred_at": ago(TREATED - 57)})
    assert (made["rule_set"], made["lineages"]["HI-E"], made["response"]) == ("IWG-2018", "confirmed", "HI")


async def there_is_no_second_dose(staff: httpx.AsyncClient, subjects: dict[str, str]) -> None:
    """Neither for who has responded nor for anybody else, and the answer says why."""
    for subject in subjects.values():
        decision = await get(staff, f"/visits/subjects/{subject}/second-dose")
        codes = [reason["code"] for reason in decision["because"]]
        assert (decision["state"], codes) == ("not-eligible", ["protocol-has-no-second-dose"])
    path = f"/visits/subjects/{subjects['HIGH']}/infusions"
    await refused(staff, path, infusion(2, weight_kg="30"), 409, "dose-not-planned")


async def departures_are_graded_its_own_way(staff: httpx.AsyncClient, subject: str) -> None:
    recorded = await trail(staff, subject, "protocol-deviation-recorded", least=2)
    assert {(each["data"]["code"], each["data"]["grade"]) for each in recorded} == {
        ("treatment-started-late", "important"),
        ("item-out-of-window", "important"),
    }


async def who_leaves_has_its_own_last_visit(staff: httpx.AsyncClient, subject: str) -> int:
    body = {"scope": "study", "reason": "moved away"}
    at = int((await post(staff, f"/randomization/subjects/{subject}/withdrawal", body))["position"])
    states = states_of(await get(staff, f"/visits/subjects/{subject}/schedule", at))
    assert states["X"] == ("due", None)
    [recorded] = (await post(staff, "/labs/results", count(subject, 0, HGB="90")))["reports"]
    after = await get(staff, f"/visits/subjects/{subject}/schedule", recorded["position"])
    assert states_of(after)["X"] == ("done", civil(0, ZONE))
    return at


async def its_flow_has_three_arms(staff: httpx.AsyncClient, at: int) -> None:
    flow = await get(staff, "/randomization/flow", at)
    arms: dict[str, Any] = flow["arms"]
    assert flow["excluded"] == {"age": 1, "diagnosis": 1}
    assert tuple(arms) == ARMS
    assert flow["randomized"] == sum(arm["allocated"] for arm in arms.values()) == flow["assessed"] - 2
    assert [arms[arm]["received"] for arm in ARMS] == [1, 1, arms["CARE"]["allocated"]]
    assert (arms["LOW"]["discontinued"], arms["HIGH"]["analysed"]) == (1, 1)
    chart = await staff.get("/randomization/flow", headers={"Accept": "image/svg+xml"})
    lines = [line.text for line in ET.fromstring(chart.text).iter("{http://www.w3.org/2000/svg}tspan")]
    for arm in ARMS:
        assert f"Allocated to {arm} (n = {arms[arm]['allocated']})" in lines


async def what_was_recorded_and_drawn_can_be_proved(speaking_as: As, tmp_path: Path) -> None:
    """The export is verified offline; and once the seed is revealed, every allocation is drawn again."""
    regulator = speaking_as(Role.REGULATOR)
    path, why = "/randomization/scheme/1/reveal", {"reason": "the database is locked"}
    revealed = await post(speaking_as(Role.STATISTICIAN), path, why)
    export = await regulator.get("/audit/export", headers={"Log-Position": str(revealed["position"])})
    assert export.status_code == 200
    file = tmp_path / "export.ndjson"
    file.write_bytes(export.content)
    key = (await regulator.get("/audit/key")).text.strip()
    assert verifier.main([str(file), "--key", key]) == 0
    flow = await get(regulator, "/randomization/flow")
    assert verify_allocation(export.content.splitlines()).matching == flow["randomized"]


async def test_services_do_not_start_under_a_protocol_whose_results_they_could_not_grade(
    server: Server, tmp_path: Path
) -> None:
    document = tmp_path / "protocol.toml"
    text = PROTOCOL.read_text(encoding="utf-8")
    document.write_text(text.replace('ctcae_version = "6.0"', 'ctcae_version = "4.03"'), encoding="utf-8")
    url = server.create_database("trial_ungraded")
    application = create_application(Settings(home=tmp_path, database_url=url, protocol_file=document))
    with pytest.raises(ProtocolDocumentError, match=r"there is no table of CTCAE 4\.03"):
        async with application.router.lifespan_context(application):
            pass
