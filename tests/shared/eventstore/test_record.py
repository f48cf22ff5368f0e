"""What is stored are exact bytes, sealed once; their hash is the leaf of RFC 9162."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.eventstore import record
from shared.eventstore.model import NewEvent
from shared.eventstore.record import UnstorableEvent, format_instant, leaf_hash, seal

EARLIEST, LATEST = datetime(1900, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 (the strategy adds the zone)
RECORDED_AT = datetime(2026, 5, 10, 8, 30, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(texts.filter(lambda name: name != "recorded_at"), values, max_size=6)


def document(**members: object) -> dict[str, object]:
    return {"id": "1", "type": "t", "tags": [], **members}


def new(**members: object) -> NewEvent:
    return NewEvent("t", (), document(**members))


class TestTheRecord:
    def test_is_one_json_document_with_sorted_names_and_the_instant_of_recording(self) -> None:
        sealed = seal({"version": 1, "type": "t", "data": {"b": "1.50", "a": None}}, RECORDED_AT)
        assert sealed == (
            b'{"data":{"a":null,"b":"1.50"},"recorded_at":"2026-05-10T08:30:00.000000Z","type":"t","version":1}'
        )

    def test_keeps_text_as_utf_8(self) -> None:
        assert seal({"µ": "×10⁹/L"}, RECORDED_AT).decode() == (
            '{"recorded_at":"2026-05-10T08:30:00.000000Z","µ":"×10⁹/L"}'
        )

    @given(documents)
    def test_holds_what_the_document_holds(self, content: dict[str, object]) -> None:
        sealed = seal(content, RECORDED_AT)
        read = orjson.loads(sealed)
        assert read.pop("recorded_at") == "2026-05-10T08:30:00.000000Z"
        assert read == content
        assert list(json.loads(sealed)) == sorted([*content, "recorded_at"])

    def test_holds_even_the_text_that_another_record_has_in_the_place_of_its_instant(self) -> None:
        content = {"a": '","recorded_at":"', "z": '"recorded_at":"2026-05-10T08:30:00.000000Z"'}
        assert orjson.loads(seal(content, RECORDED_AT)) == {**content, "recorded_at": format_instant(RECORDED_AT)}


class TestTheLeafHash:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            # RFC 9162 §2.1.1; the values are those of certificate-transparency-go's reference trees.
            (b"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (b"\x00", "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"),
            (b"\x10", "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7"),
            (b"\x20\x21", "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7"),
        ],
    )
    def test_is_that_of_the_published_vectors(self, content: bytes, expected: str) -> None:
        assert leaf_hash(content).hex() == expected

    @given(st.binary(max_size=100))
    def test_is_sha_256_of_a_zero_byte_and_the_record(self, content: bytes) -> None:
        assert leaf_hash(content) == hashlib.sha256(b"\x00" + content).digest()


class TestAnInstant:
    @given(st.datetimes(EARLIEST, LATEST, timezones=st.just(timezone(timedelta(hours=8)))))
    def test_is_written_in_utc_with_microseconds_and_reads_back(self, at: datetime) -> None:
        written = format_instant(at)
        assert len(written) == 27
        assert written.endswith("Z")
        assert datetime.fromisoformat(written) == at


class TestRefused:
    @pytest.mark.parametrize(
        "value",
        [1.5, float("nan"), Decimal("1.5"), b"bytes", uuid4(), RECORDED_AT, {1: "a"}, {"a": {2}}, 2**53, "\ud800"],
        ids=lambda value: f"{type(value).__name__} {value!r}"[:20].encode("ascii", "replace").decode(),
    )
    def test_is_what_is_no_exact_json_value(self, value: object) -> None:
        for nested in (value, [value], {"a": [{"b": value}]}):
            with pytest.raises(UnstorableEvent):
                record.draft(new(data=nested))

    @pytest.mark.parametrize("value", ["\0", "a\0b", ["\0"], {"\0": 1}, {"a": {"b": "\0"}}])
    def test_is_the_nul_character(self, value: object) -> None:
        with pytest.raises(UnstorableEvent, match="NUL"):
            record.draft(new(data=value))

    def test_is_not_the_text_that_looks_like_an_escaped_nul(self) -> None:
        record.draft(new(data="\\u0000"))

    @pytest.mark.parametrize("tag", ["", "\0", "\ud800", "x" * 1025])
    def test_is_a_tag_that_no_index_can_hold(self, tag: str) -> None:
        with pytest.raises(UnstorableEvent):
            record.draft(NewEvent("t", (tag,), document(tags=[tag])))

    def test_is_a_tag_given_twice(self) -> None:
        with pytest.raises(UnstorableEvent, match="once"):
            record.draft(NewEvent("t", ("a:1", "a:1"), document(tags=["a:1", "a:1"])))

    def test_is_an_event_whose_document_says_otherwise(self) -> None:
        with pytest.raises(UnstorableEvent):
            record.draft(NewEvent("u", (), document()))
        with pytest.raises(UnstorableEvent):
            record.draft(NewEvent("t", ("a:1",), document()))

    def test_is_an_event_without_an_id_by_which_its_record_could_be_told_from_another(self) -> None:
        with pytest.raises(UnstorableEvent, match="id"):
            record.draft(NewEvent("t", (), {"type": "t", "tags": []}))

    def test_is_a_document_that_claims_to_know_when_it_was_recorded(self) -> None:
        with pytest.raises(UnstorableEvent, match="recorded"):
            record.draft(new(recorded_at="2026-05-10T08:30:00.000000Z"))

    def test_is_a_record_too_long_to_be_one_event(self) -> None:
        with pytest.raises(UnstorableEvent, match="at most"):
            record.draft(new(data="x" * record.RECORD_BYTES_MAX))
