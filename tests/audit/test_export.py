"""The lines of an export: exact bytes out and in again, and strict about everything else."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit import export
from services.audit.export import Closing, EventLine, MalformedLineError

HASH = bytes(range(32))
HASH_TEXT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
CLOSING = Closing("origin\n…\n", "name+id+key", 3, 7, left=(HASH,), right=(HASH, HASH))


@settings(max_examples=100)
@given(record=st.text().map(str.encode), position=st.integers(1, 2**63 - 1))
def test_a_record_comes_back_with_its_exact_bytes(record: bytes, position: int) -> None:
    line = export.event_line(position, record, HASH)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert export.parse_line(line) == EventLine(position, record, HASH)


def test_an_event_is_one_object_with_its_keys_sorted() -> None:
    line = export.event_line(17, b'{"a":"\xc3\xa9"}', HASH)
    assert line.decode() == f'{{"leaf_hash":"{HASH_TEXT}","position":17,"record":"{{\\"a\\":\\"é\\"}}"}}\n'


def test_the_closing_line_comes_back_as_it_was() -> None:
    line = export.closing_line(CLOSING)
    assert export.parse_line(line) == CLOSING
    assert list(json.loads(line)) == ["checkpoint", "first", "format", "last", "left", "right", "vkey"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "not JSON"),
        (b"\n", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' + b"9" * 5000 + b"}", "integer string conversion"),
        (b'{"a":NaN}', "NaN is no JSON"),
        (b'{"a":1}', "neither an event nor the closing line; its members are a"),
        (b'{"b":1,"a":2}', "not sorted"),
        (b'{"a":1,"a":2}', "stands twice"),
        (b'{"a":[{"c":1,"b":2}]}', "not sorted"),
        (b'{"leaf_hash":"AAEC","position":1,"record":"{}"}', "no hash of 32 bytes"),
        (f'{{"leaf_hash":"{HASH_TEXT[:-2]}9=","position":1,"record":""}}'.encode(), "no hash of 32 bytes"),
        (b'{"leaf_hash":"%","position":1,"record":"{}"}', "no hash of 32 bytes"),
        (f'{{"leaf_hash":"{HASH_TEXT}","position":"1","record":"{{}}"}}'.encode(), "neither an event"),
        (f'{{"leaf_hash":"{HASH_TEXT}","position":true,"record":"{{}}"}}'.encode(), "no number"),
        (f'{{"leaf_hash":"{HASH_TEXT}","position":1.0,"record":"{{}}"}}'.encode(), "neither an event"),
        (f'{{"leaf_hash":"{HASH_TEXT}","position":1,"record":"\\ud800"}}'.encode(), "not UTF-8"),
        (f'{{"leaf_hash":"{HASH_TEXT}","more":0,"position":1,"record":""}}'.encode(), "neither an event"),
        (export.closing_line(CLOSING).replace(b"export-1", b"export-2"), "of the format 'marrow-export-2'"),
        (export.closing_line(CLOSING).replace(b'"last":7', b'"last":null'), "neither an event"),
        (export.closing_line(CLOSING).replace(b'"left":["', b'"left":[7,"'), "no hash of 32 bytes"),
    ],
)
def test_what_is_no_line_of_an_export_is_refused_in_words(line: bytes, why: str) -> None:
    with pytest.raises(MalformedLineError, match=why):
        export.parse_line(line)


@settings(max_examples=100)
@given(line=st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_line_or_refused_by_name(line: bytes) -> None:
    with suppress(MalformedLineError):
        export.parse_line(line)
