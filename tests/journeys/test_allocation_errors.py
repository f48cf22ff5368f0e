"""Errors of allocation over HTTP: documented, shown, and nothing taken back."""

from __future__ import annotations

import pytest

from shared.identity import Role
from tests.journeys.subjects import arm_of, enrolled, every_allocation_error, post, randomized, trail
from tests.journeys.trial import As

WHY = {"reason": "found by the monitor"}


async def test_every_error_stands_in_the_detail_with_its_reason_and_the_allocation_stands(
    speaking_as: As, site: str
) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    first, second = await randomized(staff, site), await randomized(staff, site)
    arm = await arm_of(staff, first)
    at = {"Log-Position": str(await every_allocation_error(staff, first, duplicate=second))}

    detail = (await staff.get(f"/randomization/subjects/{first}", headers=at)).json()
    assert (detail["arm"], detail["status"]) == (arm, "randomized")
    assert (detail["stratum"], detail["stratum_corrected"]) == (f"RA|{site}", f"RARS|{site}")
    assert detail["duplicates"] == [second]
    assert [each["error"] for each in detail["errors"]] == ["randomized-in-error", "wrong-stratum", "wrong-treatment"]
    assert {each["reason"] for each in detail["errors"]} == {"found by the monitor"}
    in_error, stratum, treatment = detail["errors"]
    assert in_error["position"] < stratum["position"] < treatment["position"]
    assert in_error["cause"] == "ineligible"
    assert (stratum["stratum"], stratum["stratum_corrected"]) == (f"RA|{site}", f"RARS|{site}")
    assert treatment["received"] == {"MSC": "CSA", "CSA": "MSC"}[arm]

    later = (await staff.get(f"/randomization/subjects/{second}", headers=at)).json()
    assert later["duplicate_of"] == first
    [error] = later["errors"]
    assert (error["error"], error["duplicate_of"], error["counted_in_balance"]) == ("randomized-twice", first, False)
    assert await trail(staff, first, "subject-randomized-twice"), "it stands in the trail of both"


async def test_the_flow_shows_errors_and_goes_on_counting_the_randomized(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    first, second = await randomized(staff, site), await randomized(staff, site)
    at = {"Log-Position": str(await every_allocation_error(staff, first, duplicate=second))}
    flow = (await staff.get("/randomization/flow", headers=at)).json()
    assert flow["randomized"] == sum(arm["allocated"] for arm in flow["arms"].values()) == 2
    errors = [error for arm in flow["arms"].values() for error in arm["errors"]]
    assert sorted(errors) == ["randomized-in-error", "randomized-twice", "wrong-stratum", "wrong-treatment"]


async def test_the_slot_of_an_erroneous_subject_is_not_given_again(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site)
    path = f"/randomization/subjects/{subject}"
    await post(staff, f"{path}/randomization-error", WHY | {"cause": "unintended"})
    again = await post(staff, f"{path}/randomization", {}, 409)
    assert again["type"] == "/problems/subject-already-randomized"
    answer = await post(staff, f"/randomization/subjects/{await enrolled(staff, site)}/randomization", {})
    assert answer["randomization_number"] == f"RA-{site}-002"


async def test_an_error_without_a_reason_is_not_taken(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.INVESTIGATOR, site)
    subject = await randomized(staff, site)
    body = {"cause": "ineligible"}
    answer = await post(staff, f"/randomization/subjects/{subject}/randomization-error", body, 422)
    assert answer["type"] == "/problems/invalid-request"


@pytest.mark.parametrize(
    ("route", "body", "refusal"),
    [
        ("stratum-correction", {"diagnosis": "RA"}, "stratum-unchanged"),
        ("duplicate-randomization", {"duplicate_of": "99-001"}, "subject-of-another-site"),
        ("randomization-error", {"cause": "ineligible"}, "allocation-error-on-record"),
    ],
)
async def test_what_is_no_error_is_refused(
    speaking_as: As, site: str, route: str, body: dict[str, str], refusal: str
) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await randomized(staff, site)
    path = f"/randomization/subjects/{subject}"
    await post(staff, f"{path}/randomization-error", WHY | {"cause": "ineligible"})
    assert (await post(staff, f"{path}/{route}", WHY | body, 409))["type"] == f"/problems/{refusal}"
    own = WHY | {"received": await arm_of(staff, subject)}
    assert (await post(staff, f"{path}/wrong-treatment", own, 409))["type"] == "/problems/treatment-as-allocated"
    unknown = WHY | {"received": "ATG"}
    assert (await post(staff, f"{path}/wrong-treatment", unknown, 422))["type"] == "/problems/unknown-arm"
