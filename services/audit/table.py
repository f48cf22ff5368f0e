"""A page of events as a table: which of JSON and CSV a caller gets (RFC 9110 §12.5.1), and how a row is written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Final, Literal

import orjson

from services.audit.answers import EventItem

JSON: Final = "application/json"
CSV: Final = "text/csv"
Media = Literal["application/json", "text/csv"]

COLUMNS = (
    "position",
    "type",
    "version",
    "occurred_at",
    "recorded_at",
    "by_id",
    "by_name",
    "by_role",
    "by_org",
    "reason",
    "tags",
    "data",
    "leaf_hash",
)

_WEIGHT = re.compile(r"\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def preferred(accept: str) -> Media | None:
    """The media type that an Accept header likes best, JSON where it likes both; None when it takes neither."""
    weights: dict[str, float] = {}
    for each in accept.lower().split(","):
        media, *parameters = each.split(";")
        weight = next((match[1] for parameter in parameters if (match := _WEIGHT.fullmatch(parameter))), "1")
        weights[media.strip()] = float(weight)

    def weight_of(media: Media) -> float:
        """That of the most specific range that fits."""
        fitting = (media, f"{media.partition('/')[0]}/*", "*/*")
        return next((weights[each] for each in fitting if each in weights), 0)

    json_weight, csv_weight = weight_of(JSON), weight_of(CSV)
    if not json_weight and not csv_weight:
        return None
    return JSON if json_weight >= csv_weight else CSV


def csv_of(items: Sequence[EventItem]) -> str:
    """The events as CSV with a header line (RFC 4180); tags and data are JSON texts.

    A name or a reason that a spreadsheet would take for a formula is preceded by an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(_row(item) for item in items)
    return text.getvalue()


def _row(item: EventItem) -> tuple[object, ...]:
    return (
        item.position,
        item.type,
        item.version,
        item.occurred_at,
        item.recorded_at,
        _plain(item.by.id),
        _plain(item.by.name),
        item.by.role,
        _plain(item.by.org),
        _plain(item.reason or ""),
        orjson.dumps(item.tags).decode(),
        orjson.dumps(item.data).decode(),
        item.leaf_hash,
    )


def _plain(text: str) -> str:
    """What people wrote, so that no spreadsheet runs it (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_FORMULA) else text
