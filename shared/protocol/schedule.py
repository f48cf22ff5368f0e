"""How the protocol writes its schedule of activities: codes, nominal days, windows, anchors, conditions."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints, model_validator

from shared.protocol.criteria import Part
from shared.protocol.faults import BrokenRule, require_none
from shared.protocol.language import AnalyteCode, ArmCode, Code

Anchor = Literal["first-infusion", "first-csa-dose", "randomization"]
"""The milestone that is day 0 of a subject's schedule."""

Origin = Literal["day-0", "each-infusion", "exit"]
"""What an activity's days or hours are counted from."""

ItemPrefix = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,7}$")]


Count = Annotated[int, Field(ge=0, le=10_000)]
"""A number of hours, days, weeks or months: more is a slip of the pen, and no calendar holds it."""


class Window(Part):
    """How far from its nominal day (or hour, for activities counted in hours) an item may be done."""

    before: Count
    after: Count


class ItemDays(NamedTuple):
    """The nominal day of an item and the first and last day of its window, counted from day 0."""

    nominal: int
    opens: int
    closes: int


class Activity(Part):
    """A row of the schedule of activities (ICH M11: one activity, its timings and its window).

    `at` holds the numbers of the unit: weeks 1 to 52, months 3, 6, 9, 12. Item codes are the prefix and that number,
    or, with `numbered_from`, the prefix and a running number.
    """

    prefix: ItemPrefix
    activity: Code
    arms: tuple[ArmCode, ...] = Field(min_length=1)
    origin: Origin = "day-0"
    unit: Literal["hours", "days", "weeks", "months"]
    at: tuple[Count, ...] = ()
    first: Count | None = None
    last: Count | None = None
    numbered_from: int | None = None
    window: Window
    condition: Code | None = None
    on_treatment: bool = False
    analytes: tuple[AnalyteCode, ...] = ()

    @model_validator(mode="after")
    def _says_when(self) -> Activity:
        require_none(self._broken())
        return self

    def _broken(self) -> Iterator[BrokenRule]:
        is_range = self.first is not None and self.last is not None and self.first <= self.last
        if bool(self.at) == is_range or (self.first is None) != (self.last is None):
            given = next((key for key in ("first", "last", "at") if getattr(self, key) not in (None, ())), None)
            rule = "an activity needs either at = […] or first and last, with first not after last"
            yield BrokenRule((given,) if given else (), rule)
        if list(self.at) != sorted(set(self.at)):
            yield BrokenRule(("at",), "must rise and name nothing twice")
        if self.unit == "hours" and self.origin != "each-infusion":
            yield BrokenRule(("unit",), "hours are counted from an infusion alone: origin must be each-infusion")

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The numbers of the unit at which the activity is done."""
        if self.first is not None and self.last is not None:
            return tuple(range(self.first, self.last + 1))
        return self.at

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """The item codes, one for each offset; after each infusion or at exit, the prefix alone."""
        if self.origin != "day-0":
            return tuple(self.prefix for _ in self.offsets)
        if self.numbered_from is not None:
            return tuple(f"{self.prefix}{self.numbered_from + i}" for i in range(len(self.offsets)))
        return tuple(f"{self.prefix}{offset}" for offset in self.offsets)


class Schedule(Part):
    """The schedule of activities: how months become days, when treatment must start, and what is done."""

    month_rule: Literal["fixed-days"]
    days_per_month: Decimal = Field(gt=28, lt=32)
    treatment_start_max_days: int = Field(ge=0)
    anchor_otherwise: Anchor
    activities: tuple[Activity, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _codes_are_unique(self) -> Schedule:
        coded: set[str] = set()
        broken: list[BrokenRule] = []
        for place, activity in enumerate(self.activities):
            codes = activity.codes
            if twice := sorted(coded.intersection(codes) | {code for code in codes if codes.count(code) > 1}):
                rule = f"item codes must be unique, but these stand twice: {', '.join(twice)}"
                broken.append(BrokenRule(("activities", place, "prefix"), rule))
            coded.update(codes)
        require_none(broken)
        return self

    def nominal_day(self, unit: str, offset: int) -> int:
        """The day, counted from day 0, of an offset in days, weeks or months; a half day counts up."""
        match unit:
            case "days":
                return offset
            case "weeks":
                return 7 * offset
            case "months":
                return int((self.days_per_month * offset).to_integral_value(ROUND_HALF_UP))
            case _:
                raise ValueError(f"{unit} have no nominal day")

    def activity_of(self, code: str) -> Activity:
        """The activity that an item code belongs to. Raises LookupError when there is none."""
        for activity in self.activities:
            if code in activity.codes:
                return activity
        raise LookupError(f"no item {code!r} in the schedule")

    def days_of(self, code: str) -> ItemDays:
        """When an item that is counted from day 0 is done. Raises LookupError for any other code."""
        activity = self.activity_of(code)
        if activity.origin != "day-0":
            raise LookupError(f"{code!r} is not counted from day 0")
        return self.days_at(activity, activity.offsets[activity.codes.index(code)])

    def days_at(self, activity: Activity, offset: int) -> ItemDays:
        """When an activity that is not counted in hours is done for one of its offsets."""
        nominal = self.nominal_day(activity.unit, offset)
        return ItemDays(nominal, nominal - activity.window.before, nominal + activity.window.after)
