"""VISITNUM of a visit (SDTMIG v3.4 §5.5): whole for planned visits, a hundredth more for each unscheduled one after it.

Items of one nominal day share a visit, and the number is the same in every arm. What hangs on an exit or an infusion is
numbered from the next hundred on, so that unscheduled visits after the last planned one have room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.visits.schedule import PlannedItem
from shared.protocol import Protocol

ROOM = 100
DIGITS_MIN = 2


@dataclass(frozen=True, slots=True)
class Visit:
    """Items that are done together: their number, their earliest nominal date, and their codes."""

    number: Decimal
    nominal_on: date
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VisitNumbers:
    """The numbers of a protocol's visits: by item code, and by prefix for looks, which every dose has anew."""

    by_code: Mapping[str, int]
    looks: Mapping[str, int]
    looks_from: int

    @classmethod
    def of(cls, protocol: Protocol) -> VisitNumbers:
        """Number the visits of a protocol, by nominal day."""
        schedule = protocol.schedule
        days = {
            code: schedule.days_at(activity, offset).nominal
            for activity in schedule.activities
            if activity.origin == "day-0"
            for code, offset in zip(activity.codes, activity.offsets, strict=True)
        }
        order = {day: number for number, day in enumerate(sorted(set(days.values())), start=1)}
        exits = [activity.prefix for activity in schedule.activities if activity.origin == "exit"]
        looks = [activity.prefix for activity in schedule.activities if activity.origin == "each-infusion"]
        first = ROOM * (len(order) // ROOM + 1)
        at_exit = {prefix: first + index for index, prefix in enumerate(exits)}
        return cls(
            by_code={code: order[day] for code, day in days.items()} | at_exit,
            looks={prefix: index for index, prefix in enumerate(looks)},
            looks_from=first + len(exits),
        )

    def of_item(self, code: str) -> int:
        """The number of the visit that an item of the plan belongs to."""
        if code in self.by_code:
            return self.by_code[code]
        prefix, _, dose_number = code.rpartition("-")
        return self.looks_from + (int(dose_number) - 1) * len(self.looks) + self.looks[prefix]

    def visits(self, items: Iterable[PlannedItem]) -> tuple[Visit, ...]:
        """The visits that the items of a plan come to, by nominal date and number."""
        together: dict[int, list[PlannedItem]] = {}
        for item in items:
            together.setdefault(self.of_item(item.code), []).append(item)
        visits = (
            Visit(Decimal(number), min(item.nominal_on for item in shared), tuple(item.code for item in shared))
            for number, shared in together.items()
        )
        return tuple(sorted(visits, key=lambda visit: (visit.nominal_on, visit.number)))

    def unscheduled(self, days: Iterable[date], items: Sequence[PlannedItem]) -> dict[date, Decimal]:
        """The number of an unscheduled visit on each of these days: that of the planned visit before it, and a bit.

        A planned visit counts from its nominal date on. A hundredth a visit, and finer where a hundred would not do.
        """
        planned = [(item.nominal_on, number) for item in items if (number := self.by_code.get(item.code))]
        within: dict[int, list[date]] = {}
        for day in sorted(set(days)):
            before = max((number for on, number in planned if on <= day), default=0)
            within.setdefault(before, []).append(day)
        return {
            day: Decimal(before) + Decimal(count).scaleb(-max(DIGITS_MIN, len(str(len(its_days)))))
            for before, its_days in within.items()
            for count, day in enumerate(its_days, start=1)
        }
