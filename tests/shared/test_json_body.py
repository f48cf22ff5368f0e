"""JSON bodies are read exactly, or refused."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.json_body import parse_exact


def test_a_decimal_keeps_the_digits_it_was_sent_with() -> None:
    assert str(parse_exact(b'{"value": 1.50}')["value"]) == "1.50"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_no_decimal_passes_through_a_binary_float(value: Decimal) -> None:
    assert parse_exact(f"[{value:f}]".encode()) == [value]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"week": 1, "week": 2}', "occurs twice"),
        (b'{"a": {"b": 1, "b": 1}}', "occurs twice"),
        (b'{"value": NaN}', "NaN"),
        (b'{"value": -Infinity}', "Infinity"),
        (b'{"name": "a\\u0000b"}', "NUL"),
        (b'{"n\\u0000": 1}', "NUL"),
        (b'["\\ud800"]', "surrogate"),
        (b"\xff\xfe{}", "UTF-8"),
        (b"[" * 100_000, "nested|recursion"),
        (b"[" + b"9" * 10_000 + b"]", "digits"),
        (b"[1e99999999999999999999]", "digits"),
        (b"{", "Expecting"),
    ],
)
def test_what_is_ambiguous_or_unstorable_is_refused_as_malformed(body: bytes, why: str) -> None:
    with pytest.raises(json.JSONDecodeError, match=why):
        parse_exact(body)


def test_an_escaped_backslash_before_u_is_no_escape() -> None:
    assert parse_exact(rb'["\\u0000"]') == ["\\u0000"]


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_decode_error(body: bytes) -> None:
    with contextlib.suppress(json.JSONDecodeError):
        parse_exact(body)


def test_a_large_object_with_one_duplicate_is_refused_without_comparing_each_name_to_each() -> None:
    members = ",".join(f'"k{number}":1' for number in range(200_000))
    with pytest.raises(json.JSONDecodeError, match="occurs twice"):
        parse_exact(f'{{{members},"k7":2}}'.encode())
