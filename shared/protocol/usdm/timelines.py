"""How the items of a schedule become timelines: instances in the order of time, each with its timing and its window.

The main timeline counts from day 0; one more each counts from every infusion and from the exit. An item that hangs on
a condition follows a decision: it is done when the condition is met, and passed by otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.protocol.schedule import Activity as Row
from shared.protocol.schedule import Origin, Schedule
from shared.protocol.usdm.model import (
    ConditionAssignment,
    Duration,
    ExtensionAttribute,
    ScheduledActivityInstance,
    ScheduledDecisionInstance,
    ScheduleTimeline,
    ScheduleTimelineExit,
    Timing,
)
from shared.protocol.usdm.terms import AFTER, FIXED_REFERENCE, START_TO_START, Term, coded

ENTRY: Mapping[Origin, str] = {
    "day-0": "Day 0: the milestone that is the anchor of the subject's arm",
    "each-infusion": "An infusion was given",
    "exit": "The subject has left the study early",
}

NewId = Callable[[str], str]


class Item(NamedTuple):
    """One thing to be done: its code, the row it is of, and its offset in the row's unit."""

    code: str
    row: Row
    offset: int


class _Course(NamedTuple):
    """How a timeline goes on: after the anchor and after each item, to a decision, to an instance, or to the exit.

    A decision must lead on, so a timeline whose last item hangs on a condition has an instance more, its end.
    """

    followers: Mapping[str, str | None]
    decision_ids: Mapping[str, str]
    end_id: str | None
    exit_id: str


def items_of(schedule: Schedule, origin: Origin) -> tuple[Item, ...]:
    """The items that are counted from an origin, in the document's order."""
    return tuple(
        Item(code, row, offset)
        for row in schedule.activities
        if row.origin == origin
        for code, offset in zip(row.codes, row.offsets, strict=True)
    )


def hours_after(schedule: Schedule, item: Item) -> int:
    """How long after its origin an item is, in hours, to put items in order."""
    return item.offset if item.row.unit == "hours" else 24 * schedule.nominal_day(item.row.unit, item.offset)


def duration(schedule: Schedule, unit: str, offset: int) -> str:
    """An offset as an ISO 8601 duration. A month of the document is a number of days, and is written as days."""
    match unit:
        case "hours":
            return f"PT{offset}H"
        case "weeks":
            return f"P{offset}W"
        case _:
            return f"P{schedule.nominal_day(unit, offset)}D"


