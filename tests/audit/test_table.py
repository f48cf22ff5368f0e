"""Events as a table: the Accept header decides, and no cell is run."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit import table
from services.audit.answers import Author, EventItem
from tests.audit.logs import document


def item(name: str = "Ana Souza", reason: str | None = None) -> EventItem:
    members = document(7, reason=reason) | {"position": 7, "leaf_hash": "+" + "A" * 42 + "="}
    return EventItem.model_validate(members | {"by": Author(id="u-1", name=name, role="coordinator", org="Hospital")})


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", table.JSON),
        ("application/json", table.JSON),
        ("text/csv", table.CSV),
        ("TEXT/CSV; header=present", table.CSV),
        ("text/*", table.CSV),
        ("text/csv, application/json", table.JSON),
        ("text/csv, application/json;q=0.9", table.CSV),
        ("text/html, text/csv;q=0.2, */*;q=0.1", table.CSV),
        ("application/json;q=0, */*", table.CSV),
        ("text/html", None),
        ("*/*;q=0", None),
        ("", None),
        (",;=,q", None),
    ],
)
def test_the_caller_gets_what_it_likes_best(accept: str, media: str | None) -> None:
    assert table.preferred(accept) == media


@given(st.text())
def test_any_header_is_understood_or_not_acceptable(accept: str) -> None:
    assert table.preferred(accept) in {table.JSON, table.CSV, None}


def test_a_row_holds_all_of_an_event() -> None:
    (row,) = csv.DictReader(io.StringIO(table.csv_of([item(reason="line 1\nline 2, and 3")])))
    assert tuple(row) == table.COLUMNS
    assert (row["position"], row["by_name"], row["reason"]) == ("7", "Ana Souza", "line 1\nline 2, and 3")
    assert json.loads(row["data"]) == {"platelets": "41", "subject": "01-001"}
    assert json.loads(row["tags"]) == ["subject:01-001"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_what_people_wrote_is_no_formula(text: str) -> None:
    (row,) = csv.DictReader(io.StringIO(table.csv_of([item(name=text, reason=text)])))
    assert (row["by_name"], row["reason"]) == (f"'{text}", f"'{text}")
    assert row["leaf_hash"].startswith("+"), "what a computer wrote is left alone"
