"""What becomes of a subject's plan when it moves to a later version of the protocol.

What was done, and what could no longer be done, stays as it was planned. Later items are planned anew under their own
codes; one that the later version does not have is dropped, which is told and not hidden. No amendment makes anything
missed in retrospect: an item whose window would be over by the move keeps the window it had, or is not asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from services.visits.item_state import Done, match
from services.visits.schedule import PlannedItem


class Plan(NamedTuple):
    """The items of one version of the protocol, and the day on which the subject moved to it (None: its first)."""

    moved_on: date | None
    items: tuple[PlannedItem, ...]


def replanned(plans: Sequence[Plan], records: Sequence[Done]) -> tuple[PlannedItem, ...]:
    """The plan of a subject that has followed several versions, by nominal date."""
    first, *later = plans
    items = first.items
    for plan in later:
        if plan.moved_on is not None:
            items = _moved(items, plan.items, plan.moved_on, records)
    return tuple(sorted(items, key=lambda item: item.nominal_on)) if later else items


def _moved(
    before: Sequence[PlannedItem], planned: Iterable[PlannedItem], moved_on: date, records: Iterable[Done]
) -> tuple[PlannedItem, ...]:
    done = match(before, (record for record in records if record.done_on < moved_on)).by_code
    kept = {item.code: item for item in before if item.code in done or item.window.closes_on < moved_on}
    earlier = {item.code: item for item in before}
    after = dict(earlier)
    codes = set()
    for item in planned:
        codes.add(item.code)
        if item.code not in kept and item.window.closes_on >= moved_on:
            after[item.code] = _again(earlier.get(item.code), item, moved_on)
    for code, item in earlier.items():
        if code not in kept and code not in codes and item.dropped_on is None:
            after[code] = replace(item, dropped_on=moved_on)
    return tuple(after.values())


def _again(before: PlannedItem | None, item: PlannedItem, moved_on: date) -> PlannedItem:
    """An item under the later version. Where that moves nothing, what was recorded before may do it as before."""
    if before is not None and before.dropped_on is None and _is_at_the_same_time(before, item):
        return replace(item, replanned_on=before.replanned_on)
    return replace(item, replanned_on=moved_on)


def _is_at_the_same_time(one: PlannedItem, other: PlannedItem) -> bool:
    return (one.activity, one.nominal_on, one.window) == (other.activity, other.nominal_on, other.window)
