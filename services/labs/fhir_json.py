"""Decides how FHIR is written as JSON: decimals with the digits that they have, and one form for comparing content."""

from __future__ import annotations

from decimal import Decimal

import orjson

from services.labs.recognition import content_digest

MEDIA_TYPE = "application/fhir+json"


def _as_written(value: object) -> orjson.Fragment:
    """A number that orjson knows no form of: 8.60 stays 8.60 (R4, datatypes.html#decimal: precision counts)."""
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is no value of JSON")


def write(resource: object) -> bytes:
    """The JSON of a resource whose decimals are Decimal."""
    try:
        return orjson.dumps(resource, default=_as_written, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return orjson.dumps(_large_as_decimals(resource), default=_as_written, option=orjson.OPT_SORT_KEYS)


def digest(resource: object) -> str:
    """The digest of what a resource says, however its members are ordered and its lines broken."""
    return content_digest(write(resource))


def _large_as_decimals(value: object) -> object:
    """Integers of more than 64 bits, which orjson does not write."""
    match value:
        case dict():
            return {name: _large_as_decimals(member) for name, member in value.items()}
        case list():
            return [_large_as_decimals(member) for member in value]
        case int() if not isinstance(value, bool) and abs(value) >= 2**63:
            return Decimal(value)
        case _:
            return value
