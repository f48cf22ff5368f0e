"""Queries as the database can take them: whatever a caller asks for has an answer, and no answer is an error."""

from __future__ import annotations

from shared.eventstore.model import Query, QueryItem
from shared.eventstore.record import is_storable_name

POSITION_MAX = 2**63 - 1
"""The last position that a bigint can name."""

ANYTHING = (QueryItem(),)
"""What a query without items asks for."""


def findable_items(query: Query) -> tuple[QueryItem, ...]:
    """The items that some event could match: all but those that name what the log could never have stored."""
    return tuple(item for item in query.items or ANYTHING if all(map(is_storable_name, item.types + item.tags)))


def within_bigint(position: int) -> int:
    """The nearest position that the database can hold, which divides the events in the same way."""
    return max(0, min(position, POSITION_MAX))
