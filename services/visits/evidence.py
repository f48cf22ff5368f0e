"""What a response rests on: counts and transfusions around day 0, which of them count, and what rules find in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from shared.protocol import Response

Status = Literal["confirmed", "provisional", "not-met", "not-evaluable"]

IsMet = Callable[[Decimal], bool]
"""Whether a value meets a threshold."""

HUNDRED = Decimal(100)


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
class CriterionResult:
    """What a rule says of one criterion (HI-E, CR …), on which ground, and the positions of the log it rests on."""

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

    @property
    def last_day(self) -> int:
        """The timepoint's day, or the last day known where that is earlier."""
        return min(self.nominal_day, self.known_to_day)


class Evidence:
    """A subject's counts and transfusions, by day from day 0; what lies after the horizon's last day is not there.

    A count within the wash-out of a transfusion is influenced by it. It makes no baseline and confirms no improvement;
    but where it misses a threshold even so, it misses it, so that a transfusion never makes a response.
    """

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
            (c for c in counts if c.usable and self.day(c.collected_on) <= horizon.known_to_day),
            key=lambda c: (c.collected_on, -c.value, c.position),
        )
        influences = {c: tuple(t.position for t in self._transfusions if self._washes_out(t, c)) for c in self._counts}
        self._influences = {count: positions for count, positions in influences.items() if positions}

    def at(self, horizon: Horizon) -> Evidence:
        """The same evidence, to judge another timepoint by."""
        other = copy(self)
        other.horizon = horizon
        return other

    def day(self, on: date) -> int:
        """The day of a date, counted from day 0."""
        return (on - self._day_0).days

    def _washes_out(self, transfusion: Transfusion, count: Count) -> bool:
        """Whether the transfusion was given on the count's day or fewer than the wash-out's days before."""
        return any(
            (wash_out.component, wash_out.analyte) == (transfusion.component, count.code)
            and 0 <= (count.collected_on - transfusion.given_on).days < wash_out.days
            for wash_out in self.response.wash_outs
        )

    def between(self, code: str, first_day: int, last_day: int) -> list[Count]:
        """The counts in a period of days that no transfusion influences, by date; of one day's, the lowest last."""
        return [
            c
            for c in self._counts
            if c.code == code and c not in self._influences and first_day <= self.day(c.collected_on) <= last_day
        ]

    def influenced(self, code: str, first_day: int, last_day: int) -> tuple[int, ...]:
        """The positions of the counts in a period that transfusions influence, each with those of the transfusions."""
        return tuple(
            position
            for count, transfusions in self._influences.items()
            if count.code == code and first_day <= self.day(count.collected_on) <= last_day
            for position in (*transfusions, count.position)
        )

    def before(self, code: str) -> list[Count]:
        """The counts that may make the baseline, by date."""
        rule = self.response.baseline
        return self.between(code, rule.earliest_day, rule.latest_day)

    def since(self, code: str, is_met: IsMet | None = None) -> list[Count]:
        """The counts since treatment began, by date; of one day's, the lowest last.

        With a threshold, also those that a transfusion influences and that miss it even so.
        """
        latest_day = self.response.baseline.latest_day
        return [
            c
            for c in self._counts
            if c.code == code
            and self.day(c.collected_on) > latest_day
            and (c not in self._influences or (is_met is not None and not is_met(c.value)))
        ]

    def baseline(self, code: str) -> Baseline | None:
        """The mean of at least two counts at least a week apart (IWG 2006); None when they are too few or too close."""
        counts = self.before(code)
        return mean_of(counts) if self._may_be_baseline(counts) else None

    def why_no_baseline(self, code: str, earliest_day: int | None = None) -> CriterionResult:
        """Why there is no baseline: too few counts, too close to each other, or influenced by transfusions."""
        rule = self.response.baseline
        first_day = rule.earliest_day if earliest_day is None else earliest_day
        counts = self.between(code, first_day, rule.latest_day)
        positions = positions_of(counts)
        if influenced := self.influenced(code, first_day, rule.latest_day):
            return CriterionResult("not-evaluable", "baseline-transfused", (*positions, *influenced))
        ground = "baseline-missing" if len(counts) < rule.values_min else "baseline-too-close"
        return CriterionResult("not-evaluable", ground, positions)

    def _may_be_baseline(self, counts: list[Count]) -> bool:
        rule = self.response.baseline
        if len(counts) < rule.values_min:
            return False
        return (counts[-1].collected_on - counts[0].collected_on).days >= rule.apart_days_min

    def at_timepoint(self, code: str, is_met: IsMet | None = None) -> Count | None:
        """The last count in the timepoint's window; of one day's, the lowest."""
        opens, closes = self.horizon.opens_day, self.horizon.closes_day
        counts = reversed(self.since(code, is_met))
        return next((c for c in counts if opens <= self.day(c.collected_on) <= closes), None)

    def why_no_count(self, code: str, baseline: tuple[int, ...]) -> CriterionResult:
        """Why the timepoint has no count: none was made, or a transfusion influences each."""
        influenced = self.influenced(code, self.horizon.opens_day, self.horizon.closes_day)
        ground = "count-transfused" if influenced else "count-missing"
        return CriterionResult("not-evaluable", ground, (*baseline, *influenced))

    def runs(self, code: str, is_met: IsMet, gap_days_max: int | None = None) -> list[list[Count]]:
        """The unbroken runs of counts that meet a threshold.

        A count that does not meet it ends a run, and so does a gap longer than two monthly counts in window can leave,
        or than is said.
        """
        gap_days_max = self.response.gap_days_max if gap_days_max is None else gap_days_max
        runs: list[list[Count]] = []
        is_open = False
        for count in self.since(code, is_met):
            if not is_met(count.value):
                is_open = False
            elif is_open and (count.collected_on - runs[-1][-1].collected_on).days <= gap_days_max:
                runs[-1].append(count)
            else:
                runs.append([count])
                is_open = True
        return runs

    def beside(self, run: list[Count], is_met: IsMet) -> list[Count]:
        """The counts that a run begins after and ends before: what keeps it from being longer."""
        counts = self.since(run[0].code, is_met)
        first, last = counts.index(run[0]), counts.index(run[-1])
        return [*counts[max(0, first - 1) : first], *counts[last + 1 : last + 2]]

    def is_lasting(self, run: list[Count]) -> bool:
        """Whether a run lasts as long as an improvement must (IWG 2006: 8 weeks)."""
        return spans(run, self.response.confirmation_days)

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


# Arithmetic that the rule sets share.


def mean_of(counts: Sequence[Count]) -> Baseline:
    """The mean of some counts, and where they stand."""
    return Baseline(sum((count.value for count in counts), Decimal(0)) / len(counts), positions_of(counts))


def spans(run: Sequence[Count], days: int) -> bool:
    """Whether at least so many days lie between the first and the last count of a run."""
    return (run[-1].collected_on - run[0].collected_on).days >= days


def has_risen_pct(value: Decimal, reference: Decimal, at_least_pct: Decimal) -> bool:
    """Whether the value lies at least so many per cent above the reference, without a division."""
    return (value - reference) * HUNDRED >= reference * at_least_pct


def has_fallen_pct(value: Decimal, reference: Decimal, at_least_pct: Decimal) -> bool:
    """Whether the value lies at least so many per cent below the reference, without a division."""
    return (reference - value) * HUNDRED >= reference * at_least_pct


def positions_of(counted: Iterable[Count | Transfusion]) -> tuple[int, ...]:
    """Where counts or transfusions stand in the log."""
    return tuple(each.position for each in counted)


def units_of(transfusions: Iterable[Transfusion]) -> int:
    """The units of some transfusions, in all."""
    return sum(transfusion.units for transfusion in transfusions)
