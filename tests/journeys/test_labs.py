"""Laboratory reports over HTTP: in JSON and in HL7 v2, corrected, held and released."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.labs.charset import decode
from services.labs.er7 import Message, parse
from services.labs.transmission import split
from shared.identity import Role
from tests.corpus import CORPUS, needs_corpus
from tests.journeys.subjects import blood_count, post, screened
from tests.journeys.trial import As
from tests.labs.examples import OBX_HCT, OBX_HGB, OBX_LOCAL, OBX_NO_UNIT, OBX_PLT, body, hgb, oru

ER7 = {"Content-Type": "application/hl7-v2"}
CORPUS_MESSAGES = sorted(
    path for folder in ("microsoft-fhir-converter", "simhospital") for path in (CORPUS / "hl7v2" / folder).glob("*.hl7")
)


async def results_of(client: httpx.AsyncClient, subject: str, at: int, **parameters: str) -> list[dict[str, Any]]:
    """A subject's results from a read model that reflects at least a position."""
    path = f"/labs/subjects/{subject}/results"
    response = await client.get(path, params=parameters, headers={"Log-Position": str(at)})
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def held_at(client: httpx.AsyncClient, site: str, at: int, state: str = "held") -> list[dict[str, Any]]:
    """What is held at a site."""
    parameters = {"site": site, "state": state}
    response = await client.get("/labs/quarantine", params=parameters, headers={"Log-Position": str(at)})
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def send(client: httpx.AsyncClient, text: str | bytes) -> httpx.Response:
    """POST HL7 v2 and expect an acknowledgment."""
    content = text.encode() if isinstance(text, str) else text
    response = await client.post("/labs/hl7v2", content=content, headers=ER7)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/hl7-v2; charset=utf-8"
    return response


def acknowledgment(response: httpx.Response) -> str:
    """MSA-1 of a single answer."""
    return _message(response).first("MSA")[1].value


def errors(response: httpx.Response) -> list[tuple[str, str]]:
    """(location, condition) of each ERR."""
    return [(err[2].text, err[3][1].value) for err in _message(response).all("ERR")]


def _message(response: httpx.Response) -> Message:
    return parse(response.text)


def position_of(response: httpx.Response) -> int:
    return int(response.headers["Log-Position"])


async def problem_of(client: httpx.AsyncClient, sent: object, status: int) -> str:
    """The code of the problem that a report is refused with."""
    response = await client.post("/labs/results", json=sent)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    return str(response.json()["type"]).removeprefix("/problems/")


