"""What a response rests on: counts and transfusions around day 0, which of them count, and what rules find in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from shared.protocol import Response

Status = Literal["confirmed", "provisional", "not-met", "not-evaluable"]


@dataclass(frozen=True, slots=True)
class Count:
    """One analyte's current value in canonical units. `usable` is false for a preliminary, held or cancelled result."""

    code: str
    value: Decimal
    collected_on: date
    position: int
    usable: bool = True


@dataclass(frozen=True, slots=True)
class Transfusion:
    """Units of a component given on a date, and the haemoglobin that they were given for."""

    component: str
    units: int
    given_on: date
    position: int
    haemoglobin_before_g_L: Decimal | None = None  # noqa: N815 (the unit is written as the field writes it)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The mean of the counts before treatment, exact to the context's 28 digits, and where they stand in the log."""

    mean: Decimal
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LineageResult:
    """What a rule says of one lineage, on which ground, and the positions of the log that it rests on."""

    status: Status
    ground: str
    positions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a rule found, such as a fall of haemoglobin, and the positions that it rests on."""

    code: str
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Horizon:
    """The timepoint that is judged, in days from day 0, and the last day that is known."""

    nominal_day: int
    opens_day: int
    closes_day: int
    known_to_day: int

    @property
    def has_come(self) -> bool:
        """Whether the timepoint's window had opened by the last day known."""
        return self.known_to_day >= self.opens_day


class Evidence:
    """A subject's counts and transfusions, by day from day 0; what lies after the horizon's last day is not there."""

    def __init__(
        self,
        response: Response,
        horizon: Horizon,
        day_0: date,
        counts: Iterable[Count],
        transfusions: Iterable[Transfusion],
    ) -> None:
        self.response = response
        self.horizon = horizon
        self._day_0 = day_0
        self._transfusions = sorted(
            (t for t in transfusions if self.day(t.given_on) <= horizon.known_to_day),
            key=lambda t: (t.given_on, t.position),
        )
        self._counts = sorted(
            (c for c in counts if self.day(c.collected_on) <= horizon.known_to_day and self._counts_for_response(c)),
            key=lambda c: (c.collected_on, -c.value, c.position),
        )

    def day(self, on: date) -> int:
        """The day of a date, counted from day 0."""
        return (on - self._day_0).days

    def _counts_for_response(self, count: Count) -> bool:
        return count.usable and not self._is_washed_out(count)

    def _is_washed_out(self, count: Count) -> bool:
        """Whether a transfusion influences the count: given on its day or fewer than the wash-out's days before."""
        return any(
            wash_out.analyte == count.code
            and wash_out.component == transfusion.component
            and 0 <= (count.collected_on - transfusion.given_on).days < wash_out.days
            for wash_out in self.response.wash_outs
            for transfusion in self._transfusions
        )

    def before(self, code: str) -> list[Count]:
        """The counts that may make the baseline, by date."""
        rule = self.response.baseline
        return [
            count
            for count in self._counts
            if count.code == code and rule.earliest_day <= self.day(count.collected_on) <= rule.latest_day
        ]

    def since(self, code: str) -> list[Count]:
        """The counts since treatment began, by date; of one day's, the lowest last."""
        latest_day = self.response.baseline.latest_day
        return [c for c in self._counts if c.code == code and self.day(c.collected_on) > latest_day]

    def baseline(self, code: str) -> Baseline | None:
        """The mean of at least two counts at least a week apart (IWG 2006); None when they are too few or too close."""
        counts, rule = self.before(code), self.response.baseline
        if len(counts) < rule.values_min:
            return None
        if (counts[-1].collected_on - counts[0].collected_on).days < rule.apart_days_min:
            return None
        mean = sum((count.value for count in counts), Decimal(0)) / len(counts)
        return Baseline(mean, tuple(count.position for count in counts))

    def at_timepoint(self, code: str) -> Count | None:
        """The last count in the timepoint's window; of one day's, the lowest."""
        opens, closes = self.horizon.opens_day, self.horizon.closes_day
        return next((c for c in reversed(self.since(code)) if opens <= self.day(c.collected_on) <= closes), None)

    def runs(self, code: str, is_met: Callable[[Decimal], bool]) -> list[list[Count]]:
        """The unbroken runs of counts that meet a threshold.

        A count that does not meet it ends a run, and so does a gap longer than two monthly counts in window can leave.
        """
        runs: list[list[Count]] = []
        is_open = False
        for count in self.since(code):
            if not is_met(count.value):
                is_open = False
            elif is_open and (count.collected_on - runs[-1][-1].collected_on).days <= self.response.gap_days_max:
                runs[-1].append(count)
            else:
                runs.append([count])
                is_open = True
        return runs

    def is_lasting(self, run: list[Count]) -> bool:
        """Whether a run lasts as long as an improvement must (IWG 2006: 8 weeks)."""
        return (run[-1].collected_on - run[0].collected_on).days >= self.response.confirmation_days

    def transfused(
        self, component: str, first_day: int, last_day: int, haemoglobin_max: Decimal | None = None
    ) -> list[Transfusion]:
        """The transfusions of a component in a period of days; with a limit, those given at or below it alone."""
        return [
            t
            for t in self._transfusions
            if t.component == component
            and first_day <= self.day(t.given_on) <= last_day
            and (
                haemoglobin_max is None
                or (t.haemoglobin_before_g_L is not None and t.haemoglobin_before_g_L <= haemoglobin_max)
            )
        ]
