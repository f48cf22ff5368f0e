"""What was recorded, the proof of it, and signatures over it, over HTTP."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.audit import merkle, verifier
from services.audit.checkpoint import VerifierKey, verify_checkpoint
from shared.identity import Role
from shared.keys import Keys
from shared.tokens import issue
from tests.journeys.subjects import ELIGIBLE, enrolled, pages_of, post, screened
from tests.journeys.trial import As, Trial


async def get(client: httpx.AsyncClient, path: str, at: int = 0, **parameters: str | int) -> httpx.Response:
    """GET from a read model that reflects at least a position, and expect 200."""
    response = await client.get(path, params=parameters, headers={"Log-Position": str(at)})
    assert response.status_code == 200, response.text
    return response


async def problem(client: httpx.AsyncClient, path: str, **parameters: str | int) -> tuple[int, str]:
    """The status and the code of the problem that a GET is answered with."""
    response = await client.get(path, params=parameters)
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["type"].removeprefix("/problems/")


async def all_pages(client: httpx.AsyncClient, path: str, at: int, **parameters: str | int) -> list[dict[str, Any]]:
    return list(chain(*await pages_of(client, path, at, **parameters)))


async def consented(client: httpx.AsyncClient, site: str) -> tuple[str, int]:
    """A subject with two events, and the position of the second."""
    subject = await screened(client, site)
    answer = await post(client, f"/randomization/subjects/{subject}/consent", {"version": "1.0"})
    return subject, answer["position"]


class TestQuestions:
    async def test_everything_about_a_subject_is_in_its_trail(self, speaking_as: As, site: str) -> None:
        staff = speaking_as(Role.COORDINATOR, site)
        subject = await enrolled(staff, site)
        head = (await post(staff, f"/randomization/subjects/{subject}/randomization", {}))["position"]
        items = await all_pages(staff, f"/audit/subjects/{subject}", head, limit=2)
        assert [item["type"] for item in items] == [
            "subject-screened",
            "informed-consent-obtained",
            "eligibility-assessed",
            "subject-enrolled",
            "subject-randomized",
        ]
        assert [item["position"] for item in items] == sorted(item["position"] for item in items)
        screening = items[0]
        assert screening["by"] == {
            "id": f"coordinator-{site}",
            "name": "Coordinator",
            "role": "coordinator",
            "org": "marrow",
        }
        assert screening["data"] == {"subject": subject, "site": site, "birth_year": 1960, "sex": "F"}
        assert {f"subject:{subject}", f"site:{site}"} <= set(screening["tags"])
        assert items == await all_pages(staff, "/audit/events", head, subject=subject, limit=3)

    async def test_one_event_shows_the_bytes_that_its_leaf_is_made_of(self, speaking_as: As, site: str) -> None:
        _, position = await consented(speaking_as(Role.COORDINATOR, site), site)
        event = (await get(speaking_as(Role.REGULATOR), f"/audit/events/{position}", position)).json()
        leaf = hashlib.sha256(b"\x00" + event["record"].encode()).digest()
        assert base64.b64decode(event["leaf_hash"]) == leaf
        assert json.loads(event["record"])["data"] == event["data"]

    async def test_events_are_found_by_all_filters_together(self, speaking_as: As, site: str) -> None:
        subject, first = await consented(speaking_as(Role.COORDINATOR, site), site)
        admin = speaking_as(Role.ADMIN)
        again = await post(admin, f"/randomization/subjects/{subject}/consent", {"version": "2.0"})
        at = (await get(admin, f"/audit/events/{again['position']}", again["position"])).json()["recorded_at"]

        async def found(**parameters: str | int) -> list[int]:
            items = await all_pages(admin, "/audit/events", again["position"], **parameters)
            return [item["position"] for item in items]

        both = [first, again["position"]]
        assert await found(site=site, type="informed-consent-obtained") == both
        assert await found(site=site, type="informed-consent-obtained", actor=f"coordinator-{site}") == both[:1]
        assert await found(site=site, recorded_from=at) == both[1:]
        assert await found(subject=subject, actor="admin-all", recorded_to=at) == both[1:]
        just_before = (datetime.fromisoformat(at) - timedelta(microseconds=1)).isoformat()
        assert await found(site=site, type="informed-consent-obtained", recorded_to=just_before) == both[:1]
        assert await found(site=site, recorded_from="2150-01-01T00:00:00Z") == []
        assert await found(site=site, recorded_to="1950-01-01T00:00:00Z") == []

    async def test_the_same_question_is_answered_as_csv(self, speaking_as: As, site: str) -> None:
        subject, position = await consented(speaking_as(Role.COORDINATOR, site), site)
        regulator = speaking_as(Role.REGULATOR)
        wanted = {"subject": subject, "limit": "1"}
        headers = {"Accept": "text/csv, application/json;q=0.5", "Log-Position": str(position)}
        response = await regulator.get("/audit/events", params=wanted, headers=headers)
        assert response.headers["Content-Type"].startswith("text/csv")
        (row,) = csv.DictReader(io.StringIO(response.text))
        assert (row["type"], row["by_role"], row["reason"]) == ("subject-screened", "coordinator", "")
        assert json.loads(row["data"])["subject"] == subject
        following = await regulator.get(response.links["next"]["url"])
        assert [item["position"] for item in following.json()["items"]] == [position]
        refused = await regulator.get("/audit/events", headers={"Accept": "image/png"})
        assert (refused.status_code, refused.json()["type"]) == (406, "/problems/not-acceptable")

    async def test_a_subject_is_shown_as_it_was_known_then(self, speaking_as: As, site: str) -> None:
        staff = speaking_as(Role.COORDINATOR, site)
        long_ago = "2026-01-05T08:00:00+08:00"
        subject = await screened(staff, site, "2026-01-05T07:00:00+08:00")
        path = f"/randomization/subjects/{subject}"
        late = await post(staff, f"{path}/consent", {"version": "1.0", "occurred_at": long_ago})
        await post(staff, f"{path}/eligibility", ELIGIBLE | {"hiv": "positive"})
        mended = await post(staff, f"{path}/eligibility", ELIGIBLE | {"reason": "wrong tube"})
        trail = await all_pages(staff, f"/audit/subjects/{subject}", mended["position"])
        recorded = {item["position"]: item["recorded_at"] for item in trail}

        async def types(**parameters: str) -> list[str]:
            answer = (await get(staff, f"/audit/subjects/{subject}/as-of", 0, **parameters)).json()
            assert set(answer["state"]) == {event["type"] for event in answer["events"]}
            return [event["type"] for event in answer["events"]]

        assert await types(recorded=recorded[late["position"]]) == ["subject-screened", "informed-consent-obtained"]
        assert await types(occurred="2026-01-05T00:00:00Z") == ["subject-screened", "informed-consent-obtained"]
        assert await types(occurred="2026-01-04T23:59:59.999999Z") == ["subject-screened"]
        assert await types(occurred="2026-01-04T22:59:59.999999Z") == []
        assert await types(recorded="2020-01-01T00:00:00Z") == []
        now = (await get(staff, f"/audit/subjects/{subject}/as-of")).json()
        assert now["state"]["eligibility-assessed"]["data"]["eligible"] is True
        assert len(now["events"]) == 4

    async def test_what_is_not_there_is_404(self, speaking_as: As, site: str) -> None:
        regulator = speaking_as(Role.REGULATOR)
        assert await problem(regulator, "/audit/events/999999999") == (404, "unknown-position")
        assert await problem(regulator, f"/audit/subjects/{site}-999") == (404, "unknown-subject")
        assert await problem(regulator, f"/audit/subjects/{site}-999/as-of") == (404, "unknown-subject")

    @pytest.mark.parametrize(
        "parameters",
        [
            {"limit": "0"},
            {"limit": "501"},
            {"limit": "1e2"},
            {"limit": "1_0"},
            {"after": "-1"},
            {"after": "1.0"},
            {"after": "9007199254740992"},
            {"subject": "01-1"},
            {"site": "1"},
            {"type": "Subject"},
            {"actor": ""},
            {"actor": "a\0b"},
            {"recorded_from": "yesterday"},
            {"recorded_to": "2026-01-01T00:00:00"},
        ],
    )
    async def test_a_question_that_makes_no_sense_is_422(self, speaking_as: As, parameters: dict[str, str]) -> None:
        assert await problem(speaking_as(Role.REGULATOR), "/audit/events", **parameters) == (422, "invalid-request")


class TestSites:
    async def test_staff_sees_the_events_of_its_own_sites_alone(self, speaking_as: As, site: str) -> None:
        subject, position = await consented(speaking_as(Role.COORDINATOR, site), site)
        stranger = speaking_as(Role.INVESTIGATOR, "98", "99")
        forbidden = (403, "forbidden")
        assert await problem(stranger, f"/audit/events/{position}") == forbidden
        assert await problem(stranger, f"/audit/subjects/{subject}") == forbidden
        assert await problem(stranger, f"/audit/subjects/{subject}/as-of") == forbidden
        assert await problem(stranger, "/audit/events", site=site) == forbidden
        assert await problem(stranger, "/audit/events", subject=subject) == forbidden
        assert await problem(stranger, "/audit/export") == forbidden
        assert await all_pages(stranger, "/audit/events", position) == []
        own = await all_pages(speaking_as(Role.COORDINATOR, site), "/audit/events", position)
        assert {f"site:{site}" in item["tags"] for item in own} == {True}

    async def test_the_export_is_for_who_inspects_all_sites(self, speaking_as: As) -> None:
        assert await problem(speaking_as(Role.MONITOR, "01"), "/audit/export") == (403, "forbidden")
        assert await problem(speaking_as(Role.STATISTICIAN), "/audit/export") == (403, "forbidden")
        assert await problem(speaking_as(Role.LAB, "01"), "/audit/events") == (403, "forbidden")


class TestProofs:
    async def test_an_event_is_proved_under_the_signed_checkpoint(self, speaking_as: As, site: str) -> None:
        _, position = await consented(speaking_as(Role.COORDINATOR, site), site)
        lab = speaking_as(Role.LAB, site)
        key = VerifierKey.parse((await get(lab, "/audit/key")).text.strip())
        signed = await get(lab, "/audit/checkpoint", position)
        assert signed.headers["Content-Type"].startswith("text/plain")
        checkpoint = verify_checkpoint(signed.text, key)
        assert int(signed.headers["Log-Position"]) == checkpoint.size >= position
        answer = (await get(lab, "/audit/proofs/inclusion", position=position, size=checkpoint.size)).json()
        assert (answer["leaf_index"], answer["tree_size"]) == (position - 1, checkpoint.size)
        assert base64.b64decode(answer["root"]) == checkpoint.root
        proof = [base64.b64decode(digest) for digest in answer["proof"]]
        leaf = base64.b64decode(answer["leaf_hash"])
        merkle.verify_inclusion(leaf, position - 1, checkpoint.size, proof, checkpoint.root)

    async def test_the_log_only_grows(self, speaking_as: As, site: str) -> None:
        staff = speaking_as(Role.COORDINATOR, site)
        _, earlier = await consented(staff, site)
        older = (await get(staff, "/audit/checkpoint", earlier)).text.split("\n")
        _, later = await consented(staff, site)
        answer = (await get(staff, "/audit/proofs/consistency", later, **{"from": older[1]})).json()
        assert (answer["from"], answer["root_from"]) == (int(older[1]), older[2])
        merkle.verify_consistency(
            answer["from"],
            answer["to"],
            base64.b64decode(answer["root_from"]),
            base64.b64decode(answer["root_to"]),
            [base64.b64decode(digest) for digest in answer["proof"]],
        )

    async def test_beyond_the_tree_nothing_is_proved(self, speaking_as: As, site: str) -> None:
        staff = speaking_as(Role.COORDINATOR, site)
        _, position = await consented(staff, site)
        await get(staff, "/audit/checkpoint", position)
        far = 2**53 - 1
        inclusion, consistency = "/audit/proofs/inclusion", "/audit/proofs/consistency"
        assert await problem(staff, inclusion, position=far) == (404, "unknown-position")
        assert await problem(staff, inclusion, position=1, size=far) == (404, "unknown-tree-size")
        assert await problem(staff, inclusion, position=2, size=1) == (404, "unknown-position")
        assert await problem(staff, inclusion, position=0) == (422, "invalid-request")
        assert await problem(staff, consistency, **{"from": 0}) == (422, "invalid-request")
        assert await problem(staff, consistency, **{"from": 2, "to": 1}) == (404, "unknown-tree-size")
        assert await problem(staff, consistency, **{"from": 1, "to": far}) == (404, "unknown-tree-size")


class TestExport:
    @pytest.mark.parametrize("part", [False, True], ids=["the whole log", "a part of it"])
    async def test_an_export_is_verified_offline(
        self, speaking_as: As, site: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: bool
    ) -> None:
        staff, regulator = speaking_as(Role.COORDINATOR, site), speaking_as(Role.REGULATOR)
        _, first = await consented(staff, site)
        held = tmp_path / "checkpoint"
        held.write_text((await get(regulator, "/audit/checkpoint", first)).text, encoding="utf-8")
        _, last = await consented(staff, site)
        vkey = (await get(regulator, "/audit/key")).text.strip()
        wanted: dict[str, int] = {"from": 2, "to": last} if part else {}
        response = await get(regulator, "/audit/export", last, **wanted)
        assert response.headers["Content-Type"] == "application/x-ndjson"
        file = tmp_path / "export.ndjson"
        file.write_bytes(response.content)
        lines = response.content.splitlines()
        assert [json.loads(line)["position"] for line in lines[:-1]] == list(range(2 if part else 1, last + 1))

        assert verifier.main([str(file), "--key", vkey, "--checkpoint", str(held)]) == 0
        assert capsys.readouterr().out.endswith("OK\n")
        file.write_bytes(response.content.replace(b'"consent_version', b'"consent_Version', 1))
        assert verifier.main([str(file), "--key", vkey]) == 1
        assert "leaf-hash-mismatch" in capsys.readouterr().out

    async def test_an_empty_part_is_an_export_too(self, speaking_as: As, site: str) -> None:
        _, position = await consented(speaking_as(Role.COORDINATOR, site), site)
        monitor = speaking_as(Role.MONITOR)
        response = await get(monitor, "/audit/export", position, **{"from": position, "to": position - 1})
        assert verifier.verify([response.content]).ok

    async def test_there_is_no_export_beyond_the_tree(self, speaking_as: As) -> None:
        monitor = speaking_as(Role.MONITOR)
        assert await problem(monitor, "/audit/export", to=2**50) == (404, "unknown-tree-size")
        assert await problem(monitor, "/audit/export", **{"from": 2**50}) == (404, "unknown-position")
        assert await problem(monitor, "/audit/export", **{"from": 3, "to": 1}) == (404, "unknown-position")


class TestSignatures:
    async def test_a_signature_holds_until_what_was_signed_is_changed(self, speaking_as: As, site: str) -> None:
        staff, signer = speaking_as(Role.COORDINATOR, site), speaking_as(Role.INVESTIGATOR, site)
        subject = await screened(staff, site)
        path = f"/randomization/subjects/{subject}"
        await post(staff, f"{path}/consent", {"version": "1.0"})
        position = (await post(staff, f"{path}/eligibility", ELIGIBLE | {"hiv": "positive"}))["position"]

        body = {"positions": [position], "meaning": "responsibility"}
        response = await signer.post("/audit/signatures", json=body, headers={"Idempotency-Key": "s1"})
        assert response.status_code == 201, response.text
        signed = response.json()
        assert response.headers["Log-Position"] == str(signed["position"])
        assert response.headers["Location"] == f"/audit/signatures/{signed['position']}"
        retry = await signer.post("/audit/signatures", json=body, headers={"Idempotency-Key": "s1"})
        assert (retry.status_code, retry.json()) == (201, signed)

        address = f"/audit/signatures/{signed['position']}"
        shown = (await get(staff, address, signed["position"])).json()
        assert (shown["printed_name"], shown["meaning"]) == ("Investigator", "responsibility")
        assert (shown["status"], shown["superseded_by"]) == ("valid", [])
        event = (await get(staff, f"/audit/events/{position}")).json()
        assert shown["records"] == [{"position": position, "leaf_hash": event["leaf_hash"]}]
        assert event["signatures"] == [signed["position"]]

        mended = await post(staff, f"{path}/eligibility", ELIGIBLE | {"reason": "wrong tube"})
        shown = (await get(staff, address, mended["position"])).json()
        assert (shown["status"], shown["superseded_by"]) == ("superseded", [mended["position"]])
        trail = await all_pages(staff, f"/audit/subjects/{subject}", mended["position"])
        assert [item["type"] for item in trail][-2:] == ["records-signed", "eligibility-assessed"]

    async def test_a_signature_needs_fresh_authentication(self, trial: Trial, speaking_as: As, site: str) -> None:
        _, position = await consented(speaking_as(Role.COORDINATOR, site), site)
        stale = issue(
            Keys(trial.settings).issuer(),
            trial.settings,
            role=Role.INVESTIGATOR,
            now=datetime.now(UTC) - timedelta(minutes=6),
            subject="i1",
            name="Ines Gator",
        )
        async with httpx.AsyncClient(base_url=trial.url, headers={"Authorization": f"Bearer {stale}"}) as signer:
            body = {"positions": [position], "meaning": "review"}
            answer = await post(signer, "/audit/signatures", body, status=403)
        assert answer["type"] == "/problems/fresh-authentication-needed"

    async def test_only_what_exists_and_may_be_seen_is_signed(self, speaking_as: As, site: str) -> None:
        _, position = await consented(speaking_as(Role.COORDINATOR, site), site)
        body: dict[str, Any] = {"positions": [position, 10**9], "meaning": "review"}
        answer = await post(speaking_as(Role.REGULATOR), "/audit/signatures", body, status=404)
        assert (answer["type"], answer["positions"]) == ("/problems/unknown-position", [10**9])
        body["positions"] = [position]
        await post(speaking_as(Role.INVESTIGATOR, "99"), "/audit/signatures", body, status=403)
        await post(speaking_as(Role.COORDINATOR, site), "/audit/signatures", body, status=403)
        signed = await post(speaking_as(Role.REGULATOR), "/audit/signatures", body)
        stranger = speaking_as(Role.INVESTIGATOR, "99")
        assert await problem(stranger, f"/audit/signatures/{signed['position']}") == (403, "forbidden")

    async def test_what_is_no_signature_is_404(self, speaking_as: As, site: str) -> None:
        _, position = await consented(speaking_as(Role.COORDINATOR, site), site)
        monitor = speaking_as(Role.MONITOR)
        assert await problem(monitor, f"/audit/signatures/{position}") == (404, "unknown-signature")
        assert await problem(monitor, "/audit/signatures/999999999") == (404, "unknown-signature")