class TestReportsInJson:
    async def test_a_report_is_recorded_converted_graded_and_queryable(self, speaking_as: As, site: str) -> None:
        staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
        subject = await screened(staff, site)
        result = {
            "loinc": "718-7",
            "value": 8.60,
            "unit": "g/dL",
            "status": "F",
            "reference_low": "12",
            "reference_high": "16",
        }
        [report] = (await post(lis, "/labs/results", body(result, subject=subject)))["reports"]
        assert report["subject"] == subject
        assert [
            (each["code"], each["value"], each["unit"], each["grade"], each["flag"]) for each in report["results"]
        ] == [("HGB", "86", "g/L", 2, "L")]
        [item] = await results_of(staff, subject, report["position"], code="HGB")
        assert (item["value"], item["version"], item["position"]) == ("86", 1, report["position"])
        assert item["as_sent"] == {"code": "718-7", "value": "8.6", "unit": "g/dL"}

    async def test_the_same_report_again_gets_the_first_answer(self, speaking_as: As, site: str) -> None:
        subject = await screened(speaking_as(Role.COORDINATOR, site), site)
        lis = speaking_as(Role.LAB, site)
        report = blood_count(subject, "m1")
        first = await post(lis, "/labs/results", report)
        assert await post(lis, "/labs/results", report) == first

    async def test_64_identical_reports_at_once_are_one_event(self, speaking_as: As, site: str) -> None:
        subject = await screened(speaking_as(Role.COORDINATOR, site), site)
        lis = speaking_as(Role.LAB, site)
        report = blood_count(subject, "m1")
        answers = await asyncio.gather(*(post(lis, "/labs/results", report) for _ in range(64)))
        assert all(answer == answers[0] for answer in answers)
        items = await results_of(speaking_as(Role.MONITOR), subject, answers[0]["reports"][0]["position"])
        assert [item["version"] for item in items] == [1] * len(report["results"])

    async def test_a_message_id_is_not_used_for_another_content(self, speaking_as: As, site: str) -> None:
        subject = await screened(speaking_as(Role.COORDINATOR, site), site)
        lis = speaking_as(Role.LAB, site)
        await post(lis, "/labs/results", body(subject=subject))
        assert await problem_of(lis, body(hgb("87"), subject=subject), 409) == "message-id-reused"

    async def test_a_correction_is_a_new_version_and_the_old_one_stays(self, speaking_as: As, site: str) -> None:
        staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
        subject = await screened(staff, site)
        await post(lis, "/labs/results", body(subject=subject))
        [corrected] = (await post(lis, "/labs/results", body(hgb("96", "C"), subject=subject, message_id="m2")))[
            "reports"
        ]
        items = await results_of(staff, subject, corrected["position"])
        assert [(item["version"], item["value"], item["current"]) for item in items] == [
            (2, "96", True),
            (1, "86", False),
        ]
        [current] = await results_of(staff, subject, corrected["position"], versions="current")
        assert current["value"] == "96"
        retraction = body(hgb(None, "D"), subject=subject, message_id="m3")
        [deleted] = (await post(lis, "/labs/results", retraction))["reports"]
        [current] = await results_of(staff, subject, deleted["position"], versions="current")
        assert (current["version"], current["status"], current["value"]) == (3, "D", None)

    async def test_one_bad_report_of_many_costs_itself_alone(self, speaking_as: As, site: str) -> None:
        subject = await screened(speaking_as(Role.COORDINATOR, site), site)
        sent = [
            body(subject=subject, message_id="m1"),
            body(hgb(unit="furlong"), subject=subject, message_id="m2"),
            body(subject=f"{site}-999", message_id="m3"),
            {"subject": subject},
            body(hgb("88"), subject=subject, message_id="m5", order="O5"),
        ]
        response = await speaking_as(Role.LAB, site).post("/labs/results", json=sent)
        assert response.status_code == 207
        assert [report["status"] for report in response.json()["reports"]] == [201, 422, 404, 422, 201]
        types = [report["problem"]["type"] for report in response.json()["reports"] if "problem" in report]
        assert types == ["/problems/unknown-unit", "/problems/unknown-subject", "/problems/invalid-request"]

    async def test_where_none_of_several_is_good_the_first_problem_is_the_answer(
        self, speaking_as: As, site: str
    ) -> None:
        sent = [body(subject=f"{site}-999", message_id="m1"), {}]
        response = await speaking_as(Role.LAB, site).post("/labs/results", json=sent)
        assert (response.status_code, response.json()["type"]) == (404, "/problems/unknown-subject")
        assert [report["status"] for report in response.json()["reports"]] == [404, 422]

    async def test_bad_reports_are_refused_with_stable_codes(self, speaking_as: As, site: str) -> None:
        subject = await screened(speaking_as(Role.COORDINATOR, site), site)
        lis = speaking_as(Role.LAB, site)
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        for sent, status, code in (
            (body(subject=f"{site}-999"), 404, "unknown-subject"),
            (body(hgb(code="NOVEL"), subject=subject), 422, "unknown-analyte"),
            (body(hgb(unit="furlong"), subject=subject), 422, "unknown-unit"),
            (body(hgb("-8"), subject=subject), 422, "implausible-value"),
            (body(hgb("8600"), subject=subject), 422, "implausible-value"),
            (body(subject=subject, collected_at=tomorrow), 422, "occurred-in-the-future"),
            (body(subject=subject, surname="Doe"), 422, "invalid-request"),
            ([], 422, "invalid-request"),
            ("text", 422, "invalid-request"),
        ):
            assert await problem_of(lis, sent, status) == code
        assert await results_of(speaking_as(Role.MONITOR), subject, 0) == []

    async def test_a_token_speaks_for_its_sites_and_its_application(self, speaking_as: As, site: str) -> None:
        subject = await screened(speaking_as(Role.COORDINATOR, site), site)
        report = body(subject=subject)
        assert await problem_of(speaking_as(Role.LAB, "99"), report, 403) == "forbidden"
        assert await problem_of(speaking_as(Role.LAB, site, application="OTHER"), report, 403) == "forbidden"
        assert await problem_of(speaking_as(Role.MONITOR, site), report, 403) == "forbidden"
        await post(speaking_as(Role.LAB, site, application="LIS"), "/labs/results", report)

    async def test_results_page_by_cursor_and_filter_by_time(self, speaking_as: As, site: str) -> None:
        staff = speaking_as(Role.COORDINATOR, site)
        subject = await screened(staff, site)
        days = [f"2025-12-{day:02d}T08:00:00+00:00" for day in range(1, 6)]
        sent = [body(subject=subject, message_id=day, collected_at=day) for day in days]
        at = max(report["position"] for report in (await post(staff, "/labs/results", sent))["reports"])
        seen: list[str] = []
        parameters: dict[str, str] = {"limit": "2"}
        while True:
            path = f"/labs/subjects/{subject}/results"
            page = (await staff.get(path, params=parameters, headers={"Log-Position": str(at)})).json()
            seen += [item["message_id"] for item in page["items"]]
            if page["next"] is None:
                break
            parameters["after"] = page["next"]
        assert seen == days
        between = await results_of(staff, subject, at, **{"from": days[1], "to": days[3]})
        assert [item["message_id"] for item in between] == days[1:4]
        assert (await staff.get(path, params={"after": "nonsense"})).status_code == 422

    async def test_a_laboratory_reads_nothing(self, speaking_as: As, site: str) -> None:
        lis = speaking_as(Role.LAB, site)
        for path in (f"/labs/subjects/{site}-001/results", "/labs/quarantine"):
            assert (await lis.get(path)).status_code == 403

    async def test_an_unknown_subject_has_no_results(self, speaking_as: As, site: str) -> None:
        response = await speaking_as(Role.COORDINATOR, site).get(f"/labs/subjects/{site}-999/results")
        assert (response.status_code, response.json()["type"]) == (404, "/problems/unknown-subject")


