"""Laboratory reports in FHIR R4 over HTTP: answered in kind once recorded, quarantined where not sure, read back."""

from __future__ import annotations

import asyncio
import json
import random
import re
from decimal import Decimal

import pytest

from services.labs.fhir_json import write
from shared.identity import Role
from tests.corpus import CORPUS, needs_corpus
from tests.journeys.fhir_client import FHIR, find, issues, send, statuses, valid
from tests.journeys.laboratory import position_of, quarantined_at, results_of
from tests.journeys.laboratory import send as send_hl7v2
from tests.journeys.subjects import post, screened
from tests.journeys.trial import As
from tests.labs.examples import OBX_HGB, OBX_PLT, oru
from tests.labs.fhir_examples import (
    COLLECTED,
    ISSUED,
    Resource,
    bundle,
    coded,
    header,
    identified,
    observation,
    quantity,
    subject_of,
)

PERSONAL = ("Doe", "Jane", "1961-06-15", "MRN771234", "Long Street", "fasting")


async def test_an_observation_is_created_and_read_back_to_the_digit(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    text = json.dumps(observation(subject=subject_of(subject))).replace("8.6,", "8.60,").encode()
    created = await send(lis, text, "/Observation", 201)
    at = position_of(created)
    assert b'"value":86.0' in created.content
    assert created.headers["ETag"] == 'W/"1"'
    [item] = await results_of(staff, subject, at)
    assert (item["value"], item["source"], item["as_sent"]) == (
        "86.0",
        "fhir",
        {"code": "718-7", "value": "8.60", "unit": "g/dL"},
    )
    response = await staff.get(created.headers["Location"], headers={"Log-Position": str(at)})
    assert valid(response).content == created.content
    found = await find(staff, "/Observation", at, patient=f"Patient/{subject}")
    assert [entry["resource"] for entry in found["entry"]] == [created.json()]
    assert created.json()["subject"] == {
        "reference": f"Patient/{subject}",
        "identifier": {"system": "urn:marrow:subject", "value": subject},
    }


async def test_the_same_report_again_gets_the_same_answer_also_64_times_at_once(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    for path, sent, status in (
        ("/Observation", observation(subject=subject_of(subject), identifier=identified("A1")), 201),
        ("", bundle(observation("777-3", 62, "10*9/L", subject=subject_of(subject))), 200),
    ):
        answers = await asyncio.gather(*(send(lis, sent, path, status) for _ in range(64)))
        assert {(answer.content, position_of(answer)) for answer in answers} == {
            (answers[0].content, position_of(answers[0]))
        }
        other_lines = await send(lis, json.dumps(sent, indent=2, sort_keys=True).encode(), path, status)
        assert other_lines.content == answers[0].content


async def test_an_identifier_is_not_used_for_another_content(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    sent = observation(subject=subject_of(subject), identifier=identified("A1"))
    first = await send(lis, sent, "/Observation", 201)
    changed = sent | {"valueQuantity": quantity(9.9, "g/dL")}
    refused = await send(lis, changed, "/Observation", 409)
    assert issues(refused) == [("error", "duplicate", "Observation.identifier")]
    assert (await send(lis, changed, "/Observation", 409)).content == refused.content
    trail = await staff.get("/audit/events", params={"subject": subject, "site": site})
    assert trail.status_code == 200
    refusals = await staff.get("/audit/events", params={"site": site, "type": "lab-message-refused"})
    assert [each["data"]["earlier"] for each in refusals.json()["items"]] == [position_of(first)]


async def test_a_correction_is_a_new_version_of_the_same_observation(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    sent = observation(subject=subject_of(subject), identifier=identified("A1"))
    first = await send(lis, sent, "/Observation", 201)
    later = {"issued": "2025-12-31T12:00:00+08:00"}
    corrected = await send(
        lis, sent | later | {"status": "corrected", "valueQuantity": quantity(8.9, "g/dL")}, "/Observation", 201
    )
    at = position_of(corrected)
    assert corrected.json()["id"] == first.json()["id"]
    key = first.json()["id"]
    now = await find(staff, f"/Observation/{key}", at)
    assert (now["status"], now["meta"]["versionId"], now["valueQuantity"]["value"]) == ("corrected", "2", 89)
    before = await find(staff, f"/Observation/{key}/_history/1", at)
    assert (before["status"], before["valueQuantity"]["value"]) == ("final", 86)
    retracted = await send(
        lis, sent | {"status": "entered-in-error", "issued": "2025-12-31T13:00:00+08:00"}, "/Observation", 201
    )
    gone = await find(staff, f"/Observation/{key}", position_of(retracted))
    assert (gone["status"], "valueQuantity" in gone) == ("entered-in-error", False)
    assert (await staff.get(f"/labs/fhir/Observation/{key}/_history/9")).status_code == 404


def within(low: int, high: int, unit: str) -> Resource:
    return {"low": quantity(low, unit), "high": quantity(high, unit)}


async def test_one_count_sent_three_ways_is_one_and_the_same(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    by_json, by_hl7v2, by_fhir = [await screened(staff, site) for _ in range(3)]
    count = (("718-7", Decimal("8.6"), "g/dL", 12, 16), ("777-3", Decimal(62), "10*3/uL", 150, 400))
    results = [
        {"loinc": code, "value": str(value), "unit": unit, "status": "F", "reference_low": low, "reference_high": high}
        for code, value, unit, low, high in count
    ]
    report = {
        "sender": {"application": "LIS", "facility": "LAB"},
        "message_id": "1",
        "subject": by_json,
        "collected_at": COLLECTED,
        "reported_at": ISSUED,
        "results": results,
    }
    await post(lis, "/labs/results", report)
    await send_hl7v2(lis, oru(OBX_HGB, OBX_PLT, subject=by_hl7v2, control_id="2"))
    observations = [
        observation(code, value, unit, subject=subject_of(by_fhir), referenceRange=[within(low, high, unit)])
        for code, value, unit, low, high in count
    ]
    sent = write(bundle(header(id="3"), *observations, kind="message"))
    at = position_of(await send(lis, sent))
    of_the_way = ("result", "position", "message_id", "source")
    told = [
        [{name: value for name, value in item.items() if name not in of_the_way} for item in items]
        for items in [await results_of(staff, subject, at) for subject in (by_json, by_hl7v2, by_fhir)]
    ]
    assert len(told[0]) == 2
    assert told[0] == told[1] == told[2]


async def test_a_transaction_answers_for_each_entry_and_loses_nothing(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    whose = subject_of(subject)
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": coded("58410-2"),
        "subject": whose,
        "result": [{"reference": "urn:uuid:1"}],
    }
    sent = bundle(
        report,
        observation(subject=whose),
        observation(code=coded("HB1", "urn:lab"), subject=whose, effectiveDateTime="2025-12-30"),
        {"resourceType": "Specimen"},
    )
    sent["entry"][1]["fullUrl"] = "urn:uuid:1"
    answer = await send(lis, sent)
    at = position_of(answer)
    assert answer.json()["type"] == "transaction-response"
    assert statuses(answer) == ["201 Created", "201 Created", "202 Accepted", "202 Accepted"]
    held = answer.json()["entry"][2]["response"]["outcome"]["issue"][0]
    assert (held["severity"], held["code"], held["expression"]) == (
        "warning",
        "code-invalid",
        ["Bundle.entry[2].resource.code"],
    )
    told = await find(staff, f"/{answer.json()['entry'][0]['response']['location']}", at)
    assert [each["reference"] for each in told["result"]] == [answer.json()["entry"][1]["response"]["location"]]

    [message] = await quarantined_at(staff, site, at)
    assert [ground["expression"] for ground in message["grounds"]] == ["Bundle.entry[2].resource.code"]
    path = f"/labs/quarantine/{message['id']}/release"
    assert (await post(staff, path, {"reason": "x"}, 409))["type"] == "/problems/message-still-unreadable"
    released = await post(staff, path, {"reason": "HB1 is haemoglobin", "mapping": {"codes": {"HB1": "HGB"}}})
    items = await results_of(staff, subject, released["position"])
    assert [(item["code"], item["value"], item["version"]) for item in items] == [("HGB", "86", 1), ("HGB", "86", 1)]
    assert (await send(lis, sent)).content == answer.content


async def test_a_transaction_with_one_wrong_element_records_nothing(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    sent = bundle(observation(subject=subject_of(subject)), observation(subject=subject_of(subject), status="done"))
    refused = await send(lis, sent, status=400)
    assert issues(refused) == [("error", "code-invalid", "Bundle.entry[1].resource.status")]
    mended = await send(lis, observation("777-3", 62, "10*9/L", subject=subject_of(subject)), "/Observation", 201)
    assert [item["code"] for item in await results_of(staff, subject, position_of(mended))] == ["PLT"]


async def test_another_test_is_kept_and_no_result(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    haematocrit = observation("20570-8", 27, "%", subject=subject_of(subject))
    kept = await send(lis, haematocrit, "/Observation", 202)
    assert issues(kept) == [("information", "informational", "Observation")]
    assert await results_of(staff, subject, position_of(kept)) == []


async def test_each_entry_of_a_batch_stands_for_itself(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    one, other = await screened(staff, site), await screened(staff, site)
    sent = bundle(
        observation(subject=subject_of(one)),
        observation(subject=subject_of(other)),
        observation(subject=subject_of(f"{site}-999")),
        observation("9999-9", subject=subject_of(one)),
        kind="batch",
    )
    answer = await send(lis, sent, "", 200, **{"Idempotency-Key": "b1"})
    assert answer.json()["type"] == "batch-response"
    assert statuses(answer) == ["201 Created", "201 Created", "202 Accepted", "202 Accepted"]
    told = answer.json()["entry"][2]["response"]["outcome"]["issue"][0]
    assert (told["code"], told["details"]["coding"][0]["code"]) == ("not-found", "unknown-subject")
    assert [len(await results_of(staff, subject, position_of(answer))) for subject in (one, other)] == [1, 1]
    assert (await send(lis, sent, "", 200, **{"Idempotency-Key": "b1"})).content == answer.content


async def test_a_message_is_answered_by_a_message(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    sent = bundle(header(), observation(subject=subject_of(subject)), kind="message")
    for path in ("", "/$process-message"):
        answer = await send(lis, sent, path)
        [entry] = answer.json()["entry"]
        assert entry["resource"]["response"] == {"identifier": "42", "code": "ok"}
    [item] = await results_of(staff, subject, position_of(answer))
    assert (item["sender"], item["message_id"]) == ({"application": "LIS", "facility": "LAB"}, "42")


async def test_what_stands_already_is_not_created_again(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    sent = observation(subject=subject_of(subject), identifier=identified("A1"))
    condition = {"If-None-Exist": "identifier=urn:lis|A1"}
    created = await send(lis, sent, "/Observation", 201, **condition)
    changed = sent | {"status": "amended", "valueQuantity": quantity(9.9, "g/dL")}
    stood = await send(lis, changed, "/Observation", 200, **condition)
    assert stood.headers["Location"] == f"/labs/fhir/Observation/{created.json()['id']}"
    in_bundle = bundle(changed, observation("777-3", 62, "10*9/L", subject=subject_of(subject)))
    in_bundle["entry"][0]["request"]["ifNoneExist"] = "identifier=urn:lis|A1"
    answer = await send(lis, in_bundle)
    assert statuses(answer) == ["200 OK", "201 Created"]
    items = await results_of(staff, subject, position_of(answer))
    assert sorted((item["code"], item["version"], item["value"]) for item in items) == [
        ("HGB", 1, "86"),
        ("PLT", 1, "62"),
    ]
    refused = await send(lis, changed, "/Observation", 412, **{"If-None-Exist": "code=718-7"})
    assert issues(refused) == [("error", "not-supported", "Observation.identifier")]


async def test_an_unknown_subject_is_quarantined_and_released_to_the_right_one(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    held = await send(lis, observation(subject=subject_of(f"{site}-999")), "/Observation", 202)
    assert issues(held) == [("warning", "not-found", "Observation.subject")]
    [message] = await quarantined_at(staff, site, position_of(held))
    path = f"/labs/quarantine/{message['id']}/release"
    released = await post(staff, path, {"reason": "wrong number", "subject": subject})
    [item] = await results_of(staff, subject, released["position"])
    assert (item["value"], item["source"]) == ("86", "fhir")


@pytest.mark.parametrize(
    ("sent", "media_type", "status", "expression"),
    [
        (b"<Observation/>", "application/fhir+xml", 415, None),
        (b"{}", "text/plain", 415, None),
        (b"{}", "application/json+fhir", 415, None),
        (b"{}", "application/fhir+json; fhirVersion=3.0", 415, None),
        (b"{}", "application/fhir+json; charset=gb18030", 415, None),
        (b"{", "application/fhir+json", 400, None),
        (b"", "application/fhir+json", 400, None),
        (b"[]", "application/json", 400, "Resource"),
        (b'{"resourceType": "Observation"}', "application/fhir+json; fhirVersion=4.0", 400, "Observation.code"),
        (b'{"resourceType": "Patient"}', "application/fhir+json", 422, "Patient"),
        (b"[" * 100_000, "application/fhir+json", 400, None),
        (b'{"a": ' * 10_000 + b"1" + b"}" * 10_000, "application/fhir+json", 400, None),
    ],
)
async def test_what_is_not_read_is_refused_with_its_place(
    speaking_as: As, site: str, sent: bytes, media_type: str, status: int, expression: str | None
) -> None:
    lis = speaking_as(Role.LAB, site)
    response = await lis.post("/labs/fhir", content=sent, headers={"Content-Type": media_type})
    assert response.status_code == status, response.text
    assert expression is None or issues(valid(response))[0][2] == expression


async def test_an_address_is_that_of_one_type(speaking_as: As, site: str) -> None:
    lis = speaking_as(Role.LAB, site)
    assert issues(await send(lis, observation(), "/DiagnosticReport", 400))[0][1] == "invariant"
    await send(lis, {"resourceType": "Patient"}, "/Patient", 404)


async def test_a_token_speaks_for_one_site_and_its_application(speaking_as: As, site: str) -> None:
    sent = bundle(header(), observation(subject=subject_of(f"{site}-001")), kind="message")
    for client in (
        speaking_as(Role.LAB),
        speaking_as(Role.LAB, site, application="OTHER"),
        speaking_as(Role.COORDINATOR, site),
    ):
        assert issues(await send(client, sent, status=403))[0][1] == "forbidden"


async def test_nothing_that_names_a_person_stands_in_clear(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    patient = {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Jane Doe</div>'},
        "identifier": [{"system": "urn:marrow:subject", "value": subject}, {"value": "MRN771234"}],
        "name": [{"family": "Doe", "given": ["Jane"]}],
        "birthDate": "1961-06-15",
        "address": [{"line": ["1 Long Street"]}],
    }
    whose = {"reference": "urn:uuid:p", "display": "Jane Doe"}
    results: list[Resource] = [
        observation(subject=whose, note=[{"text": "Mrs Doe was fasting"}], identifier=identified("MRN771234")),
        observation(code=coded("DOE", "urn:jane"), subject=whose),
        observation("777-3", 62, "of Mrs Doe", subject=whose),
        observation("6690-2", subject=whose, valueQuantity=None, valueString="Jane was fasting"),
    ]
    sent = bundle(patient, *results)
    sent["entry"][0]["fullUrl"] = "urn:uuid:p"
    await send(lis, sent)
    lost = results[0] | {"subject": {"display": "Jane Doe", "identifier": {"value": "MRN771234"}}}
    held = await send(lis, lost, "/Observation", 202)
    trail = await speaking_as(Role.REGULATOR).get(
        "/audit/events", params={"site": site}, headers={"Log-Position": str(position_of(held))}
    )
    listed = await speaking_as(Role.MONITOR, site).get("/labs/quarantine", params={"site": site})
    assert "lab-message-quarantined" in trail.text
    for answer in (trail, listed, held):
        text = re.sub(r"v1\.[A-Za-z0-9_=+/-]+", "", answer.text)  # what is sealed may look like any short word
        assert not [word for word in PERSONAL if word.casefold() in text.casefold()]


@needs_corpus
async def test_broken_resources_of_other_makers_never_fail_the_service(speaking_as: As, site: str) -> None:
    lis = speaking_as(Role.LAB, site)
    draw = random.Random(1)
    seen: set[int] = set()
    for path in sorted((CORPUS / "fhir").rglob("*.json")):
        sent = path.read_bytes()
        seen.add((await lis.post("/labs/fhir", content=sent, headers=FHIR)).status_code)
        for _ in range(3):
            at = draw.randrange(len(sent))
            broken = sent[:at] + draw.choice([b"", b'"', b"0", b"{", b"\xff", b"null"]) + sent[at + draw.randrange(9) :]
            response = await lis.post("/labs/fhir", content=broken, headers=FHIR)
            seen.add(valid(response).status_code)
    assert seen <= {200, 202, 400, 409, 422}
