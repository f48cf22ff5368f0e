"""What cannot have happened before what, by the days of the site's calendar.

Records are entered late and in any order, often with a day but without its hour. A day alone is compared, and only a
contradiction is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from shared.problems import refusal
from shared.protocol import Protocol

OUT_OF_ORDER = refusal("occurred-out-of-order", 409, "It cannot have happened before what it follows.")


def require_not_before(on: date, follows: str, earliest: date) -> None:
    """Raise OUT_OF_ORDER where a day is before that of what it follows; a code names what that is."""
    if on < earliest:
        raise OUT_OF_ORDER(f"{on} is before {follows}: {earliest}.", follows=follows, earliest=earliest.isoformat())


def require_in_order(protocol: Protocol, site: str, at: datetime, earlier: Mapping[str, datetime | None]) -> None:
    """Raise OUT_OF_ORDER where an instant falls on a day before that of anything earlier, in the site's zone.

    What is None has not happened, and bars nothing.
    """
    on = protocol.civil_date(at, site)
    for follows, then in earlier.items():
        if then is not None:
            require_not_before(on, follows, protocol.civil_date(then, site))
