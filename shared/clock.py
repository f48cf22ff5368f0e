"""What time it is, and how instants are read. The clock is an argument everywhere; the composition root chooses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

Clock = Callable[[], datetime]
"""Returns the present instant, aware, in UTC."""

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def system_clock() -> datetime:
    """The host's clock, in UTC."""
    return datetime.now(UTC)


PATTERN = r"^(19|20|21)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"
"""RFC 3339 §5.6, in the centuries of a trial."""

_WRITTEN = re.compile(PATTERN, re.ASCII)


def _read(value: object) -> datetime:
    if isinstance(value, str) and _WRITTEN.match(value):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("an instant is written as RFC 3339, such as 2026-05-03T10:00:00+08:00")
    if not EARLIEST <= value <= LATEST:
        raise ValueError(f"an instant of this trial lies between {EARLIEST.year} and {LATEST.year}")
    return value.astimezone(UTC)


Instant = Annotated[
    datetime,
    BeforeValidator(_read),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": PATTERN,
            "examples": ["2026-05-03T10:00:00+08:00"],
        }
    ),
]
"""A point in time: RFC 3339 with an offset on input, kept in UTC."""
