"""When each item of a subject's calendar is due, and whether it was done: nominal days, windows, matching, states.

All comparisons are of civil dates in the site's zone. A plan holds the items of the protocol that every subject has (75
in NCT01129739: W1–W52, C1–C12, B, T and E), those of the arm alone (CR and TR for ciclosporin), those that hang on a
condition (INF2), and those that follow an infusion (S6H-1, S24H-1, D7-1 …) or an exit (ET).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Literal

from shared.protocol import Activity, Anchor, Protocol

State = Literal["planned", "due", "done", "done-out-of-window", "done-late", "missed", "cancelled"]
"""`done-late`: its doing was recorded after its miss was."""

Ending = Literal["exit", "death", "treatment-end"]
"""An exit is a withdrawal from the study or a death, whichever came first."""


@dataclass(frozen=True, slots=True)
class DateWindow:
    """The first and the last civil date on which an item may be done."""

    opens_on: date
    closes_on: date

    def holds(self, day: date) -> bool:
        """Whether the day lies in the window, its ends included."""
        return self.opens_on <= day <= self.closes_on


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """One thing to be done for a subject, on a nominal date, within a window; `ended_by` names what cancels it."""

    code: str
    activity: str
    nominal_on: date
    window: DateWindow
    condition: str | None = None
    ended_by: tuple[Ending, ...] = ("exit",)


@dataclass(frozen=True, slots=True)
class InfusionGiven:
    """An infusion that safety looks follow: its dose number and its instant (with an offset)."""

    dose_number: int
    given_at: datetime


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

    def ended_on(self, endings: Iterable[Ending]) -> date | None:
        """The earliest date on which one of these endings happened."""
        dates = {"exit": self.exit_on, "death": self.died_on, "treatment-end": self.treatment_ended_on}
        return min((day for ending in endings if (day := dates[ending]) is not None), default=None)

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

    @property
    def miss_is_recorded(self) -> bool:
        """Whether the miss is of the window that the item has now."""
        return self.miss is not None and self.miss.window == self.item.window


def anchor_on(protocol: Protocol, arm: str, milestones: Mapping[Anchor, date]) -> date | None:
    """Day 0 of a subject: the date of the arm's own milestone, else of that which the protocol names instead.

    None before either has happened.
    """
    own = milestones.get(protocol.arm(arm).anchor)
    return own if own is not None else milestones.get(protocol.schedule.anchor_otherwise)


def started_late(protocol: Protocol, randomized_on: date, started_on: date) -> bool:
    """Whether treatment began more days after randomization than the protocol allows: a deviation."""
    return (started_on - randomized_on).days > protocol.schedule.treatment_start_max_days


def plan(
    protocol: Protocol,
    arm: str,
    site: str,
    day_0: date,
    *,
    infusions: Sequence[InfusionGiven] = (),
    early_termination_on: date | None = None,
) -> tuple[PlannedItem, ...]:
    """All items of a subject's calendar, by nominal date; a later infusion adds safety looks and moves nothing else.

    `early_termination_on` is the day on which a living subject left, and adds the visit for that.
    """
    items: list[PlannedItem] = []
    for activity in protocol.activities_for(arm):
        match activity.origin:
            case "day-0":
                items.extend(
                    _from_date(protocol, activity, code, offset, day_0)
                    for code, offset in zip(activity.codes, activity.offsets, strict=True)
                )
            case "each-infusion":
                items.extend(
                    _after_infusion(protocol, activity, offset, site, infusion)
                    for infusion in infusions
                    for offset in activity.offsets
                )
            case "exit":
                if early_termination_on is not None:
                    items.append(_after_exit(protocol, activity, early_termination_on))
    return tuple(sorted(items, key=lambda item: item.nominal_on))


def _from_date(protocol: Protocol, activity: Activity, code: str, offset: int, day_0: date) -> PlannedItem:
    days = protocol.schedule.days_at(activity, offset)
    return PlannedItem(
        code=code,
        activity=activity.activity,
        nominal_on=day_0 + timedelta(days=days.nominal),
        window=DateWindow(day_0 + timedelta(days=days.opens), day_0 + timedelta(days=days.closes)),
        condition=activity.condition,
        ended_by=("exit", "treatment-end") if activity.on_treatment else ("exit",),
    )


def _after_infusion(
    protocol: Protocol, activity: Activity, offset: int, site: str, infusion: InfusionGiven
) -> PlannedItem:
    code = f"{activity.prefix}-{infusion.dose_number}"
    before, after = activity.window.before, activity.window.after
    if activity.unit == "hours":
        nominal_at = infusion.given_at + timedelta(hours=offset)
        nominal_on = protocol.civil_date(nominal_at, site)
        opens_on = protocol.civil_date(nominal_at - timedelta(hours=before), site)
        closes_on = protocol.civil_date(nominal_at + timedelta(hours=after), site)
    else:
        infused_on = protocol.civil_date(infusion.given_at, site)
        days = protocol.schedule.days_at(activity, offset)
        nominal_on = infused_on + timedelta(days=days.nominal)
        opens_on, closes_on = infused_on + timedelta(days=days.opens), infused_on + timedelta(days=days.closes)
    return PlannedItem(code, activity.activity, nominal_on, DateWindow(opens_on, closes_on))


def _after_exit(protocol: Protocol, activity: Activity, exit_on: date) -> PlannedItem:
    days = protocol.schedule.days_at(activity, activity.offsets[0])
    window = DateWindow(exit_on + timedelta(days=days.opens), exit_on + timedelta(days=days.closes))
    return PlannedItem(
        activity.prefix, activity.activity, exit_on + timedelta(days=days.nominal), window, ended_by=("death",)
    )


def symptom_item(protocol: Protocol, arm: str, week: int) -> str | None:
    """The item for the symptoms of a week; None when the arm's schedule has none."""
    for activity in protocol.activities_for(arm):
        if (activity.activity, activity.unit) == ("symptoms", "weeks") and week in activity.offsets:
            return activity.codes[activity.offsets.index(week)]
    return None


def safety_looks(protocol: Protocol, arm: str, dose_numbers: Iterable[int]) -> frozenset[str]:
    """The items that follow these infusions, such as S6H-1."""
    prefixes = [a.prefix for a in protocol.activities_for(arm) if a.origin == "each-infusion"]
    return frozenset(f"{prefix}-{number}" for number in dose_numbers for prefix in prefixes)


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
    ended_on = course.ended_on(item.ended_by)
    if ended_on is not None and ended_on <= as_of and ended_on <= item.window.closes_on:
        return ItemState(item, "cancelled")
    if item.condition is not None:
        is_met = course.conditions.get(item.condition)
        if is_met is False or (is_met is None and as_of > item.window.closes_on):
            return ItemState(item, "cancelled")
        if is_met is None:
            return ItemState(item, "planned")
    if as_of < item.window.opens_on:
        return ItemState(item, "planned")
    return ItemState(item, "due" if item.window.holds(as_of) else "missed")
