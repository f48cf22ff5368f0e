"""Ciclosporin over HTTP: a creatinine that rises is advised on, and a correction takes the advice back."""

from __future__ import annotations

from typing import Any

from shared.identity import Role
from tests.journeys.subjects import ago, post, randomized, trail
from tests.journeys.trial import As


def reported(subject: str, days_ago: float, status: str = "F", **values: tuple[str, str]) -> dict[str, Any]:
    """A report of analytes, each a value and its unit."""
    return {
        "sender": {"application": "LIS", "facility": "HOSPITAL"},
        "message_id": f"{subject}-{days_ago}-{status}-{'-'.join(values)}",
        "subject": subject,
        "collected_at": ago(days_ago),
        "reported_at": ago(days_ago),
        "results": [
            {"code": code, "value": value, "unit": unit, "status": status} for code, (value, unit) in values.items()
        ],
    }


async def test_a_creatinine_that_rises_is_advised_on_until_it_is_corrected(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.INVESTIGATOR, site)
    # Given ciclosporin for sixty days, and a creatinine of 80 µmol/L before it
    subject = await randomized(staff, site, "CSA", ago(61))
    path = f"/visits/subjects/{subject}/csa-doses"
    await post(staff, "/labs/results", reported(subject, 63, CREAT=("80", "umol/L")))
    await post(staff, path, {"mg_per_kg_per_day": "5", "occurred_at": ago(60)})

    # When it rises by a quarter and stays there, in whatever unit the laboratory reports
    await post(staff, "/labs/results", reported(subject, 46, CREAT=("104", "umol/L"), CSA=("310", "ng/mL")))
    await trail(staff, subject, "ciclosporin-dose-advised", least=2)
    await post(staff, "/labs/results", reported(subject, 32, CREAT=("1.2", "mg/dL")))
    (_, _, advised) = await trail(staff, subject, "ciclosporin-dose-advised", least=3)

    # Then the dose is to be reduced, and the advice says by what it came
    assert (advised["by"]["role"], advised["data"]["advice"]) == ("system", "reduce-dose")
    assert advised["cause"] == advised["data"]["inputs"][-1]
    course = (await staff.get(path)).json()
    assert [(each["mg_per_kg_per_day"], each["to"]) for each in course["doses"]] == [("5", None)]
    assert {(each["analyte"], each["advice"], each["ground"]) for each in course["advice"]} == {
        ("CREAT", "repeat-creatinine", "creatinine-rise"),
        ("CSA", "review-dose", "trough-high"),
        ("CREAT", "reduce-dose", "creatinine-rise-persists"),
    }

    # And when the second result is corrected, its advice stands no longer
    await post(staff, "/labs/results", reported(subject, 32, "C", CREAT=("0.9", "mg/dL")))
    await trail(staff, subject, "ciclosporin-dose-advised", least=4)
    course = (await staff.get(path)).json()
    assert (course["advice"][-1]["advice"], course["advice"][-1]["ground"]) == ("none", "result-changed")


async def test_an_interrupted_dose_is_an_interval_of_none(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site, "CSA", ago(31))
    path = f"/visits/subjects/{subject}/csa-doses"
    early = await post(staff, path, {"mg_per_kg_per_day": "0", "occurred_at": ago(30)}, 409)
    assert early["type"] == "/problems/treatment-not-started"
    for dose, days in (("5", 30), ("0", 20), ("2.5", 10)):
        await post(staff, path, {"mg_per_kg_per_day": dose, "occurred_at": ago(days)})
    doses = (await staff.get(path)).json()["doses"]
    assert [each["mg_per_kg_per_day"] for each in doses] == ["5", "0", "2.5"]
    assert [each["to"] for each in doses] == [doses[1]["from"], doses[2]["from"], None]