class TestMessagesOfHl7:
    async def test_a_blood_count_is_acknowledged_once_it_is_recorded(self, speaking_as: As, site: str) -> None:
        staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
        subject = await screened(staff, site)
        answer = await send(lis, oru(OBX_HGB, OBX_PLT, OBX_HCT, subject=subject))
        assert acknowledgment(answer) == "AA"
        items = await results_of(staff, subject, position_of(answer))
        assert [(item["code"], item["value"], item["source"]) for item in items] == [
            ("HGB", "86", "hl7v2"),
            ("PLT", "62", "hl7v2"),
        ]

    async def test_the_same_message_again_gets_the_same_bytes_also_64_times_at_once(
        self, speaking_as: As, site: str
    ) -> None:
        subject = await screened(speaking_as(Role.COORDINATOR, site), site)
        lis = speaking_as(Role.LAB, site)
        text = oru(subject=subject)
        answers = await asyncio.gather(*(send(lis, text) for _ in range(64)))
        assert {(answer.content, position_of(answer)) for answer in answers} == {
            (answers[0].content, position_of(answers[0]))
        }
        as_lines = await send(lis, b"\xef\xbb\xbf" + text.replace("\r", "\r\n").encode())
        assert as_lines.content == answers[0].content

    async def test_a_control_id_is_not_used_for_another_content(self, speaking_as: As, site: str) -> None:
        subject = await screened(speaking_as(Role.COORDINATOR, site), site)
        lis = speaking_as(Role.LAB, site)
        await send(lis, oru(subject=subject))
        answer = await send(lis, oru(OBX_PLT, subject=subject))
        assert (acknowledgment(answer), errors(answer)) == ("AE", [("MSH^1^10", "205")])
        assert (await send(lis, oru(OBX_PLT, subject=subject))).content == answer.content

    async def test_what_cannot_be_read_is_held_and_the_rest_recorded(self, speaking_as: As, site: str) -> None:
        staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
        subject = await screened(staff, site)
        answer = await send(lis, oru(OBX_PLT, OBX_LOCAL, OBX_NO_UNIT, subject=subject))
        assert acknowledgment(answer) == "AE"
        assert errors(answer) == [("OBX^2^3", "103"), ("OBX^3^6", "101")]
        at = position_of(answer)
        assert [item["code"] for item in await results_of(staff, subject, at)] == ["PLT"]
        [held] = await held_at(staff, site, at)
        assert (held["subject"], held["message_id"]) == (subject, "42")
        assert [ground["code"] for ground in held["grounds"]] == ["unknown-analyte", "missing-unit"]

        path = f"/labs/quarantine/{held['id']}/release"
        too_little = await post(staff, path, {"reason": "mapped", "mapping": {"codes": {"HB1": "HGB"}}}, 409)
        assert too_little["type"] == "/problems/message-still-unreadable"
        mapping = {"codes": {"HB1": "HGB", "6690-2": None}}
        released = await post(staff, path, {"reason": "HB1 is haemoglobin", "mapping": mapping})
        items = await results_of(staff, subject, released["position"])
        assert [(item["code"], item["value"], item["version"]) for item in items] == [
            ("HGB", "86", 1),
            ("PLT", "62", 1),
        ]
        assert await held_at(staff, site, released["position"]) == []
        assert [item["id"] for item in await held_at(staff, site, 0, "released")] == [held["id"]]
        again = await post(staff, path, {"reason": "mapped", "mapping": mapping}, 409)
        assert again["type"] == "/problems/message-already-released"
        assert (await send(lis, oru(OBX_PLT, OBX_LOCAL, OBX_NO_UNIT, subject=subject))).content == answer.content

    async def test_an_unknown_subject_is_held_and_released_to_the_right_one(self, speaking_as: As, site: str) -> None:
        staff, lis = speaking_as(Role.COORDINATOR, site), speaking_as(Role.LAB, site)
        subject = await screened(staff, site)
        answer = await send(lis, oru(subject=f"{site}-999"))
        assert (acknowledgment(answer), errors(answer)) == ("AE", [("PID^1^3", "204")])
        [held] = await held_at(staff, site, position_of(answer))
        assert held["subject"] is None
        path = f"/labs/quarantine/{held['id']}/release"
        assert (await post(staff, path, {"reason": "none"}, 409))["type"] == "/problems/message-still-unreadable"
        stranger = speaking_as(Role.COORDINATOR, "99")
        assert (await stranger.post(path, json={"reason": "x", "subject": subject})).status_code == 403
        released = await post(staff, path, {"reason": "wrong number in PID-3", "subject": subject})
        assert [report["subject"] for report in released["reports"]] == [subject]
        [item] = await results_of(staff, subject, released["position"])
        assert (item["value"], item["as_sent"]["value"]) == ("86", "8.6")

    async def test_a_batch_is_answered_by_a_batch(self, speaking_as: As, site: str) -> None:
        subject = await screened(speaking_as(Role.COORDINATOR, site), site)
        messages = [
            oru(subject=subject, control_id="1"),
            oru(subject=f"{site}-999", control_id="2"),
            oru(subject=subject, control_id="3").replace("ORU^R01^ORU_R01", "ADT^A01"),
        ]
        answer = await send(speaking_as(Role.LAB, site), "BHS|^~\\&|LIS|LAB\r" + "".join(messages) + "BTS|3\r")
        answers = [parse(text).first("MSA") for text in split(answer.text).messages]
        assert [(msa[2].value, msa[1].value) for msa in answers] == [("1", "AA"), ("2", "AE"), ("3", "AR")]

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
        ],
    )
    async def test_what_is_no_message_is_rejected(self, speaking_as: As, site: str, sent: bytes) -> None:
        assert acknowledgment(await send(speaking_as(Role.LAB, site), sent)) in ("AR", "AE")

    async def test_other_media_types_and_absurd_sizes_are_refused(self, speaking_as: As, site: str) -> None:
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

    async def test_a_token_that_sends_messages_speaks_for_one_site_and_its_application(
        self, speaking_as: As, site: str
    ) -> None:
        for client in (
            speaking_as(Role.LAB),
            speaking_as(Role.LAB, site, "98"),
            speaking_as(Role.LAB, site, application="OTHER"),
            speaking_as(Role.COORDINATOR, site),
        ):
            response = await client.post("/labs/hl7v2", content=oru(subject=f"{site}-001").encode(), headers=ER7)
            assert (response.status_code, response.json()["type"]) == (403, "/problems/forbidden")

    async def test_nothing_that_names_a_person_stands_in_clear(self, speaking_as: As, site: str) -> None:
        subject = await screened(speaking_as(Role.COORDINATOR, site), site)
        lis = speaking_as(Role.LAB, site)
        note = "TX|8251-1^Comment^LN||Mrs Doe was fasting||||||F"
        await send(lis, oru(OBX_HGB, note, subject=subject, control_id="1"))
        last = await send(lis, oru(OBX_HGB, note, subject="unknown", control_id="2"))
        trail = await speaking_as(Role.REGULATOR).get(
            "/audit/events", params={"site": site}, headers={"Log-Position": str(position_of(last))}
        )
        held = await speaking_as(Role.MONITOR, site).get("/labs/quarantine", params={"site": site})
        assert "lab-message-quarantined" in trail.text
        for text in (trail.text, held.text):
            assert not [word for word in ("Doe", "Jane", "19610615", "MRN77", "Long Street", "fasting") if word in text]


