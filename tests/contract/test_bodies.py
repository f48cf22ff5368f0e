"""How a body has to come: as JSON in UTF-8, where JSON is read; and one that cannot be read is told why and where."""

from __future__ import annotations

import pytest

from shared.identity import Role
from tests.journeys.trial import As

PATH = "/randomization/subjects"
SENT = b'{"site": "01", "birth_year": 1960, "sex": "F"}'


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml; charset=utf-8",
        "json",
        "",
        "application/json; charset=gb18030",
        'application/json; charset="ISO-8859-1"',
        "application/json; charset=",
        "application/json; charset*=utf-8''%ff",
    ],
)
async def test_what_is_not_said_to_be_json_in_utf_8_is_not_read_as_such(speaking_as: As, content_type: str) -> None:
    response = await speaking_as(Role.ADMIN).post(PATH, content=SENT, headers={"Content-Type": content_type})
    assert (response.status_code, response.json()["type"]) == (415, "/problems/unsupported-media-type")


async def test_a_body_of_no_said_type_is_not_guessed_at(speaking_as: As) -> None:
    response = await speaking_as(Role.ADMIN).post(PATH, content=SENT)
    assert (response.status_code, response.json()["type"]) == (415, "/problems/unsupported-media-type")


async def test_no_body_at_all_is_one_that_is_missing(speaking_as: As) -> None:
    response = await speaking_as(Role.ADMIN).post(PATH)
    assert (response.status_code, response.json()["type"]) == (422, "/problems/invalid-request")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8", "application/a+json"])
async def test_json_in_utf_8_is_read(speaking_as: As, site: str, content_type: str) -> None:
    sent = SENT.replace(b"01", site.encode())
    response = await speaking_as(Role.ADMIN).post(PATH, content=sent, headers={"Content-Type": content_type})
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b'{\n  "site": "01",\n  "sex": Jane\n}', "Expecting value: line 3 column 10 (char 27)"),
        (b'{"site": "01"', "Expecting ',' delimiter: line 1 column 14 (char 13)"),
        (b'{"site": "\xff"}', "the body is not UTF-8 (byte 10)"),
        (b'{"Jane": 1, "Jane": 2}', "a member name occurs twice in one object"),
    ],
)
async def test_json_that_cannot_be_read_is_refused_with_the_place_and_without_what_stands_there(
    speaking_as: As, sent: bytes, why: str
) -> None:
    response = await speaking_as(Role.ADMIN).post(PATH, content=sent, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["type"]) == (422, "/problems/invalid-request")
    assert response.json()["errors"] == [{"at": "body", "code": "json_invalid", "message": why}]
    assert response.json()["detail"] == f"body: {why}"
    assert "Jane" not in response.text
