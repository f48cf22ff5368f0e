"""The Accept header decides which of several media types a caller gets (RFC 9110 §12.5.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.negotiation import preferred

JSON, CSV = "application/json", "text/csv"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", JSON),
        ("application/json", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV; header=present", CSV),
        ("text/*", CSV),
        ("text/csv, application/json", JSON),
        ("text/csv, application/json;q=0.9", CSV),
        ("text/html, text/csv;q=0.2, */*;q=0.1", CSV),
        ("application/json;q=0, */*", CSV),
        ("text/html", None),
        ("*/*;q=0", None),
        ("", None),
        (",;=,q", None),
    ],
)
def test_the_caller_gets_what_it_likes_best(accept: str, media: str | None) -> None:
    assert preferred(accept, (JSON, CSV)) == media


@given(st.text())
def test_any_header_is_understood_or_not_acceptable(accept: str) -> None:
    assert preferred(accept, (JSON, CSV)) in {JSON, CSV, None}