@needs_corpus
@pytest.mark.parametrize("path", CORPUS_MESSAGES, ids=lambda path: path.stem)
async def test_a_message_of_another_maker_is_taken_in_without_loss(speaking_as: As, path: Any) -> None:
    """Its subject is unknown, so it is held; released to a subject, each result is recorded or named as not readable."""
    site = "97"
    staff = speaking_as(Role.COORDINATOR, site)
    lis = speaking_as(Role.LAB, site)
    subject = await screened(staff, site)
    sent = path.read_bytes()
    text = decode(sent).replace("|1932|", f"|{path.stem}|")  # six of the messages share one control id
    answer = await send(lis, text)
    assert acknowledgment(answer)[1:] == "E"
    held = next(item for item in await held_at(staff, site, position_of(answer)) if item["id"] == position_of(answer))
    assert held["grounds"][0]["code"] == "unknown-subject"
    unknown = {
        ground["sent_code"]: None
        for ground in held["grounds"]
        if ground["place"]["segment"] == "OBX" and ground["sent_code"]
    }
    release = {"reason": "the subject is known", "subject": subject, "mapping": {"codes": unknown}}
    response = await staff.post(f"/labs/quarantine/{held['id']}/release", json=release)
    if response.status_code == 409:  # an observation without a code cannot be mapped, and stays held
        assert {ground["code"] for ground in response.json()["grounds"]} == {"unknown-analyte"}
        return
    assert response.status_code == 201, response.text
    items = await results_of(staff, subject, response.json()["position"])
    assert len(items) == len(response.json()["reports"][0]["results"])
