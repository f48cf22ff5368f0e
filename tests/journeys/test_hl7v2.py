"""Laboratory messages of HL7 v2 over HTTP: acknowledged once recorded, quarantined where not sure, released."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from services.labs.charset import decode
from services.labs.er7 import parse
from services.labs.transmission import split
from shared.identity import Role
from tests.corpus import CORPUS, needs_corpus
from tests.journeys.laboratory import ER7, acknowledgment, errors, position_of, quarantined_at, results_of, send
from tests.journeys.subjects import post, screened
from tests.journeys.trial import As
from tests.labs.examples import OBX_HCT, OBX_HGB, OBX_LOCAL, OBX_NO_UNIT, OBX_PLT, oru

PERSONAL = ("Doe", "Jane", "19610615", "MRN77", "Long Street", "fasting")

CORPUS_MESSAGES = [
    pytest.param(path, path.read_bytes(), id=path.stem)
    for folder in ("microsoft-fhir-converter", "simhospital")
    for path in sorted((CORPUS / "hl7v2" / folder).glob("*.hl7"))
]


async def test_a_blood_count_is_acknowledged_once_it_is_recorded(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    answer = await send(lis, oru(OBX_HGB, OBX_PLT, OBX_HCT, subject=subject))
    assert acknowledgment(answer) == "AA"
    items = await results_of(staff, subject, position_of(answer))
    assert [(item["code"], item["value"], item["source"]) for item in items] == [
        ("HGB", "86", "hl7v2"),
        ("PLT", "62", "hl7v2"),
    ]


async def test_the_same_message_again_gets_the_same_bytes_also_64_times_at_once(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    text = oru(subject=subject)
    answers = await asyncio.gather(*(send(lis, text) for _ in range(64)))
    assert {(answer.content, position_of(answer)) for answer in answers} == {
        (answers[0].content, position_of(answers[0]))
    }
    as_lines = await send(lis, b"\xef\xbb\xbf" + text.replace("\r", "\r\n").encode())
    assert as_lines.content == answers[0].content


async def test_a_control_id_is_not_used_for_another_content(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    await send(lis, oru(subject=subject))
    answer = await send(lis, oru(OBX_PLT, subject=subject))
    assert (acknowledgment(answer), errors(answer)) == ("AE", [("MSH^1^10", "205")])
    assert (await send(lis, oru(OBX_PLT, subject=subject))).content == answer.content


async def test_what_cannot_be_read_is_quarantined_and_the_rest_recorded(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    answer = await send(lis, oru(OBX_PLT, OBX_LOCAL, OBX_NO_UNIT, subject=subject))
    assert acknowledgment(answer) == "AE"
    assert errors(answer) == [("OBX^2^3", "103"), ("OBX^3^6", "101")]
    at = position_of(answer)
    assert [item["code"] for item in await results_of(staff, subject, at)] == ["PLT"]
    [message] = await quarantined_at(staff, site, at)
    assert (message["subject"], message["message_id"]) == (subject, "42")
    assert [ground["code"] for ground in message["grounds"]] == ["unknown-analyte", "missing-unit"]

    path = f"/labs/quarantine/{message['id']}/release"
    too_little = await post(staff, path, {"reason": "mapped", "mapping": {"codes": {"HB1": "HGB"}}}, 409)
    assert too_little["type"] == "/problems/message-still-unreadable"
    mapping = {"codes": {"HB1": "HGB", "6690-2": None}}
    released = await post(staff, path, {"reason": "HB1 is haemoglobin", "mapping": mapping})
    items = await results_of(staff, subject, released["position"])
    assert [(item["code"], item["value"], item["version"]) for item in items] == [
        ("HGB", "86", 1),
        ("PLT", "62", 1),
    ]
    assert await quarantined_at(staff, site, released["position"]) == []
    assert [item["id"] for item in await quarantined_at(staff, site, 0, "released")] == [message["id"]]
    again = await post(staff, path, {"reason": "mapped", "mapping": mapping}, 409)
    assert again["type"] == "/problems/message-already-released"
    assert (await send(lis, oru(OBX_PLT, OBX_LOCAL, OBX_NO_UNIT, subject=subject))).content == answer.content


async def test_an_unknown_subject_is_quarantined_and_released_to_the_right_one(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    answer = await send(lis, oru(subject=f"{site}-999"))
    assert (acknowledgment(answer), errors(answer)) == ("AE", [("PID^1^3", "204")])
    [message] = await quarantined_at(staff, site, position_of(answer))
    assert message["subject"] is None
    path = f"/labs/quarantine/{message['id']}/release"
    assert (await post(staff, path, {"reason": "none"}, 409))["type"] == "/problems/message-still-unreadable"
    stranger = speaking_as(Role.COORDINATOR, "99")
    assert (await stranger.post(path, json={"reason": "x", "subject": subject})).status_code == 403
    released = await post(staff, path, {"reason": "wrong number in PID-3", "subject": subject})
    assert [report["subject"] for report in released["reports"]] == [subject]
    [item] = await results_of(staff, subject, released["position"])
    assert (item["value"], item["as_sent"]["value"]) == ("86", "8.6")


async def test_what_is_not_told_in_clear_is_mapped_by_its_place(speaking_as: As, site: str) -> None:
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    answer = await send(lis, oru(OBX_PLT, "NM|Hb of Mrs Doe^^L||8.6|gram per decilitre|||||F", subject=subject))
    [message] = await quarantined_at(staff, site, position_of(answer))
    [ground] = message["grounds"]
    assert (ground["sent_code"], ground["sent_unit"]) == ("OBX[2]-3", "OBX[2]-6")
    mapping = {"codes": {"OBX[2]-3": "HGB"}, "units": {"OBX[2]-6": "g/dL"}}
    released = await post(staff, f"/labs/quarantine/{message['id']}/release", {"reason": "read", "mapping": mapping})
    [item] = await results_of(staff, subject, released["position"], code="HGB")
    assert (item["value"], item["as_sent"]) == ("86", {"code": "OBX[2]-3", "value": "8.6", "unit": "OBX[2]-6"})


async def test_a_batch_is_answered_by_a_batch(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    messages = [
        oru(subject=subject, control_id="1"),
        oru(subject=f"{site}-999", control_id="2"),
        oru(subject=subject, control_id="3").replace("ORU^R01^ORU_R01", "ADT^A01"),
    ]
    answer = await send(speaking_as(Role.LAB, site), "BHS|^~\\&|LIS|LAB\r" + "".join(messages) + "BTS|3\r")
    answers = [parse(text).first("MSA") for text in split(answer.text).messages]
    assert [(msa[2].value, msa[1].value) for msa in answers] == [("1", "AA"), ("2", "AE"), ("3", "AR")]


async def test_the_position_of_a_batch_is_the_highest_of_its_messages(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    known, new = oru(subject=subject, control_id="1"), oru(subject=subject, control_id="2")
    before = position_of(await send(lis, known))
    assert position_of(await send(lis, new + known)) > before


async def test_a_batch_that_lost_a_message_on_the_way_is_taken_and_told_so(speaking_as: As, site: str) -> None:
    staff = speaking_as(Role.COORDINATOR, site)
    subject = await screened(staff, site)
    message = oru(subject=subject)
    answer = await send(speaking_as(Role.LAB, site), "BHS|^~\\&|LIS|LAB\r" + message + "BTS|2\r")
    assert codes_of(answer) == ["AA"]
    assert answer.text.split("\r")[-2] == "BTS|1|BTS-1 counts 2, messages that arrived: 1"
    assert len(await results_of(staff, subject, position_of(answer))) == 1


def codes_of(batch: httpx.Response) -> list[str]:
    """MSA-1 of each answer in a batch."""
    return [parse(text).first("MSA")[1].value for text in split(batch.text).messages]


async def test_an_idempotency_key_of_a_batch_is_of_that_batch_alone(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    messages = [oru(subject=subject, control_id=number) for number in ("1", "2", "3")]
    messages[0] = messages[0].replace("ORU^R01^ORU_R01", "ADT^A01")  # it records nothing
    headers = ER7 | {"Idempotency-Key": "b1"}
    first = await lis.post("/labs/hl7v2", content="".join(messages[:2]), headers=headers)
    retry = await lis.post("/labs/hl7v2", content="".join(messages[:2]), headers=headers)
    assert [codes_of(answer) for answer in (first, retry)] == [["AR", "AA"]] * 2
    for other in ("".join(messages), messages[2]):
        refused = await lis.post("/labs/hl7v2", content=other, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/idempotency-key-reused")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"   ",
        b"PID|1",
        b"MSH",
        b"MSH|^~\\&|LIS",
        b"\xff\xfe\x00\x01",
        b"MSH|^~\\&|\x00",
        b'{"resourceType": 1}',
        b"MSH|^~\\&|LIS|LAB|||20260101||ORU^R01|1|P|2.5|\xe9",
    ],
)
async def test_what_is_no_message_is_rejected(speaking_as: As, site: str, sent: bytes) -> None:
    assert acknowledgment(await send(speaking_as(Role.LAB, site), sent)) in ("AR", "AE")


async def test_other_media_types_and_absurd_sizes_are_refused(speaking_as: As, site: str) -> None:
    lis = speaking_as(Role.LAB, site)
    for media_type in ("application/json", "text/html", ""):
        response = await lis.post("/labs/hl7v2", content=oru().encode(), headers={"Content-Type": media_type})
        assert response.status_code == 415
    for media_type in ("application/hl7-v2+er7", "x-application/hl7-v2+er7", "text/plain; charset=utf-8"):
        response = await lis.post("/labs/hl7v2", content=oru().encode(), headers={"Content-Type": media_type})
        assert response.status_code == 200
    large = oru(f"ED|PDF^Report^L||{'A' * 1_100_000}||||||F", control_id="large")
    for content in (large.encode(), b"x" * 10_000_000):
        assert (await lis.post("/labs/hl7v2", content=content, headers=ER7)).status_code == 413


async def test_a_token_that_sends_messages_speaks_for_one_site_and_its_application(speaking_as: As, site: str) -> None:
    for client in (
        speaking_as(Role.LAB),
        speaking_as(Role.LAB, site, "98"),
        speaking_as(Role.LAB, site, application="OTHER"),
        speaking_as(Role.COORDINATOR, site),
    ):
        response = await client.post("/labs/hl7v2", content=oru(subject=f"{site}-001").encode(), headers=ER7)
        assert (response.status_code, response.json()["type"]) == (403, "/problems/forbidden")


async def test_nothing_that_names_a_person_stands_in_clear(speaking_as: As, site: str) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site)
    observations = (
        OBX_HGB,
        "TX|8251-1^Comment^LN||Mrs Doe was fasting||||||F",
        "NM|DOE^Jane^Mrs Doe||8.6|g/dL|||||F",
        "NM|718-7^Hemoglobin^LN||8.6|of Mrs Doe|||||F",
        "NM|777-3^Platelets^LN|||fasting woman|||||X",
    )
    await send(lis, oru(*observations, subject=subject, control_id="1"))
    last = await send(lis, oru(*observations, subject="unknown", control_id="2"))
    trail = await speaking_as(Role.REGULATOR).get(
        "/audit/events", params={"site": site}, headers={"Log-Position": str(position_of(last))}
    )
    listed = await speaking_as(Role.MONITOR, site).get("/labs/quarantine", params={"site": site})
    assert "lab-message-quarantined" in trail.text
    for text in (trail.text, listed.text):
        assert not [word for word in PERSONAL if word.casefold() in text.casefold()]


@needs_corpus
@pytest.mark.parametrize(("path", "sent"), CORPUS_MESSAGES)
async def test_a_message_of_another_maker_is_received_without_loss(speaking_as: As, path: Path, sent: bytes) -> None:
    """Its subject is unknown, so it is quarantined; once a subject is named, the rest is dismissed by code."""
    site = "97"
    staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    text = decode(sent).replace("|1932|", f"|{path.stem}|")  # six of them share one control id
    answer = await send(lis, text)
    assert acknowledgment(answer)[1:] == "E"
    at = position_of(answer)
    [message] = [each for each in await quarantined_at(staff, site, at) if each["id"] == at]
    no_subject, *grounds = message["grounds"]
    assert no_subject["code"] == "unknown-subject"
    assert path.parent.name != "simhospital" or not grounds
    codes = {ground["sent_code"]: None for ground in grounds if ground["sent_code"]}
    release = {"reason": "the subject is known", "subject": subject, "mapping": {"codes": codes}}
    [report] = (await post(staff, f"/labs/quarantine/{message['id']}/release", release))["reports"]
    items = await results_of(staff, subject, report["position"])
    assert sorted(item["code"] for item in items) == sorted(result["code"] for result in report["results"])