@dataclass
class TimelineWriter:
    """Writes the timelines of one schedule; `instance_ids` and `timing_ids` tell afterwards what each item became."""

    schedule: Schedule
    new_id: NewId
    epoch_id: str
    activity_ids: Mapping[int, str]
    """Of each row, by its place in the schedule."""
    instance_ids: dict[str, str] = field(default_factory=dict)
    timing_ids: dict[str, str] = field(default_factory=dict)

    def timeline(
        self,
        origin: Origin,
        *,
        anchor_activity_id: str,
        before: Sequence[tuple[ScheduledActivityInstance, Timing]] = (),
        encounter_ids: Mapping[int, str] | None = None,
        extensions: tuple[ExtensionAttribute, ...] = (),
    ) -> ScheduleTimeline:
        """A whole timeline: what comes before the anchor, the anchor, and the items.

        `encounter_ids` names the visit of each day that has one.
        """
        items, visits = items_of(self.schedule, origin), encounter_ids or {}
        anchor_id = self.anchor_id(origin)
        course = self._course(origin, items)
        anchor = self._instance(course, origin, anchor_id, origin.upper(), anchor_activity_id, visits.get(0))
        instances = (*(each for each, _ in before), anchor, *self._instances(course, items, visits))
        return ScheduleTimeline(
            id=self.new_id("ScheduleTimeline"),
            name=origin,
            label=ENTRY[origin],
            extension_attributes=extensions,
            main_timeline=origin == "day-0",
            entry_condition=ENTRY[origin],
            entry_id=instances[0].id,
            exits=(ScheduleTimelineExit(id=course.exit_id),),
            timings=(*(timing for _, timing in before), self._anchor_timing(origin), *self._timings(items, anchor_id)),
            instances=instances,
            planned_duration=Duration(
                id=self.new_id("Duration"),
                text=f"{max((hours_after(self.schedule, item) for item in items), default=0) // 24} days",
                duration_will_vary=True,
                reason_duration_will_vary="Windows, and whoever leaves early",
            ),
        )

    def _course(self, origin: Origin, items: Sequence[Item]) -> _Course:
        self.instance_ids |= {item.code: self.new_id("ScheduledActivityInstance") for item in items}
        decisions = {item.code: self.new_id("ScheduledDecisionInstance") for item in items if item.row.condition}
        ordered = sorted(items, key=lambda item: hours_after(self.schedule, item))
        end_id = self.new_id("ScheduledActivityInstance") if ordered and ordered[-1].row.condition else None
        entered = [decisions.get(item.code, self.instance_ids[item.code]) for item in ordered]
        followers = dict(zip([origin, *(item.code for item in ordered)], [*entered, end_id], strict=True))
        return _Course(followers, decisions, end_id, self.new_id("ScheduleTimelineExit"))

    def _instances(
        self, course: _Course, items: Sequence[Item], visits: Mapping[int, str]
    ) -> Iterator[ScheduledActivityInstance | ScheduledDecisionInstance]:
        for item in items:
            if item.code in course.decision_ids:
                yield self._decision(item, course)
            activity_id = self.activity_ids[self.schedule.activities.index(item.row)]
            visit = visits.get(hours_after(self.schedule, item) // 24)
            yield self._instance(course, item.code, self.instance_ids[item.code], item.code, activity_id, visit)
        if course.end_id:
            yield self._instance(course, None, course.end_id, "END", None, None)

    def _instance(
        self,
        course: _Course,
        what: str | None,
        id_: str,
        name: str,
        activity_id: str | None,
        encounter_id: str | None,
    ) -> ScheduledActivityInstance:
        follower = course.followers[what] if what else None
        return ScheduledActivityInstance(
            id=id_,
            name=name,
            epoch_id=self.epoch_id,
            default_condition_id=follower,
            timeline_exit_id=None if follower else course.exit_id,
            activity_ids=(activity_id,) if activity_id else (),
            encounter_id=encounter_id,
            instance_type="ScheduledActivityInstance",
        )

    def anchor_id(self, origin: Origin) -> str:
        """The instance that an origin's items are counted from."""
        if origin not in self.instance_ids:
            self.instance_ids[origin] = self.new_id("ScheduledActivityInstance")
        return self.instance_ids[origin]

    def _decision(self, item: Item, course: _Course) -> ScheduledDecisionInstance:
        assignment = ConditionAssignment(
            id=self.new_id("ConditionAssignment"),
            condition=item.row.condition or "",
            condition_target_id=self.instance_ids[item.code],
        )
        return ScheduledDecisionInstance(
            id=course.decision_ids[item.code],
            name=f"{item.code}-DECISION",
            label=f"Whether {item.code} is done",
            epoch_id=self.epoch_id,
            default_condition_id=course.followers[item.code],
            condition_assignments=(assignment,),
            instance_type="ScheduledDecisionInstance",
        )

    def _anchor_timing(self, origin: Origin) -> Timing:
        anchor_id = self.anchor_id(origin)
        return self.timing(origin.upper(), FIXED_REFERENCE, "P0D", ENTRY[origin], anchor_id, anchor_id)

    def _timings(self, items: Sequence[Item], anchor_id: str) -> Iterator[Timing]:
        for item in items:
            unit, window = item.row.unit, item.row.window
            window_unit = "hours" if unit == "hours" else "days"
            timing = self.timing(
                item.code,
                AFTER,
                duration(self.schedule, unit, item.offset),
                f"{item.offset} {unit}",
                self.instance_ids[item.code],
                anchor_id,
                window=(
                    duration(self.schedule, window_unit, window.before),
                    duration(self.schedule, window_unit, window.after),
                    f"-{window.before}..+{window.after} {window_unit}",
                ),
            )
            self.timing_ids[item.code] = timing.id
            yield timing

    def timing(
        self,
        name: str,
        term: Term,
        value: str,
        label: str,
        from_id: str,
        to_id: str,
        *,
        window: tuple[str, str, str] | None = None,
    ) -> Timing:
        """A timing from the start of an instance to that of another; a window has lower, upper and label."""
        lower, upper, window_label = window or (None, None, None)
        return Timing(
            id=self.new_id("Timing"),
            name=name,
            type=coded(term, self.new_id),
            value=value,
            value_label=label,
            relative_to_from=coded(START_TO_START, self.new_id),
            relative_from_scheduled_instance_id=from_id,
            relative_to_scheduled_instance_id=to_id,
            window_lower=lower,
            window_upper=upper,
            window_label=window_label,
        )
