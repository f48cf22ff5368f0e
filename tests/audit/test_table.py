"""Events as a table: a row holds all of an event, and no cell is run."""

from __future__ import annotations

import csv
import io
import json

import pytest

from services.audit import table
from services.audit.answers import Author, EventItem
from tests.audit.logs import document


def item(name: str = "Ana Souza", reason: str | None = None) -> EventItem:
    members = document(7, reason=reason) | {"position": 7, "leaf_hash": "+" + "A" * 42 + "="}
    return EventItem.model_validate(members | {"by": Author(id="u-1", name=name, role="coordinator", org="Hospital")})


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
