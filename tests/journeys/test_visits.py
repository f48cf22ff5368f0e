"""A subject's year over HTTP: treatment, observation, response, the second dose, and the schedule that they follow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.identity import Role
from tests.journeys.subjects import (
    SYMPTOMS,
    ago,
    civil,
    count,
    enrolled,
    get,
    infusion,
    post,
    randomized,
    refused,
    responder,
    states_of,
    trail,
)
from tests.journeys.trial import As

SCORES = dict.fromkeys(SYMPTOMS, 1)
OUT_OF_ORDER = "occurred-out-of-order"


async def test_a_responder_is_given_a_second_dose(speaking_as: As, site: str) -> None:
    admin, investigator = speaking_as(Role.ADMIN), speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(admin, site)
    early = await refused(investigator, f"{path}/infusions", infusion(2), 409, "second-dose-not-eligible")
    assert early["because"] == [{"code": "evaluation-missing", "position": None}]

    evaluation = await post(investigator, f"{path}/evaluations", {"timepoint": "M3"})
    assert evaluation["rule_set"] == "IWG-2006"
    assert evaluation["lineages"] == {"HI-E": "confirmed", "HI-P": "not-evaluable", "HI-N": "not-evaluable"}
    assert (evaluation["response"], evaluation["progression"]) == ("HI", False)
    assert evaluation["grounds"]["CR"] == "baseline-blasts-not-raised"
    assert len(evaluation["inputs"]) == 6  # two counts before, three since, and the blasts of screening

    decision = await get(investigator, f"{path}/second-dose", evaluation["position"])
    assert decision["state"] == "eligible"
    assert {reason["code"] for reason in decision["because"]} == {"hi-e-confirmed"}
    assert {reason["position"] for reason in decision["because"]} == {
        evaluation["position"],
        *evaluation["inputs"],
    }
    (eligible,) = await trail(admin, subject, "second-dose-eligible")
    assert eligible["data"]["because"] == decision["because"]
    assert (eligible["by"]["name"], eligible["by"]["role"]) == ("second-dose", "system")

    infused = await post(investigator, f"{path}/infusions", infusion(2))
    assert (infused["cells"], infused["cells_per_kg"], infused["deviation"]) == ("60000000", "1000000", False)
    assert (await get(investigator, f"{path}/second-dose", infused["position"]))["state"] == "given"
    schedule = await get(investigator, f"{path}/schedule", infused["position"])
    assert states_of(schedule)["INF2"] == ("done", civil(0))
    assert len(await trail(admin, subject, "second-dose-eligible")) == 1


async def test_the_second_dose_may_follow_the_evaluation_at_once(speaking_as: As, site: str) -> None:
    admin, investigator = speaking_as(Role.ADMIN), speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(admin, site)
    await post(investigator, f"{path}/evaluations", {"timepoint": "M3"})
    await post(investigator, f"{path}/infusions", infusion(2))
    assert len(await trail(admin, subject, "second-dose-eligible")) == 1


async def test_a_corrected_result_takes_the_eligibility_back_until_somebody_evaluates_anew(
    speaking_as: As, site: str
) -> None:
    admin, investigator = speaking_as(Role.ADMIN), speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(admin, site)
    await post(investigator, f"{path}/evaluations", {"timepoint": "M3"})
    await trail(admin, subject, "second-dose-eligible")

    await post(admin, "/labs/results", count(subject, 100 - 91, "C", HGB="85"))
    (changed,) = await trail(admin, subject, "evaluation-inputs-changed")
    assert changed["data"]["outcome_changed"] is True
    assert changed["data"]["lineages"]["HI-E"] == "not-met"
    await trail(admin, subject, "second-dose-ineligible")
    assert (await get(investigator, f"{path}/second-dose"))["state"] == "pending"
    await refused(investigator, f"{path}/infusions", infusion(2), 409, "second-dose-not-eligible")

    await refused(investigator, f"{path}/evaluations", {"timepoint": "M3"}, 422, "reason-required")
    again = {"timepoint": "M3", "reason": "the haemoglobin of month 3 was corrected"}
    assert (await post(investigator, f"{path}/evaluations", again))["response"] == "SD"
    assert (await get(investigator, f"{path}/second-dose"))["state"] == "not-eligible"


async def test_an_adverse_event_that_bars_a_second_dose_is_heeded_at_once(speaking_as: As, site: str) -> None:
    admin, investigator = speaking_as(Role.ADMIN), speaking_as(Role.INVESTIGATOR, site)
    subject, path = await responder(admin, site)
    await post(investigator, f"{path}/evaluations", {"timepoint": "M3"})
    event = {"term": "Anaphylaxis", "grade": 3, "serious": True, "seriousness_criteria": ["life-threatening"]}
    event |= {"related": True, "infusion_reaction": True, "aware_at": ago(1)}
    await post(investigator, f"{path}/adverse-events", event)
    await refused(investigator, f"{path}/infusions", infusion(2), 409, "second-dose-not-eligible")
    (taken_back,) = await trail(admin, subject, "second-dose-ineligible")
    assert {reason["code"] for reason in taken_back["data"]["because"]} == {
        "severe-infusion-reaction",
        "related-serious-adverse-event",
    }


async def test_an_evaluation_before_its_window_is_refused(speaking_as: As, site: str) -> None:
    investigator = speaking_as(Role.INVESTIGATOR, site)
    subject = await randomized(investigator, site, "MSC", ago(10))
    path = f"/visits/subjects/{subject}"
    await post(investigator, f"{path}/infusions", infusion(1) | {"occurred_at": ago(10)})
    early = await refused(investigator, f"{path}/evaluations", {"timepoint": "M3"}, 409, "evaluation-not-open")
    assert early["opens_on"] == civil(10 - 77)
    await refused(investigator, f"{path}/evaluations", {"timepoint": "M4"}, 422, "timepoint-not-planned")


async def test_only_investigators_evaluate(speaking_as: As, site: str) -> None:
    coordinator = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(coordinator, site)
    await refused(coordinator, f"/visits/subjects/{subject}/evaluations", {"timepoint": "M3"}, 403, "forbidden")


async def test_the_dose_for_a_weight_is_the_dose_that_is_infused(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site, "MSC")
    path = f"/visits/subjects/{subject}"
    question = {"weight_kg": "72.5", "cells_per_mL": "2000000", "viability_pct": "90.5"}
    position = (await post(staff, f"{path}/transfusions", {"component": "PLT", "units": 1}))["position"]
    dose = await get(staff, f"{path}/dose", position, **question)
    assert dose == {"cells": "72500000", "volume_mL": "40.06"}

    lot = {"cells_per_mL": "2000000", "viability_pct": "90.5"}
    body = infusion(1, "72.5", **lot) | {"volume_mL": dose["volume_mL"]}
    first = await staff.post(f"{path}/infusions", json=body, headers={"Idempotency-Key": "dose-1"})
    retry = await staff.post(f"{path}/infusions", json=body, headers={"Idempotency-Key": "dose-1"})
    assert (first.status_code, retry.json()) == (201, first.json())
    assert first.json()["deviation"] is False
    await refused(staff, f"{path}/infusions", body, 409, "dose-already-given")


async def test_a_lot_that_fails_release_is_refused_by_the_names_of_its_failures(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site, "MSC")
    failing = infusion(1, sterility="positive", viability_pct="79.9")
    answer = await refused(staff, f"/visits/subjects/{subject}/infusions", failing, 409, "lot-not-released")
    assert answer["failed_criteria"] == ["viability", "sterility"]


async def test_each_arm_is_given_its_own_treatment(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    msc, csa = await randomized(staff, site, "MSC"), await randomized(staff, site, "CSA")
    dose = {"mg_per_kg_per_day": "5"}
    await refused(staff, f"/visits/subjects/{csa}/infusions", infusion(1), 409, "treatment-of-another-arm")
    await refused(staff, f"/visits/subjects/{msc}/csa-doses", dose, 409, "treatment-of-another-arm")
    position = (await post(staff, f"/visits/subjects/{csa}/csa-doses", dose))["position"]
    schedule = await get(staff, f"/visits/subjects/{csa}/schedule", position)
    assert (schedule["arm"], schedule["day_0"]) == ("CSA", civil(0))
    assert (await get(staff, f"/visits/subjects/{csa}/second-dose"))["state"] == "not-eligible"


async def test_a_week_is_scored_once_and_changed_with_a_reason(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    path = f"/visits/subjects/{await randomized(staff, site)}/symptoms"
    await post(staff, path, SCORES | {"week": 1})
    await post(staff, path, SCORES | {"week": 1})
    await refused(staff, path, SCORES | {"week": 1, "pallor": 3}, 422, "reason-required")
    await post(staff, path, SCORES | {"week": 1, "pallor": 3, "reason": "transcription error"})
    await refused(staff, path, SCORES | {"week": 53}, 422, "week-not-planned")


async def test_an_adverse_event_says_by_when_it_is_to_be_reported(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    aware = datetime(2025, 1, 5, 20, 0, tzinfo=UTC).isoformat()  # the sixth in the sponsor's zone
    subject = await randomized(staff, site, occurred_at=aware)
    path = f"/visits/subjects/{subject}/adverse-events"
    serious = {"term": "Pneumonia", "grade": 3, "serious": True, "related": True, "aware_at": aware}
    answer = await post(staff, path, serious | {"seriousness_criteria": ["hospitalisation"]})
    assert answer["due"] == {"sponsor_by": "2025-01-06T20:00:00Z", "authority_on": "2025-01-21", "follow_up_on": None}
    mild = {"term": "Nausea", "grade": 1, "serious": False, "related": False, "aware_at": aware}
    answer = await post(staff, path, mild | {"seriousness_criteria": []})
    assert answer["due"] == {"sponsor_by": None, "authority_on": None, "follow_up_on": None}

    await refused(staff, path, serious, 422, "seriousness-invalid")
    await refused(staff, path, mild | {"aware_at": ago(-1)}, 422, "occurred-in-the-future")
    await refused(staff, path, mild | {"onset_on": civil(-2)}, 422, "onset-implausible")
    await post(staff, f"/randomization/subjects/{subject}/withdrawal", {"scope": "study", "reason": "moved away"})
    await post(staff, path, mild)
    await refused(staff, f"/visits/subjects/{subject}/symptoms", SCORES | {"week": 1}, 409, "subject-withdrawn")


async def test_who_dies_has_that_status_and_is_counted_as_discontinued(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site, "MSC", ago(3))
    death = {"term": "Cardiac arrest", "grade": 5, "serious": True, "related": False, "aware_at": ago(1)}
    death |= {"seriousness_criteria": ["death"], "occurred_at": ago(2)}
    position = (await post(staff, f"/visits/subjects/{subject}/adverse-events", death))["position"]
    detail = await get(staff, f"/randomization/subjects/{subject}", position)
    assert (detail["status"], detail["died_at"][:10]) == ("died", ago(2)[:10])
    found = await get(staff, "/randomization/subjects", position, site=site, status="died")
    assert [item["subject"] for item in found["items"]] == [subject]
    flow = await get(staff, "/randomization/flow", position)
    assert flow["arms"]["MSC"]["discontinued"] == 1


async def test_a_dose_dated_before_an_undated_randomization_is_day_0(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    path = f"/visits/subjects/{await randomized(staff, site, 'MSC')}"
    position = (await post(staff, f"{path}/infusions", infusion(1) | {"occurred_at": ago(30)}))["position"]
    assert (await get(staff, f"{path}/schedule", position))["day_0"] == civil(30)


async def test_what_cannot_have_happened_on_its_day_is_refused(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    path = f"/visits/subjects/{await randomized(staff, site, 'MSC')}"
    long_ago = {"occurred_at": "1900-06-01T00:00:00Z"}
    early = await refused(staff, f"{path}/infusions", infusion(1) | long_ago, 409, OUT_OF_ORDER)
    assert (early["follows"], early["earliest"]) == ("study-start", "2010-05-01")
    await post(staff, f"{path}/infusions", infusion(1))
    await refused(staff, f"{path}/infusion-safety", {"look": "D7-1", "occurred_at": ago(2)}, 409, OUT_OF_ORDER)
    await refused(staff, f"{path}/symptoms", SCORES | {"week": 1} | long_ago, 409, OUT_OF_ORDER)
    await refused(staff, f"{path}/transfusions", {"component": "RBC", "units": 1} | long_ago, 409, OUT_OF_ORDER)
    mild = {"term": "Nausea", "grade": 1, "serious": False, "related": False, "aware_at": "1900-06-01T00:00:00Z"}
    await refused(staff, f"{path}/adverse-events", mild, 409, OUT_OF_ORDER)


async def test_only_who_is_randomized_has_visits(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    candidate = await enrolled(staff, site)
    for subject, status, code in ((candidate, 409, "not-randomized"), (f"{site}-999", 404, "unknown-subject")):
        path = f"/visits/subjects/{subject}"
        await refused(staff, f"{path}/symptoms", SCORES | {"week": 1}, status, code)
        dose = {"weight_kg": "60", "cells_per_mL": "1000000", "viability_pct": "90"}
        for question, parameters in (("schedule", {}), ("second-dose", {}), ("dose", dose)):
            response = await staff.get(f"{path}/{question}", params=parameters)
            assert (response.status_code, response.json()["type"]) == (status, f"/problems/{code}"), question


async def test_another_sites_staff_may_neither_read_nor_write(speaking_as: As, site: str) -> None:
    subject = await randomized(speaking_as(Role.COORDINATOR, site), site)
    stranger = speaking_as(Role.COORDINATOR, "99")
    await refused(stranger, f"/visits/subjects/{subject}/symptoms", SCORES | {"week": 1}, 403, "forbidden")
    assert (await stranger.get(f"/visits/subjects/{subject}/schedule")).status_code == 403
    assert (await stranger.get("/visits/due", params={"site": site})).status_code == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("infusions", infusion(1, "0")),
        ("infusions", infusion(1, "-60")),
        ("infusions", infusion(1, cells_per_mL="1e99")),
        ("infusions", infusion(1, lot="UC\n1")),
        ("infusions", infusion(0)),
        ("csa-doses", {"mg_per_kg_per_day": "-1"}),
        ("csa-doses", {"mg_per_kg_per_day": True}),
        ("symptoms", SCORES | {"week": 0}),
        ("symptoms", SCORES | {"week": "1"}),
        ("symptoms", SCORES | {"week": 1, "fatigue": 5}),
        ("symptoms", SCORES | {"week": 1, "fatigue": 1.5}),
        ("transfusions", {"component": "FFP", "units": 1}),
        ("transfusions", {"component": "RBC", "units": 0}),
        ("adverse-events", {"term": "a\tb", "grade": 1, "serious": False, "related": False, "aware_at": ago(1)}),
        ("adverse-events", {"term": "Nausea", "grade": 1, "serious": "no", "related": False, "aware_at": ago(1)}),
        ("evaluations", {"timepoint": "third month"}),
        ("evaluations", {"timepoint": "M3", "counts": []}),
    ],
)
async def test_what_has_not_the_shape_of_a_record_is_none(speaking_as: As, path: str, body: dict[str, Any]) -> None:
    await refused(speaking_as(Role.ADMIN), f"/visits/subjects/97-001/{path}", body, 422, "invalid-request")
