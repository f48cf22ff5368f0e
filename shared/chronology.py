"""What cannot have happened before what, by the days of the site's calendar.

Records are entered late and in any order, often with a day but without its hour. A day alone is compared, and only what
is impossible in itself is refused: steps of a subject that do not fit each other are a deviation or a query.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from shared.problems import refusal
from shared.protocol import Protocol

OUT_OF_ORDER = refusal("occurred-out-of-order", 409, "It cannot have happened before what it follows.")


def require_not_before(on: date, follows: str, earliest: date) -> None:
    """Raise OUT_OF_ORDER where a day is before the earliest that what it follows allows; a code names what that is."""
    if on < earliest:
        detail = f"{on} is before {earliest}, the earliest day by {follows}."
        raise OUT_OF_ORDER(detail, follows=follows, earliest=earliest.isoformat())


def require_since_start(protocol: Protocol, site: str, at: datetime, weeks_before: int = 0) -> None:
    """Raise OUT_OF_ORDER where an instant falls, at the site, on a day before the study's start.

    `weeks_before` is how far back a subject's history is asked for.
    """
    earliest = protocol.starts_on - timedelta(weeks=weeks_before)
    require_not_before(protocol.civil_date(at, site), "study-start", earliest)
