"""The exact bytes that are stored for an event, and their leaf hash. Written once, never re-serialised."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from shared.eventstore.model import NewEvent

RECORD_BYTES_MAX = 16 * 1024 * 1024
NAME_BYTES_MAX = 1024
"""Of a type or a tag; an entry of PostgreSQL's index holds 2704 bytes."""

_JSON = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER  # beyond 53 bits other readers of JSON would lose digits
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)


class UnstorableEvent(ValueError):  # noqa: N818 (names what cannot be stored)
    """An event holds what the log cannot: a value that is not JSON, a float, a NUL character, a name too long."""


class Draft(NamedTuple):
    """A record but for the instant of its recording, which is known under the lock only."""

    before: bytes
    after: bytes

    def seal(self, instant: bytes) -> bytes:
        """The record, with the instant as RFC 3339 text."""
        return b"".join((self.before, instant, self.after))


def format_instant(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds: `2026-05-03T10:00:00.000000Z`. Sorts as it reads."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def seal(document: Mapping[str, Any], recorded_at: datetime) -> bytes:
    """The record: the document and the instant of its recording as UTF-8 JSON with sorted member names.

    Raises UnstorableEvent.
    """
    return _draft(document).seal(format_instant(recorded_at).encode())


def leaf_hash(record: bytes) -> bytes:
    """SHA-256(0x00 ‖ record), the leaf hash of RFC 9162 §2.1.1."""
    return hashlib.sha256(b"\x00" + record).digest()


def draft(event: NewEvent) -> Draft:
    """Serialise an event before it joins a batch, which nothing in it may fail.

    What the index says of an event is what its record says, so `type` and `tags` stand in both; the `id` makes each
    record, and so each leaf, the only one of its kind. Raises UnstorableEvent.
    """
    document = event.document
    if document.get("type") != event.type or tuple(document.get("tags", ())) != event.tags:
        raise UnstorableEvent("the type and the tags of an event are those of its document")
    if not document.get("id"):
        raise UnstorableEvent("the document of an event bears an id")
    if len(set(event.tags)) != len(event.tags):
        raise UnstorableEvent("an event bears each of its tags once")
    if not all(map(is_storable_name, (event.type, *event.tags))):
        raise UnstorableEvent(f"a type or a tag is Unicode text of 1 to {NAME_BYTES_MAX} bytes without NUL")
    return _draft(document)


@lru_cache(maxsize=4096)  # the same few are written and asked for again and again
def is_storable_name(name: str) -> bool:
    """Whether PostgreSQL can hold and index this type or tag; what it cannot hold, no query can find."""
    try:
        return 0 < len(name.encode()) <= NAME_BYTES_MAX and "\0" not in name
    except UnicodeEncodeError:
        return False


def _draft(document: Mapping[str, Any]) -> Draft:
    if "recorded_at" in document:
        raise UnstorableEvent("the log itself says when it recorded an event")
    try:
        record = orjson.dumps({**document, "recorded_at": _SOME_TIME}, option=_JSON)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise UnstorableEvent(f"a document holds JSON values only: {error}") from error
    _check_values(document.values())
    if _ESCAPED_NUL in record:
        _check_texts(document)
    if len(record) > RECORD_BYTES_MAX:
        raise UnstorableEvent(f"a record has at most {RECORD_BYTES_MAX} bytes")
    before, _, after = record.partition(_SOME_TIME.encode())
    return Draft(before, after)


_SOME_TIME = secrets.token_hex(16)
"""Stands in a draft where the instant goes; drawn for each process, so that no document can hold it."""

_EXACT = frozenset({str, int, bool, type(None)})
_ESCAPED_NUL = rb"\u0000"


def _check_values(values: Iterable[object]) -> None:
    """Refuse what the serialiser would write although it is no exact JSON value, such as floats and UUIDs."""
    for value in values:
        kind = type(value)
        if kind in _EXACT:
            continue
        if isinstance(value, dict):
            _check_values(value.values())
        elif isinstance(value, list | tuple):
            _check_values(value)
        elif isinstance(value, float):
            raise UnstorableEvent("a float is not exact: measurements are written as strings")
        else:
            raise UnstorableEvent(f"{kind.__name__} is not a JSON value")


def _check_texts(value: object) -> None:
    """Refuse the NUL character, which PostgreSQL's text cannot hold."""
    if isinstance(value, str):
        if "\0" in value:
            raise UnstorableEvent("a text holds the NUL character")
    elif isinstance(value, Mapping):
        for name, member in value.items():
            _check_texts(name)
            _check_texts(member)
    elif isinstance(value, list | tuple):
        for member in value:
            _check_texts(member)
