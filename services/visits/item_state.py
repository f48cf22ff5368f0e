"""How each item of a plan stands on a day: which record did which item, what is due, missed, late or cancelled.

All comparisons are of civil dates in the site's zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal

from services.visits.schedule import DateWindow, Ending, PlannedItem

State = Literal["planned", "due", "done", "done-out-of-window", "done-late", "missed", "cancelled"]
"""`done-late`: its doing was recorded after its miss was."""

Cancelled = Literal["exit", "death", "treatment-end", "condition-not-met", "amended"]
"""Why an item is cancelled. `amended`: the version of the protocol that the subject moved to does not have it."""


@dataclass(frozen=True, slots=True)
class Done:
    """Something that was recorded: what, on which civil date, where in the log, and for which item if that was said."""

    activity: str
    done_on: date
    position: int
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Matching:
    """Which record did which item, by item code; what no item claims is unscheduled."""

    by_code: dict[str, Done]
    unscheduled: tuple[Done, ...]


@dataclass(frozen=True, slots=True)
class Miss:
    """A miss that was recorded: of which item and window, when, and where in the log."""

    code: str
    window: DateWindow
    recorded_at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class Course:
    """What besides records bears on items: ends of follow-up or treatment, conditions decided, misses recorded."""

    exit_on: date | None = None
    died_on: date | None = None
    treatment_ended_on: date | None = None
    conditions: Mapping[str, bool] = field(default_factory=dict)
    misses: Sequence[Miss] = ()

    def ended_by(self, endings: Iterable[Ending]) -> tuple[date, Ending] | None:
        """The earliest of these endings that happened, and its date."""
        dates = {"exit": self.exit_on, "death": self.died_on, "treatment-end": self.treatment_ended_on}
        return min(((day, ending) for ending in endings if (day := dates[ending]) is not None), default=None)

    def miss_of(self, code: str) -> Miss | None:
        """The last miss of an item."""
        return max((miss for miss in self.misses if miss.code == code), key=lambda miss: miss.position, default=None)


@dataclass(frozen=True, slots=True)
class ItemState:
    """An item as of a day: its state, when and where its doing was recorded, and the miss that was recorded of it.

    The miss stays whatever comes after it, also where the item has another window by now.
    """

    item: PlannedItem
    state: State
    done_on: date | None = None
    position: int | None = None
    miss: Miss | None = None
    cancelled: Cancelled | None = None

    @property
    def miss_is_recorded(self) -> bool:
        """Whether the miss is of the window that the item has now."""
        return self.miss is not None and self.miss.window == self.item.window


def match(items: Sequence[PlannedItem], records: Iterable[Done]) -> Matching:
    """Which record did which item: one record does one item, whatever the order in which records arrived.

    A record that names its item does that item, in its window or not. Any other does the item of its activity whose
    window holds its date. Each item gets the record nearest to its nominal date, those in its window first, and each
    record the nearest item; on a tie the earlier item, then the earlier record.
    """
    ordered = sorted(records, key=lambda record: (record.done_on, record.position))
    by_name: dict[str, list[int]] = {}
    for item_index, item in enumerate(items):
        by_name.setdefault(item.code, []).append(item_index)
        by_name.setdefault(item.activity, []).append(item_index)
    pairs = sorted(
        (
            record.code is None,
            not item.window.holds(record.done_on),
            _days_apart(item, record),
            item_index,
            record_index,
        )
        for record_index, record in enumerate(ordered)
        for item_index in by_name.get(record.code or record.activity, ())
        if _may_do(record, item := items[item_index])
    )
    by_code: dict[str, Done] = {}
    claimed: set[int] = set()
    for *_, item_index, record_index in pairs:
        code = items[item_index].code
        if code not in by_code and record_index not in claimed:
            by_code[code] = ordered[record_index]
            claimed.add(record_index)
    unscheduled = (record for index, record in enumerate(ordered) if index not in claimed)
    return Matching(by_code, tuple(unscheduled))


def _may_do(record: Done, item: PlannedItem) -> bool:
    if record.code is not None:
        return record.code == item.code
    if item.replanned_on is not None and record.done_on < item.replanned_on:
        return False  # whoever collected it then did not do it for what was planned later
    return record.activity == item.activity and item.window.holds(record.done_on)


def _days_apart(item: PlannedItem, record: Done) -> int:
    return abs((record.done_on - item.nominal_on).days)


def states(
    items: Sequence[PlannedItem], records: Iterable[Done], as_of: date, course: Course | None = None
) -> tuple[ItemState, ...]:
    """The state of each item as of a day, past or future, in the order of the plan.

    Records of later days do not count yet. An ending cancels the items whose window it finds open or ahead, unless they
    were done; what had been missed before stays missed.
    """
    course = course or Course()
    matching = match(items, (record for record in records if record.done_on <= as_of))
    found = (_state(item, matching.by_code.get(item.code), as_of, course) for item in items)
    return tuple(_with_miss(each, course.miss_of(each.item.code)) for each in found)


def _with_miss(found: ItemState, miss: Miss | None) -> ItemState:
    """The state with the miss that was recorded; an item whose doing was recorded after it was done late."""
    if miss is None:
        return found
    missed = replace(found, miss=miss)
    is_late = missed.miss_is_recorded and found.position is not None and found.position > miss.position
    return replace(missed, state="done-late") if is_late else missed


def _state(item: PlannedItem, record: Done | None, as_of: date, course: Course) -> ItemState:
    if record is not None:
        in_window = item.window.holds(record.done_on)
        return ItemState(item, "done" if in_window else "done-out-of-window", record.done_on, record.position)
    if item.dropped_on is not None:
        return ItemState(item, "cancelled", cancelled="amended")
    ended = course.ended_by(item.ended_by)
    if ended is not None and ended[0] <= as_of and ended[0] <= item.window.closes_on:
        return ItemState(item, "cancelled", cancelled=ended[1])
    if item.condition is not None:
        is_met = course.conditions.get(item.condition)
        if is_met is False or (is_met is None and as_of > item.window.closes_on):
            return ItemState(item, "cancelled", cancelled="condition-not-met")
        if is_met is None:
            return ItemState(item, "planned")
    if as_of < item.window.opens_on:
        return ItemState(item, "planned")
    return ItemState(item, "due" if item.window.holds(as_of) else "missed")
