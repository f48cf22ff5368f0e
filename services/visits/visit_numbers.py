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
class Numbers:
    """The numbers of one version's visits: by item code, and by prefix for looks, which every dose has anew."""

    by_code: Mapping[str, int]
    looks: Mapping[str, int]
    exits: Mapping[str, int]

    def of_item(self, code: str, first: int) -> int:
        """The number of the visit of an item; those of exits and looks are counted from `first` on."""
        if code in self.by_code:
            return self.by_code[code]
        if code in self.exits:
            return first + self.exits[code]
        prefix, _, dose_number = code.rpartition("-")
        return first + len(self.exits) + (int(dose_number) - 1) * len(self.looks) + self.looks[prefix]


@dataclass(frozen=True, slots=True)
class VisitNumbers:
    """The numbers of the visits of all versions of a protocol.

    A visit keeps its number in later versions: it is known again by its items. A visit that is new gets the next one.
    """

    by_version: Mapping[str, Numbers]
    first_of_others: int

    @classmethod
    def of(cls, protocols: Sequence[Protocol]) -> VisitNumbers:
        """Number the visits of the versions of a protocol, each by nominal day."""
        by_version: dict[str, Numbers] = {}
        known: dict[str, int] = {}
        looks: dict[str, int] = {}
        exits: dict[str, int] = {}
        for protocol in protocols:
            numbered = _numbered(protocol, known)
            known |= numbered
            for origin, places in (("each-infusion", looks), ("exit", exits)):
                for activity in protocol.schedule.activities:
                    if activity.origin == origin:
                        places.setdefault(activity.prefix, len(places))
            by_version[protocol.version] = Numbers(numbered, looks, exits)
        return cls(by_version, ROOM * (max(known.values(), default=0) // ROOM + 1))

    def of_item(self, item: PlannedItem) -> int:
        """The number of the visit that an item of the plan belongs to."""
        return self.by_version[item.version].of_item(item.code, self.first_of_others)

    def visits(self, items: Iterable[PlannedItem]) -> tuple[Visit, ...]:
        """The visits that the items of a plan come to, by nominal date and number."""
        together: dict[int, list[PlannedItem]] = {}
        for item in items:
            together.setdefault(self.of_item(item), []).append(item)
        visits = (
            Visit(Decimal(number), min(item.nominal_on for item in shared), tuple(item.code for item in shared))
            for number, shared in together.items()
        )
        return tuple(sorted(visits, key=lambda visit: (visit.nominal_on, visit.number)))

    def unscheduled(self, days: Iterable[date], items: Sequence[PlannedItem]) -> dict[date, Decimal]:
        """The number of an unscheduled visit on each of these days: that of the planned visit before it, and a bit.

        A planned visit counts from its nominal date on. A hundredth a visit, and finer where a hundred would not do.
        """
        planned = [
            (item.nominal_on, number)
            for item in items
            if (number := self.by_version[item.version].by_code.get(item.code)) is not None
        ]
        within: dict[int, list[date]] = {}
        for day in sorted(set(days)):
            before = max((number for on, number in planned if on <= day), default=0)
            within.setdefault(before, []).append(day)
        return {
            day: Decimal(before) + Decimal(count).scaleb(-max(DIGITS_MIN, len(str(len(its_days)))))
            for before, its_days in within.items()
            for count, day in enumerate(its_days, start=1)
        }


def _numbered(protocol: Protocol, known: Mapping[str, int]) -> dict[str, int]:
    """The number of each item that is counted from day 0, where earlier versions have numbered some."""
    schedule = protocol.schedule
    together: dict[int, list[str]] = {}
    for activity in schedule.activities:
        if activity.origin == "day-0":
            for code, offset in zip(activity.codes, activity.offsets, strict=True):
                together.setdefault(schedule.days_at(activity, offset).nominal, []).append(code)
    numbers: dict[str, int] = {}
    taken: set[int] = set()
    last = max(known.values(), default=0)
    for _, codes in sorted(together.items()):
        number = min((known[code] for code in codes if code in known and known[code] not in taken), default=None)
        if number is None:
            number = last = last + 1
        taken.add(number)
        numbers |= dict.fromkeys(codes, number)
    return numbers
