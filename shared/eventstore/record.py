"""The exact bytes that are stored for an event, and their leaf hash. Written once, never re-serialised."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

TAG_SEPARATOR = "\x1f"
"""The unit separator stands between the tags of an event on their way to the database, and so in no tag."""


class UnstorableEvent(ValueError):  # noqa: N818 (an event that cannot be stored; the name says what, not how)
    """A document or a tag holds what the log cannot: a non-JSON value, a float, or the NUL character."""


def format_instant(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds: `2026-05-03T10:00:00.000000Z`. Sorts as it reads."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def check(document: Mapping[str, Any], tags: tuple[str, ...]) -> None:
    """Raise UnstorableEvent for what must not reach the writer, where it would fail a whole batch."""
    if any(not tag or "\0" in tag or TAG_SEPARATOR in tag for tag in tags):
        raise UnstorableEvent("a tag is not empty and holds neither NUL nor the unit separator")
    for value in document.values():
        _check_value(value)


def _check_value(value: object) -> None:
    match value:
        case None | bool() | int():
            return
        case str():
            if "\0" in value:
                raise UnstorableEvent("a text holds the NUL character")
        case float():
            raise UnstorableEvent("a float is not exact; measurements are written as strings")
        case Mapping():
            for name, member in value.items():
                _check_value(name)
                _check_value(member)
        case list() | tuple():
            for member in value:
                _check_value(member)
        case _:
            raise UnstorableEvent(f"{type(value).__name__} is not a JSON value")


def seal(document: Mapping[str, Any], recorded_at: datetime) -> bytes:
    """The record: the document and the instant of its recording as UTF-8 JSON with sorted member names."""
    return orjson.dumps({**document, "recorded_at": format_instant(recorded_at)}, option=orjson.OPT_SORT_KEYS)


def leaf_hash(record: bytes) -> bytes:
    """SHA-256(0x00 ‖ record), the leaf hash of RFC 9162 §2.1.1."""
    return hashlib.sha256(b"\x00" + record).digest()
