"""How a page of events is written as a table (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final

import orjson

from services.audit.answers import EventItem

CSV: Final = "text/csv"

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

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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
