"""Which days a partial date may mean: a year, a month or a day as it is known, kept as written and never completed.

ISO 8601-1 reduced precision, as SDTM keeps it in --DTC: `2026`, `2026-05` or `2026-05-03`. A comparison takes the
earliest or the latest day that the date may mean, and each rule says which: what is refused must be impossible on every
possible day, and what guards a subject holds from the first possible day to the last.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from typing import Annotated

from pydantic import StringConstraints, WithJsonSchema

_YEAR = r"(19|20|21)[0-9]{2}"
_LEAP_YEAR = r"((19|20|21)(0[48]|[2468][048]|[13579][26])|2000)"
_DAY_OF_YEAR = (
    r"((0[13578]|1[02])(-(0[1-9]|[12][0-9]|3[01]))?|(0[469]|11)(-(0[1-9]|[12][0-9]|30))?|02(-(0[1-9]|1[0-9]|2[0-8]))?)"
)
PATTERN = rf"^({_YEAR}(-{_DAY_OF_YEAR})?|{_LEAP_YEAR}-02-29)$"
"""A year, month or day of the calendar, in the centuries of a trial."""

PartialDate = Annotated[
    str,
    StringConstraints(pattern=PATTERN),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["2026-05-03", "2026-05", "2026"]}),
]
"""A day, month or year, as exact as it is known."""

_PARTS = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", re.ASCII)


def earliest(partial: str) -> date:
    """The first day that a partial date may mean."""
    year, month, day = _parts(partial)
    return date(year, month or 1, day or 1)


def latest(partial: str) -> date:
    """The last day that a partial date may mean."""
    year, month, day = _parts(partial)
    last_month = month or 12
    return date(year, last_month, day or monthrange(year, last_month)[1])


def _parts(partial: str) -> tuple[int, int | None, int | None]:
    written = _PARTS.fullmatch(partial)
    if written is None:
        raise ValueError("a partial date is written as 2026, 2026-05 or 2026-05-03")
    year, month, day = written.groups()
    return int(year), None if month is None else int(month), None if day is None else int(day)
